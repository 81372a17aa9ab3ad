"""What Tab offers: commands, what may follow them, and the files after an @."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

MOST_FILES = 200

Words = Callable[[Sequence[str]], Iterable[str]]


class SlashCompleter(Completer):
    """after: command -> the words that may follow, given those that do already; files: commands that take a path."""

    def __init__(self, after: Callable[[], dict[str, Words]], files: frozenset[str]) -> None:
        self._after, self._files = after, files

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        word = text.split()[-1] if text and not text[-1].isspace() else ""
        if text.startswith("/") and "\n" not in text:
            yield from self._command(text, word)
        elif word.startswith("@"):
            yield from _paths(word[1:])

    def _command(self, text: str, word: str) -> Iterator[Completion]:
        known = self._after()
        command, *given = text.split()
        if not given and word:
            yield from _starting(word, known)
        elif command in self._files:
            yield from _paths(text.split(maxsplit=1)[1] if given else "")
        elif command in known:
            yield from _starting(word, known[command](given[:-1] if word else given))


def _starting(word: str, words: Iterable[str]) -> Iterator[Completion]:
    for each in words:
        if each.lower().startswith(word.lower()):
            yield Completion(each, -len(word))


def _paths(begun: str) -> Iterator[Completion]:
    """The files whose path begins so; hidden ones only after a dot."""
    folder, name = os.path.split(begun)
    try:
        found = sorted(os.scandir(Path(folder).expanduser() if folder else "."), key=lambda entry: entry.name)
    except OSError:
        return
    shown = [each for each in found if each.name.startswith(name) and (name or not each.name.startswith("."))]
    for each in shown[:MOST_FILES]:
        ending = "/" if each.is_dir() else ""
        yield Completion(each.name + ending, -len(name))
