"""What Tab offers: commands, what may follow them, and the files after an @."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from gptoss_cli.repl.mentions import begun
from gptoss_cli.repl.visible import visible

MOST_FILES = 200

Words = Callable[[Sequence[str]], Iterable[str]]


class SlashCompleter(Completer):
    """after: command -> the words that may follow, given those that do already; files: commands that take a path."""

    def __init__(self, after: Callable[[], dict[str, Words]], files: frozenset[str]) -> None:
        self._after, self._files = after, files

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        if text.startswith("/") and "\n" not in text:
            yield from self._command(text, text.split()[-1] if not text[-1].isspace() else "")
        elif found := begun(text):
            yield from _mentioned(*found)

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
        if each.lower().startswith(word.lower()) and each.isprintable():
            yield Completion(each, -len(word))


def _paths(path: str) -> Iterator[Completion]:
    """The files whose path begins so."""
    name = os.path.split(path)[1]
    for each in _names(path):
        yield Completion(each, -len(name), display=visible(each))


def _mentioned(quote: str, path: str) -> Iterator[Completion]:
    """The same behind an @, in quotes where a blank or a quote would end the name."""
    folder, name = os.path.split(path)
    for each in _names(path):
        if not quote and not set(" \"'\u3000\u00a0") & set(each):
            yield Completion(each, -len(name), display=visible(each))
            continue
        mark = quote or ("'" if '"' in each else '"')
        if mark not in each:
            whole = mark + os.path.join(folder, each) + ("" if each.endswith("/") else mark)
            yield Completion(whole, -len(quote + path), display=visible(each))


def _names(path: str) -> list[str]:
    """The names of what begins with `path`, a folder's with its slash; hidden ones only after a dot.

    A name with the end of a line or a control character cannot stand in a line of text, and is left out.
    """
    folder, name = os.path.split(path)
    try:
        found = sorted(os.scandir(Path(folder).expanduser() if folder else "."), key=lambda entry: entry.name)
    except (OSError, ValueError, RuntimeError):  # no such folder; a zero byte; nobody's home
        return []
    shown = [each for each in found if each.name.startswith(name) and (name or not each.name.startswith("."))]
    return [each.name + ("/" if each.is_dir() else "") for each in shown if _can_stand(each.name)][:MOST_FILES]


def _can_stand(name: str) -> bool:
    return not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in name)
