"""The keyboard while nobody is asked: what is typed waits unseen, and Ctrl-C comes once."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from gptoss_cli.terminal import Screen

if TYPE_CHECKING:
    from prompt_toolkit.input import Input

PASTES, NO_PASTES = "\x1b[?2004h", "\x1b[?2004l"  # xterm's ctlseqs, "Bracketed Paste Mode"


def nothing(_signal: int, _frame: FrameType | None) -> None:
    """For SIGINT where Ctrl-C has nothing to stop."""


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt once; more of them are ignored, so that what it stopped is left in order."""

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, nothing)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def silent_keys(screen: Screen) -> Iterator[None]:
    """What is typed while an answer streams stands in the next prompt, and not in the middle of the answer.

    Enter comes as Enter and a paste as a paste, as they do at the prompt.
    """
    try:
        import termios

        before = termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError):  # Windows; or no terminal
        yield
        return
    changed = [*before]
    changed[0] &= ~termios.ICRNL
    changed[3] &= ~(termios.ECHO | termios.ICANON)
    changed[3] |= termios.NOFLSH  # Ctrl-C stops the answer, and leaves what was typed
    try:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, changed)
        _write(screen, PASTES)
        yield
    finally:
        _write(screen, NO_PASTES)
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


@contextmanager
def typed_before(keys: "Input") -> Iterator[None]:
    """What was typed before the first prompt comes to it as if typed at it; within, the terminal takes key by key.

    Until then the terminal has made a line feed of each Enter and a zero byte of Ctrl-D (termios(3), ICRNL, ICANON).
    """
    try:
        import termios

        before = termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError):  # Windows; or no terminal
        yield
        return
    changed = [*before]
    changed[0] &= ~termios.ICRNL
    changed[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    try:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, changed)
        _feed(keys, _waiting(sys.stdin.fileno()).replace(b"\n", b"\r").replace(b"\0", b"\x04"))
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _waiting(descriptor: int) -> bytes:
    data = b""
    while select.select([descriptor], [], [], 0)[0] and (piece := os.read(descriptor, 4096)):
        data += piece
    return data


def _feed(keys: "Input", data: bytes) -> None:
    from prompt_toolkit.input.typeahead import store_typeahead
    from prompt_toolkit.input.vt100_parser import Vt100Parser
    from prompt_toolkit.key_binding import KeyPress

    pressed: list[KeyPress] = []
    parser = Vt100Parser(pressed.append)
    parser.feed_and_flush(data.decode(errors="surrogateescape"))
    store_typeahead(keys, pressed)


def _write(screen: Screen, sequence: str) -> None:
    if screen.renders:
        screen.out.write(sequence)
        screen.out.flush()
