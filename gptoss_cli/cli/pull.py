"""`gptoss pull`: weights from the Hugging Face Hub."""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Annotated

import typer

from gptoss_cli.cli.models import opened
from gptoss_cli.errors import GptossError
from gptoss_cli.language import translated
from gptoss_cli.library import Library
from gptoss_cli.library.pull import Fetching, FileStarted, Pulled, PullEvent, kept_bytes
from gptoss_cli.messages import Notice, Progress
from gptoss_cli.terminal import Screen, safe
from gptoss_cli.terminal.progress import Bar
from gptoss_cli.units import size

JSON_EVERY_S = 0.5


def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME", hidden=True)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON event per line, on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on stderr but errors.")] = False,
) -> None:
    """Fetch models into the cache that all Hugging Face tools share; what was interrupted goes on where it was.

    NAME is gpt-oss:20b, gpt-oss:120b, hf:OWNER/REPOSITORY, hf:OWNER/REPOSITORY:QUANT (or a file), or the address of a
    page of huggingface.co; several can be given.

    HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE and proxies are honoured.

    Events of --json, by "type": start (name, repository, revision, files, size_bytes, missing_bytes, place), progress
    (name, file, stage, done_bytes, total_bytes), notice (name, text), done (name, path, size_bytes, fetched_bytes),
    error (name, error).
    """
    library = opened()
    screen = Screen(sys.stdout, sys.stderr, os.environ, quiet or as_json)
    failed: GptossError | None = None
    for name in names:
        try:
            fetch(library, name, screen, as_json=as_json)
        except GptossError as error:
            failed = failed or error
            if as_json:
                _line("error", name=name, error={"code": error.code, "message": str(error), "hint": error.hint})
            elif len(names) > 1:
                lines = [f"gptoss: {error}", *([f"  {error.hint}"] if error.hint else [])]
                print(*map(safe, lines), sep="\n", file=sys.stderr)
    if failed is not None:
        raise failed if as_json or len(names) == 1 else typer.Exit(failed.exit_code)


def fetch(
    library: Library,
    name: str,
    screen: Screen,
    *,
    agreed: Callable[[Fetching], bool] = lambda _start: True,
    as_json: bool = False,
) -> bool:
    """Pull `name` and show how it goes; False when it is not here yet and agreed(what it takes) says no."""
    shown = _Json(name) if as_json else _Lines(name, screen)
    events = library.pull(name)
    try:
        with closing(events):
            for event in events:
                if isinstance(event, Fetching) and event.missing_bytes and not agreed(event):
                    return False
                shown.see(event)
    except Exception:
        shown.clear()
        raise
    except BaseException:  # a signal
        shown.clear()
        if shown.start is not None and (kept := kept_bytes(shown.start)):
            screen.say(
                translated(
                    "stopped; {size} kept: {command} goes on from there", size=size(kept), command=f"gptoss pull {name}"
                )
            )
        raise
    return True


class _Lines:
    """The events as lines for people."""

    def __init__(self, name: str, screen: Screen) -> None:
        self.start: Fetching | None = None
        self._name = name
        self._screen = screen
        self._bar = Bar(screen)
        self._file: FileStarted | None = None
        self._whole = False  # it has been read to its end
        self._began = 0.0

    def clear(self) -> None:
        self._bar.clear()

    def see(self, event: PullEvent) -> None:
        match event:
            case Fetching():
                self.start = event
                if event.missing_bytes:
                    kept = event.size_bytes - event.missing_bytes
                    here = translated(", {size} of it here already", size=size(kept)) if kept else ""
                    told = translated(
                        "{name}: {size} from {repository}",
                        name=self._name,
                        size=size(event.size_bytes),
                        repository=event.repository,
                    )
                    self._screen.say(told + here)
            case FileStarted():
                self._end_file()
                self._file, self._began, self._whole = event, time.monotonic(), False
                self._bar.begin(event.file.rpartition("/")[2])
            case Progress(stage, done, total):
                self._bar.at(stage, done, total)
                self._whole = (stage, done) == ("verify", total)
            case Notice(text):
                self._bar.clear()
                self._screen.say(text)
            case Pulled():
                self._end_file()
                self._bar.clear()
                if event.fetched_bytes == 0:
                    self._screen.say(translated("{name} is here: {path}", name=self._name, path=event.path))

    def _end_file(self) -> None:
        """What came next says that the hash was right."""
        if self._file is not None and self._whole:
            fetched = self._file.size_bytes - self._file.kept_bytes
            self._bar.end(self._file.size_bytes, fetched, time.monotonic() - self._began)
            self._file = None


class _Json:
    """The events as lines of JSON."""

    def __init__(self, name: str) -> None:
        self.start: Fetching | None = None
        self._name = name
        self._file = ""
        self._told_at = 0.0

    def clear(self) -> None:
        pass

    def see(self, event: PullEvent) -> None:
        match event:
            case Fetching():
                self.start = event
                _line(
                    "start",
                    name=self._name,
                    repository=event.repository,
                    revision=event.revision,
                    files=[{"file": file, "size_bytes": count} for file, count in event.files],
                    size_bytes=event.size_bytes,
                    missing_bytes=event.missing_bytes,
                    place=str(event.place),
                )
            case FileStarted(file):
                self._file = file
            case Progress(stage, done, total):
                now = time.monotonic()
                if now - self._told_at >= JSON_EVERY_S or done == total:
                    self._told_at = now
                    _line("progress", name=self._name, file=self._file, stage=stage, done_bytes=done, total_bytes=total)
            case Notice(text):
                _line("notice", name=self._name, text=text)
            case Pulled():
                _line(
                    "done",
                    name=self._name,
                    path=str(event.path),
                    size_bytes=event.size_bytes,
                    fetched_bytes=event.fetched_bytes,
                )


def _line(kind: str, **fields: object) -> None:
    """JSON itself escapes ESC, not the controls above it."""
    text = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    sys.stdout.write((safe(text) if sys.stdout.isatty() else text) + "\n")
    sys.stdout.flush()
