"""What Tab asks the program for: names of models and saved chats, at once. Knows no shell and no Typer.

One candidate per line, and a tab before what describes it. Only what can be shown and typed as it is: a name with a
control character is left out, whatever is broken offers nothing, and nothing is ever said on stderr.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from gptoss_cli import names
from gptoss_cli.config import Places
from gptoss_cli.errors import GptossError
from gptoss_cli.names import HubReference

MOST_SESSIONS = 100  # the newest; more would only fill the screen
LONGEST_TITLE = 60
TINY = "tiny"

Candidate = tuple[str, str]  # what is typed, what describes it


def answer(arguments: Sequence[str]) -> None:
    """Print what there is of `models` or `sessions`; nothing for another word. For the end of a process."""
    lines = offered(arguments[0] if arguments else "", os.environ)
    try:
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except (OSError, AttributeError):  # nobody reads it
        sys.stdout = None


def offered(kind: str, environment: Mapping[str, str]) -> list[str]:
    """The lines of an answer."""
    ask = {"models": models, "sessions": sessions}.get(kind)
    if ask is None:
        return []
    try:
        return [f"{value}\t{_shown(told)}" for value, told in ask(Places.of(environment)) if _can_be_typed(value)]
    except (GptossError, OSError, ValueError, RuntimeError):  # the shell's prompt is no place for a message
        return []


def models(places: Places) -> Iterator[Candidate]:
    """The names of `gptoss list`, in its order."""
    from gptoss_cli.store import Manifest, Store  # each only for its own question: 10 ms

    try:
        for each in Store(places.data).all():
            yield str(each.name), each.base if isinstance(each, Manifest) else "damaged"
        yield from _fetched(places.data)
    except (GptossError, OSError, ValueError):  # what can be told is told
        pass
    yield TINY, "built in"


def sessions(places: Places) -> Iterator[Candidate]:
    """The ids of the saved chats, the one that changed last first, then the names that are one chat's alone."""
    from gptoss_cli.history import History

    if not places.sessions.is_file():
        return
    with closing(History(places.sessions)) as history:
        found = history.sessions(MOST_SESSIONS)
    for each in found:
        yield each.id, each.name or each.title
    called = [each.name for each in found]
    for each in found:
        if each.name and called.count(each.name) == 1:
            yield each.name, each.title


def _fetched(data: Path) -> Iterator[Candidate]:
    """Builds of the catalogue that are in the cache, and what was pulled by a reference to the Hub."""
    from gptoss_cli.downloads import Downloads
    from gptoss_cli.hub import cache

    known: set[Path] = set()
    for name, repositories in names.BUILDS.items():
        for repository in repositories:
            if (path := cache.cached(HubReference(repository))) is not None:
                known.add(path)
                yield name, repository
                break
    for each in Downloads(data).all():
        if each.snapshot not in known and each.snapshot.is_file():
            yield each.name, each.repository


def _can_be_typed(value: str) -> bool:
    """Without controls, ends of lines, half characters, and what turns the direction of writing."""
    return bool(value.strip()) and value.isprintable()


def _shown(text: str) -> str:
    clean = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return clean if len(clean) <= LONGEST_TITLE else clean[: LONGEST_TITLE - 1] + "…"
