"""`gptoss ps` and `stop`: the models that are loaded, and giving their memory back."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from gptoss_cli import terminal
from gptoss_cli.cli.models import Json, Quiet, opened, print_lines
from gptoss_cli.engine.running import Running
from gptoss_cli.engine.wire import Status
from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.language import translated
from gptoss_cli.units import duration, size


def list_running(as_json: Json = False, quiet: Quiet = False) -> None:
    """The models that are loaded: name, size of the weights, memory, context, and how long each stays."""
    found = opened().running()
    if as_json:
        print_lines(json.dumps([_object(each) for each in found], ensure_ascii=False))
    elif quiet:
        print_lines(*(each.name for each in found))
    else:
        plain = not sys.stdout.isatty()
        words = str.format if plain else translated  # what programs read stays English
        titles = [words(title) for title in ("NAME", "SIZE", "MEMORY", "CONTEXT", "UNTIL")]
        rows = [(each.name, *_columns(each.status, words)) for each in found]
        print_lines(*terminal.table(titles, rows, plain=plain))


def stop(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", hidden=True)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are loaded.")] = False,
    quiet: Quiet = False,
) -> None:
    """Unload models; a reply that one is giving ends."""
    if bool(names) == everything:
        raise BadInput("name the models to stop, or --all" if not names else "--all needs no names")
    library = opened()
    failed: GptossError | None = None
    for name in names or [None]:  # type: ignore[list-item]
        try:
            for each in library.stop(name):
                if quiet:
                    print_lines(each.name)
                else:
                    print(terminal.safe(translated("stopped {name}", name=each.name)), file=sys.stderr)
        except GptossError as error:
            failed = failed or error
    if failed:
        raise failed


def _columns(status: Status | None, words: Any) -> tuple[str, str, str, str]:
    if status is None:
        return ("-", "-", "-", words("does not answer"))
    context = str(status.n_ctx) if status.n_ctx else "-"
    return (size(status.size_bytes), size(status.memory_bytes), context, _until(status, words))


def _until(status: Status, words: Any) -> str:
    if status.busy:
        return str(words("in use"))
    if status.left_s is None:
        return str(words("forever"))
    return str(words("in {time}", time=duration(status.left_s)))


def _object(each: Running) -> dict[str, object]:
    """Keys are added, never renamed. Of a process that does not answer, only it itself could tell the rest."""
    status = each.status
    if status is None:
        rest = ("size_bytes", "memory_bytes", "context", "busy", "waiting", "until")
        pid = each.owner.pid if each.owner else None
        known = {"name": each.name, "weights": each.model, "pid": pid}
        return {**known, **dict.fromkeys(rest), "answers": False, "problem": "does not answer"}
    until = None
    if status.left_s is not None and not status.busy:
        until = (datetime.now(UTC) + timedelta(seconds=status.left_s)).isoformat(timespec="seconds")
    return {
        "name": each.name,
        "weights": status.model,
        "pid": status.pid,
        "size_bytes": status.size_bytes,
        "memory_bytes": status.memory_bytes,
        "context": status.n_ctx or None,
        "busy": status.busy,
        "waiting": status.waiting,
        "until": until,
        "answers": True,
        "problem": None,
    }
