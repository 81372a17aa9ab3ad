"""Numbers as people read them: bytes, rates, durations; and how wide a text is on a terminal. Pure text."""

import re
from functools import lru_cache

BYTES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def size(count: float | None) -> str:
    """Bytes in powers of ten, as disks and the Hub count them: 5.8 MB; `-` for None."""
    if count is None:
        return "-"
    for unit, name in BYTES:
        if count >= unit:
            return f"{count / unit:.0f} {name}" if count >= 100 * unit else f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """The two largest units: 45s, 2m53s, 3h04m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")  # as Go's time.ParseDuration: any order, no smaller units


def seconds(text: str) -> float:
    """What a duration says: `5m`, `1h30m`, `90s`, or a number of seconds; negative after a `-`. Raises ValueError."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", rest):
        return sign * float(rest)
    if not re.fullmatch(f"(?:{_SPAN.pattern})+", rest) or len(rest) > 20:
        raise ValueError(f"no duration: {text!r}")
    return sign * sum(float(count) * _SECONDS[unit] for count, unit in _SPAN.findall(rest))


@lru_cache(maxsize=4096)
def cells(text: str) -> int:
    """Columns that `text` takes on a terminal, by grapheme: two for a Chinese character or a family of emoji."""
    if text.isascii():
        return len(text)
    from wcwidth import width  # 20 ms: only when something is drawn

    return width(text, control_codes="ignore")


def padded(text: str, width: int) -> str:
    """`text` with blanks behind it, `width` cells wide."""
    return text + " " * (width - cells(text))


def clipped(line: str, columns: int) -> str:
    """`line` with an ellipsis where it would be wider than `columns` cells."""
    if cells(line) <= columns:
        return line
    while cells(line) > columns - 1:
        line = line[: min(len(line) - 1, columns)]
    return line + "…"
