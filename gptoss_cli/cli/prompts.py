"""What the user asks: words, standard input and files made into one text. Reads them; knows no model."""

import os
import stat
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from gptoss_cli.attachment import attachment, text_file
from gptoss_cli.encoding import decode
from gptoss_cli.errors import BadInput
from gptoss_cli.language import translated

SILENT_AFTER_S = 2.0
BETWEEN = "\n\n"


def compose(words: Sequence[str], piped: str | None, files: Sequence[Path]) -> str:
    """The prompt: files, what was piped in, the words, with a blank line between; a lone `-` moves the piped text.

    Raises BadInput for a `-` without standard input, words that are no text, and for a file that is missing, too large
    or no text.
    """
    words = [decode(os.fsencode(word), "the prompt") for word in words]  # bytes that are no text are surrogates in them
    attached = [attachment(path) for path in files]
    if words.count("-") > 1:
        raise BadInput("- stands for standard input and can be given once")
    if "-" in words:
        if piped is None:
            raise BadInput("- stands for standard input, and there is none", hint="pipe something in, or leave - out")
        place = words.index("-")
        parts = [*attached, " ".join(words[:place]), piped, " ".join(words[place + 1 :])]
    else:
        parts = [*attached, piped or "", " ".join(words)]
    return BETWEEN.join(part.strip("\r\n") for part in parts if part.strip())


def piped_text(*, quiet: bool) -> str | None:
    """All of standard input when it is a pipe or a file; None for a terminal, a device, or nothing.

    A pipe that says nothing for two seconds gets a line on stderr: somebody may be waiting without knowing for what.
    Raises BadInput for what is no text, as for an attached file.
    """
    if sys.stdin is None or not _is_pipe_or_file(sys.stdin.fileno()):
        return None
    notice = threading.Timer(SILENT_AFTER_S, _say_waiting)
    notice.daemon = True
    if not quiet:
        notice.start()
    try:
        data = os.read(sys.stdin.fileno(), 1 << 16)
        notice.cancel()
        data += sys.stdin.buffer.read() if data else b""
    finally:
        notice.cancel()
    return decode(data, "standard input")


def _is_pipe_or_file(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:  # closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _say_waiting() -> None:
    print(f"gptoss: {translated('waiting for standard input (-n leaves it alone)')}", file=sys.stderr)


def system_text(text: str | None) -> str | None:
    """The text itself, or the content of the file after `@`. Raises BadInput."""
    if text is None or not text.startswith("@"):
        return text and decode(os.fsencode(text), "the system text")
    return text_file(Path(text[1:]))
