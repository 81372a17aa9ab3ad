"""What was typed before: one file for all chats, one entry per line however many lines it has."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit.history import History

from gptoss_cli.errors import GptossError
from gptoss_cli.files import write_whole

MOST_ENTRIES = 10_000
LARGEST_ENTRY = 100_000  # characters; a longer paste is not worth keeping
LOCK_WITHIN_S = 2.0


class InputHistory(History):
    """The entries in the file at `path` (0600), which is made when there is something to keep.

    An entry that begins with a blank is not kept, as in shells. expand: what a chip in an entry stands for.
    """

    def __init__(self, path: Path, expand: Callable[[str], str]) -> None:
        super().__init__()
        self._path, self._expand = path, expand
        self.enabled = True

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
        return reversed(self._entries())

    def append_string(self, string: str) -> None:
        text = self._expand(string)
        if text.startswith((" ", "\t")) or not text.strip() or text in self.get_strings()[-1:]:
            return
        super().append_string(text)

    def store_string(self, string: str) -> None:
        if not self.enabled or len(string) > LARGEST_ENTRY:
            return
        from filelock import FileLock, Timeout

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock", timeout=LOCK_WITHIN_S, mode=0o600):
                self._append(json.dumps(string, ensure_ascii=False) + "\n")
        except (OSError, Timeout, GptossError):
            self.enabled = False  # a full disk must not end a chat; what is typed now is still there in this one

    def _append(self, line: str) -> None:
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            lines = file.read().split(b"\n")
            if lines[-1]:  # the end of a write that was cut off
                file.write(b"\n")
            file.write(line.encode("utf-8", errors="replace"))
        if len(lines) > 2 * MOST_ENTRIES:
            write_whole(self._path, "".join(f"{each}\n" for each in self._lines()[-MOST_ENTRIES:]))

    def _lines(self) -> list[str]:
        return [line for line in self._path.read_text(encoding="utf-8", errors="replace").split("\n") if line]

    def _entries(self) -> list[str]:
        try:
            lines = self._lines()  # by line feeds only: Unicode has other ends of lines
        except OSError:
            return []
        entries = []
        for line in lines[-MOST_ENTRIES:]:
            try:
                entry = json.loads(line)
            except ValueError:  # the end of a write that was cut off
                continue
            if isinstance(entry, str):
                entries.append(entry)
        return entries
