"""Texts out of the terminal and back: the clipboard, and the user's editor."""

import base64
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from gptoss_cli.errors import BadInput
from gptoss_cli.terminal import Screen

TOOL_WITHIN_S = 2.0
LARGEST_OSC_52 = 74_994  # bytes before base64; xterm takes 100,000 of the whole sequence


def copy(text: str, screen: Screen) -> str:
    """Put `text` into the clipboard, by the system's own tool and by the terminal; how it was done.

    OSC 52 (xterm's ctlseqs, "Manipulate Selection Data") reaches the clipboard of the machine that the user sits at,
    through ssh too; not every terminal obeys it, so the tool is tried as well. Raises BadInput when there is no way.
    """
    by_tool = _by_tool(text)
    data = text.encode()
    if len(data) <= LARGEST_OSC_52 and screen.out_is_terminal:
        sequence = f"\x1b]52;c;{base64.b64encode(data).decode()}\a"
        if os.environ.get("TMUX"):  # tmux's own way of passing a sequence through
            sequence = "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
        screen.out.write(sequence)
        screen.out.flush()
        return (
            f"to the clipboard, with {by_tool}" if by_tool else "to the clipboard, if your terminal allows it (OSC 52)"
        )
    if by_tool:
        return f"to the clipboard, with {by_tool}"
    raise BadInput(f"{len(data):,} bytes are too long for the terminal's clipboard", hint="/export FILE.md writes them")


def _by_tool(text: str) -> str | None:
    for program, *arguments in _tools():
        if shutil.which(program):
            try:
                subprocess.run(
                    [program, *arguments],
                    input=text.encode("utf-16le" if program == "clip.exe" else "utf-8"),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=TOOL_WITHIN_S,
                    check=True,
                )
            except (OSError, subprocess.SubprocessError):
                continue
            return program
    return None


def _tools() -> list[list[str]]:
    tools = [["pbcopy"], ["clip.exe"]]
    if os.environ.get("WAYLAND_DISPLAY"):
        tools.append(["wl-copy"])
    if os.environ.get("DISPLAY"):
        tools += [["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
    return tools


def edited(text: str) -> str:
    """`text` as the user leaves it in the editor of $VISUAL or $EDITOR. Raises BadInput when there is none."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or next(filter(shutil.which, ("nano", "vi")), None)
    if not editor:
        raise BadInput("no editor", hint="set EDITOR, for example: export EDITOR=nano")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "message.md"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            code = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
        except (OSError, ValueError) as error:
            raise BadInput(f"the editor {editor} cannot be started: {error}", hint="set EDITOR") from None
        if code:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
            raise BadInput(f"the editor {editor} {how}; nothing is changed")
        try:
            return path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
        except OSError as error:
            raise BadInput(f"the editor {editor} left no text: {error.strerror}; nothing is changed") from None
