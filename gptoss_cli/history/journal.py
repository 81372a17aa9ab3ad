"""One session as it goes on, written down: at most a second of an answer is lost whatever happens to the process."""

import time
from collections.abc import Sequence

from gptoss_cli.history import History
from gptoss_cli.messages import Message

EVERY_S = 0.5  # a commit in WAL mode takes a millisecond


class Journal:
    """Writes the turns of the session `id`. For one thread.

    When another process goes on with the same session, what follows here goes to a copy, whose id is `id` then.
    """

    def __init__(self, history: History, id: str) -> None:
        """Raises GptossError."""
        self._history, self.id = history, id
        self._turns = history.length(id)  # what is there beyond that, somebody else has said
        self._written_at = self._asked_at = 0.0

    def write(self, turn: int, messages: Sequence[Message]) -> str:
        """Make `messages` all that turn number `turn` has. What the user should know, or "". Raises GptossError."""
        notice = self._leave_to_others(turn)
        self._history.write(self.id, turn, messages)
        self._turns = max(self._turns, turn + 1)
        self._written_at = time.monotonic()
        return notice

    def _leave_to_others(self, turn: int) -> str:
        """What somebody else has said stays theirs: from turn number `turn` on it goes on in a copy."""
        if self._history.length(self.id) <= max(turn, self._turns):
            return ""
        notice = f"somebody else goes on with the session {self.id}; what is said here is saved as "
        self.id = self._history.copy(self.id, turn).id
        self._turns = min(self._turns, turn)
        return notice + self.id

    def due(self) -> bool:
        """Whether what streams should be written again now, because the next piece may come too late.

        To be asked at every piece: where they come slowly, each is written.
        """
        now = time.monotonic()
        pause_s, self._asked_at = now - self._asked_at, now
        return now + pause_s - self._written_at >= EVERY_S

    def cut(self, turn: int) -> str:
        """Forget the turns from number `turn` on. What the user should know, or "". Raises GptossError."""
        notice = self._leave_to_others(turn)
        self._history.cut(self.id, turn)
        self._turns = min(self._turns, turn)
        return notice
