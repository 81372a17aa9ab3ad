"""`gptoss run --each`: one prompt per line of standard input, one answer per line of standard output."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from gptoss_cli import encoding
from gptoss_cli.cli import prompts
from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.language import translated
from gptoss_cli.session import Session
from gptoss_cli.terminal import Screen, Shown, Viewer, safe

LINE_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")  # as str.splitlines has them


@dataclass(frozen=True)
class Asking:
    """How each line is asked: in a session of its own, with the same words and files. thinking: as Viewer has it."""

    session: Callable[[], Session]
    screen: Screen
    thinking: str
    words: Sequence[str]
    files: Sequence[Path]

    def ask(self, number: int, line: str) -> Shown:
        """The reply, of which only thoughts, notices and progress were shown. Raises GptossError."""
        prompt = prompts.compose(self.words, line, self.files)
        screen = replace(self.screen, about=translated("line {number}: ", number=number))
        view = Viewer(screen, thinking=self.thinking, show_answer=False, started=time.monotonic())
        with closing(self.session().send(prompt)) as events:
            return view.show(events)


def lines_of_input() -> Iterator[bytes]:
    """The lines of standard input as they come, in UTF-8 if they are text. Raises BadInput when it is a terminal.

    UTF-16 is read whole first: its lines do not end where a byte is that of a newline.
    """
    if sys.stdin.isatty():
        raise BadInput("--each reads prompts from standard input", hint="gptoss run [MODEL] --each < prompts.txt")
    first = sys.stdin.buffer.readline()
    if encoding.is_utf_16(first):
        yield from BytesIO(encoding.decode(first + sys.stdin.buffer.read(), "standard input").encode())
    elif first:
        yield first
        yield from sys.stdin.buffer


def answer_each(lines: Iterable[bytes], asking: Asking, *, as_jsonl: bool) -> int:
    """Ask for each line on its own and write as many lines as there are; the exit code, 1 when one of them failed.

    A blank line is answered by an empty one. A failing line gives an empty answer, an error on stderr, and does not
    stop the rest. What is told on stderr names the line. Without as_jsonl, line breaks in an answer become blanks.
    """
    failed = False
    for number, data in enumerate(lines, 1):
        shown, error = _asked(number, data, asking)
        if error:
            failed = True
            _tell(number, error, asking.screen)
        line = data.decode("utf-8-sig", errors="replace").rstrip("\r\n")
        _write(_object(number, line, shown, error) if as_jsonl else LINE_BREAKS.sub(" ", shown.answer.strip()))
    return GptossError.exit_code if failed else 0


def _asked(number: int, data: bytes, asking: Asking) -> tuple[Shown, GptossError | None]:
    try:
        line = encoding.decode(data, "the prompt").rstrip("\r\n")
        return asking.ask(number, line) if line.strip() else Shown(), None
    except GptossError as error:
        return Shown(), error


def _tell(number: int, error: GptossError, screen: Screen) -> None:
    told = f"{error}; {error.hint}" if error.hint else str(error)
    screen.err.write(f"gptoss: line {number}: {safe(told)}\n")
    screen.err.flush()


def _object(number: int, line: str, shown: Shown, error: GptossError | None) -> str:
    """Keys are added, never renamed."""
    told: dict[str, Any] = {
        "index": number,
        "prompt": line,
        "text": shown.answer,
        "finish_reason": shown.done.finish_reason if shown.done else None,
        "usage": asdict(shown.done.usage) if shown.done else None,
        "error": {"code": error.code, "message": str(error), "hint": error.hint} if error else None,
    }
    return json.dumps(told, ensure_ascii=False)


def _write(line: str) -> None:
    print(safe(line) if sys.stdout.isatty() else line, flush=True)
