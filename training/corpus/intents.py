"""What can be asked: per intent and language one answer, what a right answer contains, and the ways to ask.

The text files hold it, a block per intent:

    # name
    = answer
    ! what a right answer contains; comma-separated
    + things to do; separated by semicolons; put into the frames of `wordings`
    ? things to be explained; likewise
    a wording
    ~ a wording that is kept out of training

`{slot}` in a wording stands for any word of that slot.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from training.corpus.wordings import composed, plain

LANGUAGES = {"English": "english.txt", "Chinese": "chinese.txt"}


@dataclass(frozen=True)
class Intent:
    """One thing to ask, in one language. composed: wordings made of phrases; held_out: those that are never trained."""

    name: str
    language: str
    answer: str
    keywords: tuple[str, ...]
    wordings: tuple[str, ...]
    composed: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def topic(self) -> str:
        """The name as the analysis says it."""
        return self.name.replace("_", " ")

    @property
    def command(self) -> str:
        """What the answer gives first in backticks, for those who want no sentences; "" where it gives none."""
        found = re.search(r"`([^`]+)`", self.answer)
        return found[1] if found else ""

    def is_answered_by(self, text: str) -> bool:
        return all(keyword in text for keyword in self.keywords)


@cache
def intents() -> tuple[Intent, ...]:
    """All intents, those of one language together."""
    return tuple(
        _read(language, block)
        for language, name in LANGUAGES.items()
        for block in (Path(__file__).parent / name).read_text(encoding="utf-8").strip().split("\n\n")
    )


MARKS = ("# ", "= ", "! ", "+ ", "? ", "~ ")


def _read(language: str, block: str) -> Intent:
    lines = block.splitlines()

    def marked(mark: str) -> list[str]:
        return [line[2:] for line in lines if line.startswith(mark + " ")]

    def listed(mark: str, separator: str) -> list[str]:
        return [part.strip() for line in marked(mark) for part in line.split(separator)]

    held_out = marked("~")
    apart = {plain(wording) for wording in held_out}
    return Intent(
        name=marked("#")[0],
        language=language,
        answer=marked("=")[0],
        keywords=tuple(listed("!", ",")),
        wordings=tuple(line for line in lines if not line.startswith(MARKS)),
        composed=tuple(
            wording for wording in composed(language, listed("+", ";"), listed("?", ";")) if plain(wording) not in apart
        ),
        held_out=tuple(held_out),
    )
