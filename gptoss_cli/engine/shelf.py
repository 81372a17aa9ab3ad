"""Whole states of conversations that the context does not hold now: another session, say, that may come back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 256 << 20  # 10,000 tokens of the 20b


@dataclass(frozen=True)
class Whole:
    """What a context held: the ids, their state, and checkpoints of some beginnings of them, (length, window)."""

    ids: tuple[int, ...]
    state: Any
    windows: tuple[tuple[int, Any], ...] = ()

    @property
    def size(self) -> int:
        return len(self.state) + sum(len(window) for _, window in self.windows)

    def reach(self, wanted: Sequence[int]) -> int:
        """How many ids of `wanted` need not be evaluated with this."""
        return reach(self.ids, [length for length, _ in self.windows], wanted)


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def reach(ids: Sequence[int], checkpoints: Sequence[int], wanted: Sequence[int]) -> int:
    """How many ids of `wanted` a state of `ids` saves, which may be cut at one of `checkpoints`.

    The last id of `wanted` is always evaluated, for its logits; a window has all for a step back by one.
    """
    same = common(ids, wanted)
    length = min(same, len(wanted) - 1)
    if length >= len(ids) - 1:
        return length
    return min(max((each for each in checkpoints if each <= same), default=0), length)


class Shelf:
    """Wholes in memory, bounded; the least recently put goes first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._wholes: list[Whole] = []

    def put(self, whole: Whole) -> None:
        """Keep `whole` in place of those that are a beginning of it."""
        self._wholes = [each for each in self._wholes if each.ids != whole.ids[: len(each.ids)]] + [whole]
        while self._wholes and sum(each.size for each in self._wholes) > self._most_bytes:
            del self._wholes[0]

    def best(self, wanted: Sequence[int]) -> Whole | None:
        """The one that saves most of `wanted`."""
        return max(self._wholes, key=lambda each: each.reach(wanted), default=None)

    def take(self, whole: Whole) -> None:
        """Take it from the shelf: the context holds it now."""
        self._wholes = [each for each in self._wholes if each is not whole]

    def clear(self) -> None:
        self._wholes.clear()
