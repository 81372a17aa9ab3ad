"""One thing that is wrong, and the command that mends it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """what: one line that says what is wrong. fix: what to do, a command where there is one. prevents: no answers."""

    what: str
    fix: str
    prevents: bool = False
