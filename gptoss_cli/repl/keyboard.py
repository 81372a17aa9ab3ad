"""The keyboard while nobody is asked: what is typed waits unseen, and Ctrl-C comes once."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from gptoss_cli.terminal import Screen

if TYPE_CHECKING:
    from prompt_toolkit.input import Input

TWICE_WITHIN_S = 2.0  # Ctrl-C in an empty prompt leaves then
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
    """What is typed while nobody is asked stands in the next prompt, and not in the middle of what is written.

    For a whole chat: between an answer and the next prompt, too, Enter comes as Enter, as it does at the prompt.
    """
    with _changed_terminal(_silent) if screen.renders else nullcontext():
        try:
            yield
        finally:
            _write(screen, NO_PASTES)


def mark_pastes(screen: Screen) -> None:
    """Within silent_keys, after a prompt, which has ended this: a paste comes as a paste."""
    _write(screen, PASTES)


@contextmanager
def as_usual() -> Iterator[None]:
    """For another program, within silent_keys: lines as the terminal edits and shows them."""
    with _changed_terminal(_usual):
        yield


@contextmanager
def typed_before(keys: "Input") -> Iterator[None]:
    """What was typed before the first prompt comes to it as if typed at it; within, the terminal takes key by key.

    Until then the terminal has made a line feed of each Enter and a zero byte of Ctrl-D (termios(3), ICRNL, ICANON).
    """
    with _changed_terminal(_raw) as is_terminal:
        if is_terminal:
            _feed(keys, _waiting(sys.stdin.fileno()).replace(b"\n", b"\r").replace(b"\0", b"\x04"))
        yield


def forget_typed() -> None:
    """Drop what was typed and nobody has read."""
    with suppress(ImportError, OSError, ValueError):
        import termios

        termios.tcflush(sys.stdin, termios.TCIFLUSH)


Attributes = list[Any]  # as termios.tcgetattr has them: flags of input, output, control, lines, and more


@contextmanager
def _changed_terminal(change: Callable[[Attributes], None]) -> Iterator[bool]:
    """stdin's terminal with other attributes, put back in the end; whether there is one."""
    try:
        import termios

        before = termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError):  # Windows; or no terminal
        yield False
        return
    changed = [*before]
    change(changed)
    try:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, changed)
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _silent(attributes: Attributes) -> None:
    import termios

    attributes[0] &= ~termios.ICRNL
    attributes[3] &= ~(termios.ECHO | termios.ICANON)
    attributes[3] |= termios.NOFLSH  # Ctrl-C stops the answer, and leaves what was typed


def _raw(attributes: Attributes) -> None:
    import termios

    _silent(attributes)
    attributes[3] &= ~termios.ISIG


def _usual(attributes: Attributes) -> None:
    import termios

    attributes[0] |= termios.ICRNL
    attributes[3] |= termios.ECHO | termios.ICANON | termios.ISIG


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
