"""`gptoss import`: names for models that are on this machine already."""

import json
import os
import sys
from contextlib import closing
from typing import Annotated

import typer

from gptoss_cli import terminal
from gptoss_cli.cli.models import Json, Quiet, opened, print_lines
from gptoss_cli.errors import BadInput
from gptoss_cli.language import translated
from gptoss_cli.library.adopt import Imported, Skipped
from gptoss_cli.messages import Progress
from gptoss_cli.terminal import Screen, Viewer
from gptoss_cli.units import size

Source = Annotated[str, typer.Argument(metavar="PATH|lmstudio|llama.cpp|ollama", hidden=True)]


def import_models(
    source: Source,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Instead of the file's own.")] = None,
    convert: Annotated[bool, typer.Option("--convert", help="Make copies of files of Ollama's own layout.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give names to gpt-oss models that other tools have put on this machine; their files stay where they are.

    PATH is a GGUF, or a folder of them. Ollama's own gpt-oss is of a layout that llama.cpp cannot read: --convert
    makes a copy of it.
    """
    if not source:
        raise BadInput(
            "nothing to import", hint="give a .gguf, a folder of them, or a tool: lmstudio, llama.cpp, ollama"
        )
    screen = Screen(sys.stdout, sys.stderr, os.environ)
    view = Viewer(screen, show_answer=False)
    outcomes: list[Imported | Skipped] = []
    with closing(opened().import_(source, environment=os.environ, name=name, convert=convert)) as coming:
        try:
            for each in coming:
                if isinstance(each, Progress):
                    view.see(each)
                else:
                    outcomes.append(each)
        except BaseException:
            view.finish()
            _tell(screen, outcomes)
            if outcomes:  # what has been done is done
                _show(outcomes, as_json, quiet)
            raise
    view.finish()
    _tell(screen, outcomes)
    _show(outcomes, as_json, quiet)


def _tell(screen: Screen, outcomes: list[Imported | Skipped]) -> None:
    for each in outcomes:
        match each:
            case Skipped(_, problem, hint):
                screen.say(translated("skipped: {problem}", problem=f"{problem}; {hint}" if hint else problem))
            case Imported(note=str(note)):
                screen.say(f"{each.name}: {note}")
            case _:
                pass


def _show(outcomes: list[Imported | Skipped], as_json: bool, quiet: bool) -> None:
    imported = [each for each in outcomes if isinstance(each, Imported)]
    if as_json:
        print_lines(json.dumps([_object(each) for each in outcomes], ensure_ascii=False))
    elif quiet:
        print_lines(*dict.fromkeys(each.name for each in imported))
    elif imported:
        plain = not sys.stdout.isatty()
        words = str.format if plain else translated  # what programs read stays English
        rows = [(each.name, size(each.size_bytes), words(each.status), str(each.path)) for each in imported]
        titles = [words(title) for title in ("NAME", "SIZE", "STATUS", "WEIGHTS")]
        print_lines(*terminal.table(titles, rows, plain=plain))


def _object(each: Imported | Skipped) -> dict[str, object]:
    """What --json says of one file; the keys are stable."""
    told: dict[str, object] = {"weights": str(each.path), "size_bytes": each.size_bytes}
    match each:
        case Imported():
            return {"name": each.name, **told, "status": each.status, "problem": each.note}
        case Skipped():
            status = "skipped" if each.size_bytes is None else "convertible"
            return {"name": None, **told, "status": status, "problem": each.problem}
