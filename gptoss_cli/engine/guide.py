"""A guide at work: where in the automaton a reply is, what may come next, and which budget is used up."""

from typing import Any

from gptoss_cli.prompt import Budget, Guide

Ids = Any  # numpy.ndarray of ids; numpy is imported late


class Walk:
    """One reply's way through a guide. Not thread-safe."""

    def __init__(self, guide: Guide) -> None:
        self._states = guide.states
        self._budgets = guide.budgets
        self._left = [budget.limit for budget in guide.budgets]
        self._at = 0
        self._forced: set[int] = set()  # budgets whose ids were forced since the last sampled one
        self._arrays: dict[frozenset[int], Ids] = {}

    @property
    def allowed(self) -> Ids | None:
        """The ids that may be sampled now; None for any."""
        allowed = self._states[self._at].allowed
        return None if allowed is None else self._array(allowed)

    @property
    def banned(self) -> Ids | None:
        """The ids that may not be sampled now; None for none."""
        banned = self._states[self._at].banned
        return self._array(banned) if banned else None

    def spent(self) -> Budget | None:
        """The budget of the present state when it is used up: its forced ids come now, or generation ends."""
        place = self._states[self._at].budget
        if place is None or self._left[place] > 0:
            return None
        return Budget(0) if place in self._forced else self._budgets[place]  # a guide that only forces never ends

    def advance(self, id: int) -> None:
        """Go on with a sampled id."""
        state = self._states[self._at]
        if state.budget is not None:
            self._left[state.budget] -= 1
        self._at = state.follow.get(id, state.otherwise)
        self._forced.clear()

    def jump(self, state: int) -> None:
        """Go on in `state`, after the forced ids of the present one's budget."""
        if (place := self._states[self._at].budget) is not None:
            self._forced.add(place)
        self._at = state

    def _array(self, ids: frozenset[int]) -> Ids:
        import numpy  # here already: the sampler needs it

        if ids not in self._arrays:
            self._arrays[ids] = numpy.array(sorted(ids), dtype=numpy.int64)
        return self._arrays[ids]
