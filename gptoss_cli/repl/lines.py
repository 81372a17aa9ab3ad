"""Where the user types on a dumb terminal: lines, which the terminal itself edits and shows."""

import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gptoss_cli.repl.inputs import InputHistory
from gptoss_cli.repl.keyboard import TWICE_WITHIN_S
from gptoss_cli.repl.quotes import is_open

LOOK_S = 0.1


class Lines:
    """Asks as repl.prompt.Prompt does; nothing is redrawn, completed or recalled."""

    def __init__(self, history_file: Path, hint: str) -> None:
        """hint: what Ctrl-C says."""
        self._hint = hint
        self._interrupted_at = -TWICE_WITHIN_S
        self.history = InputHistory(history_file, lambda text: text)

    def ask(self, text: str = "", *, when_drawn: Callable[[], None] | None = None) -> str:
        """What the user sends; `text` is shown, to be typed again. Raises EOFError when the user leaves."""
        if text:
            print(text)
        while True:
            before = signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                typed = self._message(when_drawn)
            except KeyboardInterrupt:  # the terminal has dropped what was typed
                print()
                self._interrupt()
                continue
            finally:
                signal.signal(signal.SIGINT, before)
            self.history.append_string(typed)
            return typed

    def _message(self, when_drawn: Callable[[], None] | None) -> str:
        lines = [self._line(">>> ", when_drawn)]
        while lines[-1].endswith("\\") or is_open("\n".join(lines)):
            lines[-1] = lines[-1].removesuffix("\\")
            lines.append(self._line("... "))
        return "\n".join(lines)

    def _line(self, mark: str, when_drawn: Callable[[], None] | None = None) -> str:
        print(mark, end="", flush=True)
        if when_drawn:
            when_drawn()
        line = _read()
        if not line:
            print()
            raise EOFError
        return line.rstrip("\r\n")

    def _interrupt(self) -> None:
        now = time.monotonic()
        if now - self._interrupted_at < TWICE_WITHIN_S:
            raise EOFError
        self._interrupted_at = now
        print(self._hint)

    def agreed(self, question: str) -> bool:
        """Whether the user answers with y. Raises KeyboardInterrupt on Ctrl-C."""
        print(f"{question} (y/N) ", end="", flush=True)
        return _read().strip().lower() in ("y", "yes")

    def redraw(self) -> None:
        """There is no bar."""


def _read() -> str:
    """A line, "" at the end. The system may give SIGINT to a thread of the engine: no read would end for it."""
    while not select.select([sys.stdin], [], [], LOOK_S)[0]:
        pass
    return sys.stdin.readline()
