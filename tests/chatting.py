"""A chat on a real pseudo-terminal, its output on a screen that pyte draws, and somebody who types."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from types import TracebackType

import pyte

PATIENCE_S = 30.0
READY = "Send a message"
KEYS = {
    "enter": "\r",
    "alt-enter": "\x1b\r",
    "ctrl-c": "\x03",
    "ctrl-d": "\x04",
    "ctrl-e": "\x05",
    "ctrl-j": "\n",
    "ctrl-r": "\x12",
    "ctrl-u": "\x15",
    "ctrl-x": "\x18",
    "ctrl-z": "\x1a",
    "tab": "\t",
    "up": "\x1b[A",
}
# a session leader takes the terminal that its standard input is, so that Ctrl-C reaches it as a signal
BEGIN = """import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
{before}
from gptoss_cli.__main__ import main
main()"""


class _Screen(pyte.Screen):
    """A terminal that answers when it is asked where the cursor is, unless it is told to be deaf."""

    reply: Callable[[bytes], object] = staticmethod(lambda _: None)

    def write_process_input(self, data: str) -> None:
        self.reply(data.encode())


class Chat:
    """`gptoss ARGUMENTS` on a terminal. answers_cursor: whether it says where the cursor is, as most terminals do.

    before: Python that runs in the program's process before it.
    """

    def __init__(
        self,
        environment: dict[str, str],
        *arguments: str,
        columns: int = 100,
        rows: int = 60,
        folder: str | os.PathLike[str] | None = None,
        answers_cursor: bool = True,
        before: str = "",
    ) -> None:
        self._master, slave = pty.openpty()
        self.raw = bytearray()
        self.terminal = _Screen(columns, rows)
        if answers_cursor:
            self.terminal.reply = lambda data: os.write(self._master, data)  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self.terminal)
        self._set_size(columns, rows)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGIN.format(before=before), *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={name: value for name, value in environment.items() if name != "CI"},
            cwd=folder,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> "Chat":
        return self

    def __exit__(self, _1: type[BaseException] | None, _2: BaseException | None, _3: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    # what the user does

    def type(self, text: str) -> None:
        data = text.encode()
        while data:  # a terminal takes a few kilobytes at a time
            self._read_until(lambda: bool(select.select([], [self._master], [], 0)[1]))
            data = data[os.write(self._master, data[:1024]) :]

    def key(self, *names: str) -> None:
        for name in names:
            self.type(KEYS[name])

    def paste(self, text: str) -> None:
        """As terminals do that know bracketed paste."""
        self.type(f"\x1b[200~{text.replace(chr(10), chr(13))}\x1b[201~")

    def ask(self, text: str) -> str:
        """Type `text` at an empty prompt, send it; what stands between it and the next prompt."""
        self.type(text)
        end = text[-8:].rstrip()
        self.wait(lambda: end in self.line() and READY not in self.line(), f"{text!r} to be typed")
        self.key("enter")
        return self.answer()

    def answer(self) -> str:
        """What stands between what was sent and the prompt that comes then."""
        self.wait(lambda: self.ready, "the next prompt")
        lines = self.lines[: self.terminal.cursor.y]
        sent = max((number for number, line in enumerate(lines) if line.startswith(">>> ")), default=-1)
        return "\n".join(line for line in lines[sent + 1 :] if not line.startswith("... ")).strip("\n")

    def resize(self, columns: int, rows: int) -> None:
        self.terminal.resize(rows, columns)
        self._set_size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    # what the user sees

    @property
    def lines(self) -> list[str]:
        return [self.line(row) for row in range(self.terminal.lines)]

    def line(self, row: int | None = None) -> str:
        """One row, by default that of the cursor; quicker than the screen."""
        cells = self.terminal.buffer[self.terminal.cursor.y if row is None else row]
        return "".join(cells[column].data for column in range(self.terminal.columns)).rstrip()

    @property
    def ready(self) -> bool:
        """Whether the cursor stands in an empty prompt."""
        return self.terminal.cursor.x == len(">>> ") and self.line().startswith(f">>> {READY}")

    def screen(self) -> str:
        """The rows down to the last that is not empty."""
        return "\n".join(self.lines).rstrip("\n")

    def wait_for(self, text: str) -> None:
        self.wait(lambda: text in self.screen(), repr(text))

    def wait_for_typed(self, text: str) -> None:
        """Until the row of the cursor says so."""
        self.wait(lambda: text in self.line(), f"{text!r} beside the cursor")

    def wait_for_bytes(self, pattern: bytes, since: int = 0) -> None:
        self.wait(lambda: re.compile(pattern).search(self.raw, since) is not None, repr(pattern))

    def wait(self, until: Callable[[], bool], what: str) -> None:
        assert self._read_until(until), f"waited for {what}\n{self.screen()}"

    def ended(self) -> int:
        """The exit code, waited for."""
        self._read_until(lambda: False, to_the_end=True)
        return self.process.wait(PATIENCE_S)

    def _read_until(self, until: Callable[[], bool], to_the_end: bool = False) -> bool:
        end = time.monotonic() + PATIENCE_S
        while not until():
            if not select.select([self._master], [], [], max(0.0, end - time.monotonic()))[0]:
                return False
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # Linux: the other side is closed
                return to_the_end
            if not piece:
                return to_the_end
            self.raw += piece
            self._stream.feed(piece)
        return True

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
