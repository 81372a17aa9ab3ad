"""What a recorder has of the turns: written as they change, and made up for once it failed and works again."""

from collections.abc import Sequence
from typing import Protocol

from gptoss_cli.errors import GptossError
from gptoss_cli.language import translated
from gptoss_cli.messages import Message, Notice


class Recorder(Protocol):
    """Keeps the turns of a session; history.journal has one. Its methods raise GptossError."""

    def due(self) -> bool:
        """Whether what streams should be written again by now; asked at every piece."""
        ...

    def write(self, turn: int, messages: Sequence[Message]) -> str:
        """Make `messages` all that turn number `turn` has. What the user should know, or ""."""
        ...

    def cut(self, turn: int) -> str:
        """Forget the turns from number `turn` on. What the user should know, or ""."""
        ...


class Record:
    """Where the turns go; a failure is told once, and each later call tries again. Raises nothing."""

    def __init__(self, recorder: Recorder | None = None, written: int = 0) -> None:
        """written: how many turns the recorder has already."""
        self.recorder = recorder
        self._written = written
        self._failed = False

    @property
    def is_whole(self) -> bool:
        """Whether all that was given to `write` is kept."""
        return self.recorder is not None and not self._failed

    def lacks(self, turns: Sequence[Sequence[Message]]) -> bool:
        """Whether a recorder is there that has not got all of `turns`."""
        return self.recorder is not None and (self._failed or self._written < len(turns))

    def due(self) -> bool:
        """As the recorder has it; one that failed may keep us waiting, and is not tried while text streams."""
        return self.recorder is not None and not self._failed and self.recorder.due()

    def write(self, turns: Sequence[Sequence[Message]]) -> list[Notice]:
        """Make the last turn, and whatever else the recorder has not got, as it is in `turns`."""
        return self._tried(turns, min(self._written, len(turns) - 1))

    def cut(self, turns: Sequence[Sequence[Message]]) -> list[Notice]:
        """Forget what comes after `turns`."""
        self._written = min(self._written, len(turns))
        return self._tried(turns, self._written, cut=True)

    def _tried(self, turns: Sequence[Sequence[Message]], first: int, *, cut: bool = False) -> list[Notice]:
        if self.recorder is None:
            return []
        told = []
        try:
            if cut or self._failed:
                told.append(self.recorder.cut(first))
            for number in range(first, len(turns)):
                told.append(self.recorder.write(number, turns[number]))
                self._written = number + 1
        except GptossError as error:
            told += [] if self._failed else [f"not saved: {error}"]
            self._failed, self._written = True, min(first, self._written)
        else:
            told += [translated("saved again, with all that was said in between")] if self._failed else []
            self._failed = False
        return [Notice(text) for text in told if text]
