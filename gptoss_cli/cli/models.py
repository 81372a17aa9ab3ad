"""`gptoss list`, `show`, `where`, `cp`, `rm`: what is on this machine."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from gptoss_cli import terminal, weights
from gptoss_cli.cli.asking import can_ask
from gptoss_cli.cli.fit import fit_lines, fit_object
from gptoss_cli.config import Places
from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.language import translated
from gptoss_cli.library import Library
from gptoss_cli.library.describe import Words, model_object, parameter_lines, rows, summary
from gptoss_cli.library.model import TINY, Listed
from gptoss_cli.library.removal import Removal
from gptoss_cli.options import typed
from gptoss_cli.units import size

Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Names only.")]
Name = Annotated[str, typer.Argument(metavar="NAME", hidden=True)]
Names = Annotated[list[str], typer.Argument(metavar="NAME", hidden=True)]
Prefix = Annotated[str, typer.Argument(metavar="PREFIX", hidden=True)]


AGES = (
    (86400 * 365, "1 year ago", "{count} years ago"),
    (86400 * 30, "1 month ago", "{count} months ago"),
    (86400, "1 day ago", "{count} days ago"),
    (3600, "1 hour ago", "{count} hours ago"),
    (60, "1 minute ago", "{count} minutes ago"),
)


def opened() -> Library:
    """The library of this machine."""
    places = Places.of(os.environ)
    return Library(places.data, places.cache, places.runtimes)


def list_models(prefix: Prefix = "", as_json: Json = False, quiet: Quiet = False) -> None:
    """The models on this machine: name, size, when it was changed, and where the weights are.

    With PREFIX, only the names that begin so.
    """
    models = [each for each in opened().all() if each.name.lower().startswith(prefix.lower())]
    if as_json:
        print_lines(json.dumps([_listed_object(each) for each in models], ensure_ascii=False))
    elif quiet:
        print_lines(*(each.name for each in models))
    else:
        plain = not sys.stdout.isatty()
        words = str.format if plain else translated  # what programs read stays English
        rows = [
            (each.name, size(each.size_bytes), age(each.modified, words), each.problem or place(each, words))
            for each in models
        ]
        titles = [words(title) for title in ("NAME", "SIZE", "MODIFIED", "WEIGHTS")]
        print_lines(*terminal.table(titles, rows, plain=plain))


def show(
    name: Name,
    modelfile: Annotated[bool, typer.Option("--modelfile", help="A Modelfile that makes the same model.")] = False,
    system: Annotated[bool, typer.Option("--system", help="The system text only.")] = False,
    parameters: Annotated[bool, typer.Option("--parameters", help="The parameters only.")] = False,
    template: Annotated[bool, typer.Option("--template", help="The chat template only.")] = False,
    license: Annotated[bool, typer.Option("--license", help="The license only.")] = False,
    fit: Annotated[bool, typer.Option("--fit", help="What it takes of this machine's memory.")] = False,
    num_ctx: Annotated[
        str | None, typer.Option(metavar="N", help="With --fit: the length of the context. [8192]")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a model is: weights, parameters, system text."""
    if num_ctx is not None and not fit:
        raise BadInput("--num-ctx goes with --fit")
    if fit:
        if any((modelfile, system, parameters, template, license)):
            raise BadInput("--fit goes with --json and --num-ctx only")
        _show_fit(name, num_ctx, as_json)
        return
    selected = [each for each in (modelfile, system, parameters, template, license, as_json) if each]
    if len(selected) > 1:
        raise BadInput("only one of --modelfile, --system, --parameters, --template, --license and --json can be given")
    library = opened()
    file = library.modelfile(name)
    if modelfile:
        print_lines(str(file).rstrip("\n"))
        return
    if system:
        print_lines(file.last("system") or "")
        return
    if parameters:
        print_lines(*parameter_lines(file))
        return
    told = model_object(library.find(name))
    if as_json:
        print_lines(json.dumps(told, ensure_ascii=False))
    elif template:
        print_lines(told["template"] or "")
    elif license:
        print_lines(told["license"] or "")
    elif sys.stdout.isatty():
        print_lines(*summary(told, file, translated))
    else:
        print_lines(*("\t".join(row) for row in rows(told)))


