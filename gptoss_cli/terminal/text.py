"""Text that is not ours made harmless for a terminal."""

# What can move a cursor, write a clipboard or reorder a line: C0 but tab and newline, DEL, C1, and the embeddings,
# overrides and isolates of bidirectional text (Unicode TR9; "Trojan Source", CVE-2021-42574). Without ESC and C1 no
# escape sequence is left, however it was split.
C0 = [code for code in range(0x20) if chr(code) not in "\t\n"]
CONTROLS = dict.fromkeys([*C0, *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def safe(text: str) -> str:
    """`text` without anything that a terminal obeys."""
    return text.translate(CONTROLS)
