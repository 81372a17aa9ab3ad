"""What an engine reads: a prompt of token ids, and a guide that says which ids may follow. Knows no text, no roles."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Prompt:
    """Token ids to continue.

    marks: lengths whose state is worth keeping. stop: ids that end generation (yielded, not decoded).
    room: how many new tokens the caller wants to be able to sample; the context is chosen to hold len(tokens) + room.
    """

    tokens: tuple[int, ...]
    marks: tuple[int, ...] = ()
    stop: frozenset[int] = frozenset()
    room: int = 0


@dataclass(frozen=True)
class State:
    """One state of a guide: which ids may be sampled in it, and where each leads.

    allowed: None for any id. banned: never sampled here. follow: the next state after an id; every other id leads to
    `otherwise`.
    budget: index into Guide.budgets of the counter that each id sampled in this state takes one from.
    """

    allowed: frozenset[int] | None
    follow: Mapping[int, int] = field(default_factory=dict)
    otherwise: int = 0
    budget: int | None = None
    banned: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Budget:
    """A limit on the ids sampled in the states that name it.

    Used up: the ids `forced` are yielded and decoded as if sampled, and generation goes on in state `then`;
    with `then` None it ends there, with finish `length`.
    """

    limit: int
    forced: tuple[int, ...] = ()
    then: int | None = None


@dataclass(frozen=True)
class Guide:
    """A finite automaton over token ids, in state 0 before the first sampled one. Data that can cross processes."""

    states: tuple[State, ...]
    budgets: tuple[Budget, ...] = ()
