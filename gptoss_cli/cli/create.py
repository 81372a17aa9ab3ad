"""`gptoss create`: a model from a Modelfile."""

import json
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from gptoss_cli import encoding, modelfile, terminal
from gptoss_cli.cli.models import opened
from gptoss_cli.cli.offer import offered
from gptoss_cli.errors import BadInput, ModelNotFound
from gptoss_cli.language import translated
from gptoss_cli.library import Library
from gptoss_cli.modelfile import Modelfile, Remark
from gptoss_cli.preset import read
from gptoss_cli.terminal import Screen

SUFFIX = ".Modelfile"
LARGEST = 4_000_000  # bytes of a Modelfile; a license may be long
Text = str | None


def create(
    name: Annotated[Text, typer.Argument(metavar="NAME", hidden=True)] = None,
    file: Annotated[Text, typer.Option("-f", "--file", metavar="FILE|-", help="The Modelfile. [Modelfile]")] = None,
    source: Annotated[Text, typer.Option("--from", metavar="MODEL", help="Instead of what FROM says.")] = None,
    preset: Annotated[Text, typer.Option("--preset", metavar="PRESET", help="One that comes with gptoss.")] = None,
    list_presets: Annotated[bool, typer.Option("--list-presets", help="The presets that come with gptoss.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say whether it could be made.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text, of --list-presets.")] = False,
) -> None:
    """Make the model NAME from a Modelfile: a model to start from, parameters, a system text, messages.

    Weights are not copied. A model of that name is replaced.
    """
    if list_presets:
        _list_presets(as_json)
        return
    if as_json:
        raise BadInput("--json goes with --list-presets", hint="gptoss show NAME --json tells what a model is")
    if name is None and not check:
        raise BadInput("no name for the model", hint="gptoss create NAME -f FILE")
    if file is not None and preset is not None:
        raise BadInput(f"-f {file} and --preset {preset}: give one of them")
    text, called, folder = _of_preset(preset) if preset is not None else _of_file(file)
    parsed = modelfile.parse(text, called)
    library = opened()
    if check or name is None:
        remarks = _checked(library, parsed, folder, source)
    else:
        remarks = _created(library, name, parsed, folder, source)
    _tell(remarks, called)
    fine = check or name is None
    done = translated("{file} is fine", file=called) if fine else translated("created {name}", name=name)
    print(terminal.safe(done), file=sys.stderr)


def _checked(library: Library, file: Modelfile, folder: Path, source: str | None) -> tuple[Remark, ...]:
    """The remarks. That the model of FROM is still to be fetched is no mistake of the file."""
    try:
        _, remarks = library.check(file, folder, source)
    except ModelNotFound as error:
        if not library.can_be_pulled(file.source if source is None else source):
            raise
        _, remarks = read(file)
        print(terminal.safe(f"gptoss: {error}; {error.hint}"), file=sys.stderr)
    return remarks


def _created(library: Library, name: str, file: Modelfile, folder: Path, source: str | None) -> tuple[Remark, ...]:
    """The remarks; what FROM names is fetched first when it is not here and the user agrees."""
    try:
        return library.create(name, file, folder, source)
    except ModelNotFound:
        screen = Screen(sys.stdout, sys.stderr, os.environ)
        if not offered(library, file.source if source is None else source, screen):
            raise
    return library.create(name, file, folder, source)


def presets() -> dict[str, str]:
    """The texts of the Modelfiles that come with the package, by name."""
    folder = resources.files("gptoss_cli") / "modelfiles"
    return {
        each.name.removesuffix(SUFFIX): each.read_text(encoding="utf-8")
        for each in folder.iterdir()
        if each.name.endswith(SUFFIX)
    }


def _list_presets(as_json: bool) -> None:
    found = sorted((name, _purpose(text)) for name, text in presets().items())
    if as_json:
        print(json.dumps([{"name": name, "purpose": purpose} for name, purpose in found], ensure_ascii=False))
        return
    titles = (translated("PRESET"), translated("PURPOSE"))
    for line in terminal.table(titles, found, plain=not sys.stdout.isatty()):
        print(line)


def _purpose(text: str) -> str:
    """What the first comment of a preset says."""
    return text.splitlines()[0].lstrip("# ")


def _of_preset(preset: str) -> tuple[str, str, Path]:
    found = presets()
    if preset not in found:
        raise ModelNotFound(f"unknown preset {preset}", hint="known: " + ", ".join(sorted(found)))
    return found[preset], preset + SUFFIX, Path.cwd()


def _of_file(file: str | None) -> tuple[str, str, Path]:
    """(text, what errors call it, where relative paths begin)."""
    if file == "-":
        return encoding.decode(sys.stdin.buffer.read(), "standard input"), "standard input", Path.cwd()
    path = Path(os.path.expanduser(file if file is not None else "Modelfile"))
    if file == "":
        raise BadInput("-f needs the name of a file, or - for standard input")
    try:
        with path.open("rb") as opened_file:
            data = opened_file.read(LARGEST + 1)
    except FileNotFoundError:
        hint = "gptoss create NAME -f FILE" if file is None else None
        raise ModelNotFound(f"no file at {path}", hint=hint) from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise BadInput(f"{path} is no Modelfile: it has more than {LARGEST:,} bytes")
    return encoding.decode(data, str(path)), str(path), path.parent


def _tell(remarks: tuple[Remark, ...], called: str) -> None:
    for remark in remarks:
        print(terminal.safe(f"gptoss: {called}:{remark.line}:{remark.column}: {remark.text}"), file=sys.stderr)
