"""The keyboard while nobody is asked: what is typed waits unseen, and Ctrl-C comes once."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gptoss_cli.terminal import Screen

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


def _write(screen: Screen, sequence: str) -> None:
    if screen.renders:
        screen.out.write(sequence)
        screen.out.flush()