def _show_fit(name: str, num_ctx: str | None, as_json: bool) -> None:
    n_ctx = None if num_ctx is None else int(str(typed("num_ctx", num_ctx)))
    known = opened()
    told = known.fit(known.find(name), n_ctx)
    print_lines(*([json.dumps(fit_object(name, told), ensure_ascii=False)] if as_json else fit_lines(told)))


def where(name: Name, as_json: Json = False) -> None:
    """The file that holds a model's weights; all of its parts when it is split."""
    files = [str(part) for part in weights.parts(opened().find(name).weights)]
    print_lines(*([json.dumps({"name": name, "weights": files}, ensure_ascii=False)] if as_json else files))


def copy(
    source: Annotated[str, typer.Argument(metavar="SOURCE", hidden=True)],
    target: Annotated[str, typer.Argument(metavar="TARGET", hidden=True)],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give a model a second name; weights are not copied."""
    opened().copy(source, target)
    if as_json:
        print_lines(json.dumps({"name": target, "source": source}, ensure_ascii=False))
    elif quiet:
        print_lines(target)
    else:
        print(terminal.safe(translated("copied {source} to {target}", source=source, target=target)), file=sys.stderr)


def remove(
    names: Names,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forget models by name. Weights go with them when gptoss fetched or made them and nothing else uses them.

    Asks on a terminal only; a script is taken at its word.
    """
    known = opened()
    removed: list[Removal] = []
    failed: GptossError | None = None
    for name in _named_first(known, names):
        try:
            if not yes and can_ask() and not _agreed(known.removal(name)):
                continue
            removed.append(known.remove(name))
        except GptossError as error:
            failed = failed or error
        else:
            if quiet:
                print_lines(removed[-1].name)
            elif not as_json:
                _tell_removed(removed[-1])
    if as_json:
        print_lines(json.dumps([_removed_object(each) for each in removed], ensure_ascii=False))
    if failed:
        raise failed


def _named_first(known: Library, names: list[str]) -> list[str]:
    """Those that others are made from come last."""
    return sorted(dict.fromkeys(names), key=lambda name: known.is_named(name), reverse=True)


def _agreed(removal: Removal) -> bool:
    name = terminal.safe(removal.name)
    if removal.size_bytes:
        question = translated("Remove {name} and free {size}?", name=name, size=size(removal.size_bytes))
    else:
        question = translated("Remove {name}?", name=name)
    return typer.confirm(question, err=True)


def _tell_removed(removal: Removal) -> None:
    name = terminal.safe(removal.name)
    if removal.size_bytes:
        told = translated("removed {name}, {size} freed", name=name, size=size(removal.size_bytes))
    else:
        told = translated("removed {name}", name=name) + (f" ({removal.stays})" if removal.stays else "")
    print(terminal.safe(told), file=sys.stderr)


def _removed_object(removal: Removal) -> dict[str, object]:
    return {
        "name": removal.name,
        "freed_bytes": removal.size_bytes,
        "files": list(map(str, removal.files)),
        "kept": removal.stays,
    }


def age(moment: str, words: Words = str.format) -> str:
    """How long ago an ISO time was: `3 hours ago`; `-` for none."""
    if not moment:
        return "-"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    for length, one, several in AGES:
        if seconds >= length:
            count = int(seconds // length)
            return words(several if count > 1 else one, count=count)
    return words("just now")


def place(listed: Listed, words: Words = str.format) -> str:
    if listed.name == TINY:
        return words("built in")
    return str(listed.weights) if listed.base == str(listed.weights) else f"{listed.base}: {listed.weights}"


def _listed_object(each: Listed) -> dict[str, object]:
    return {
        "name": each.name,
        "base": each.base,
        "size_bytes": each.size_bytes,
        "modified": each.modified or None,
        "weights": str(each.weights) if each.weights else None,
        "problem": each.problem,
    }


def print_lines(*lines: str) -> None:
    """Lines on stdout; on a terminal without anything that it would obey."""
    for line in lines:
        print(terminal.safe(line) if sys.stdout.isatty() else line)
