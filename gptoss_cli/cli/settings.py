"""`gptoss config`: the settings, where each value came from, and how they are changed."""

import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from gptoss_cli import names, terminal
from gptoss_cli.cli.models import opened
from gptoss_cli.config import (
    DEFAULT,
    FILE,
    OF_MODELS,
    SETTINGS,
    Places,
    Settings,
    canonical,
    head,
    of_model,
    read_file,
    spelt,
    tables,
)
from gptoss_cli.config import file as config_file
from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.language import translated

EDITORS = ("nano", "vim", "vi")  # the first that is there, when neither VISUAL nor EDITOR is set
FIRST_LINE = "# Settings of gptoss. `gptoss config list --origin` shows what there is and what is in force.\n"

config = typer.Typer(
    name="config", help="Settings: what is in force, and config.toml.", no_args_is_help=True, rich_markup_mode=None
)
Key = Annotated[str, typer.Argument(metavar="KEY", hidden=True)]
OfModel = Annotated[str | None, typer.Option("-m", "--model", metavar="NAME", help="For this model.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


@config.command("list")
def list_settings(
    origin: Annotated[bool, typer.Option("--origin", help="Who set each value, too.")] = False,
    model: OfModel = None,
    as_json: Json = False,
) -> None:
    """Every setting with the value in force: flag > environment > preset > config.toml > default.

    With --model, as a run of that model has them; without, what is set for all, then what config.toml sets for single
    models.
    """
    settings, file = _settings(model)
    rows = [(name, settings.value(name), settings.origin.get(name, DEFAULT)) for name in SETTINGS]
    if model is None:
        rows += _of_single_models(file)
    else:
        rows = [row for row in rows if row[0] in OF_MODELS]
    if as_json:
        told = [{"name": name, "value": value, "origin": source} for name, value, source in rows]
        _print(json.dumps(told, ensure_ascii=False))
        return
    plain = not sys.stdout.isatty()
    lines = [(name, written(value) or ("" if plain else "-"), source) for name, value, source in rows]
    titles = (translated("NAME"), translated("VALUE"), translated("ORIGIN"))
    width = 3 if origin else 2
    _print(*terminal.table(titles[:width], [line[:width] for line in lines], plain=plain))


@config.command("get")
def get(key: Key, model: OfModel = None, as_json: Json = False) -> None:
    """The value in force of one setting, alone; an empty line for one that has no value."""
    name = _known(key, model)
    value = _settings(model)[0].value(name)
    _print(json.dumps(value, ensure_ascii=False) if as_json else written(value))


# a value may begin with -: `gpu_layers -1`
@config.command("set", context_settings={"ignore_unknown_options": True})
def set_value(
    key: Key, value: Annotated[str, typer.Argument(metavar="VALUE", hidden=True)], model: OfModel = None
) -> None:
    """Set KEY to VALUE in config.toml, for all models or for one; comments and order stay.

    Several stop texts are a JSON array: '["one", "two"]'.
    """
    name = _known(key, model)
    path = _path()
    config_file.put(path, name, _array(value) if name == "stop" else value, model)
    where = f"{path} {head(model)}" if model else str(path)
    _say(translated("{name} = {value} in {file}", name=name, value=value, file=where))
    _tell_who_wins(name, model)


@config.command("unset")
def unset(key: Key, model: OfModel = None) -> None:
    """Take KEY out of config.toml."""
    name = _known(key, model)
    path = _path()
    where = f"{path} {head(model)}" if model else str(path)
    if config_file.drop(path, name, model):
        _say(translated("{name} is no longer set in {file}", name=name, file=where))
    else:
        _say(translated("{name} was not set in {file}", name=name, file=where))


@config.command("path")
def path() -> None:
    """Where config.toml is, or would be."""
    _print(str(_path()))


@config.command("edit")
def edit() -> None:
    """Open config.toml in VISUAL, EDITOR or the editor that is there; what was saved is checked."""
    path = _path()
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(FIRST_LINE, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}") from error
    command = _editor()
    code = _run([*command, str(path)])
    read_file(path)
    if code:
        raise GptossError(f"the editor {command[0]} ended with {code}")


def written(value: object) -> str:
    """A value as `gptoss config set` takes it; empty for none."""
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _path() -> Path:
    return Places.of(os.environ).config_file


def _settings(model: str | None) -> tuple[Settings, Mapping[str, object]]:
    """What is in force, for all models or for a run of one; and the file."""
    file = read_file(_path())
    name, preset = "", {}
    if model is not None:
        name = model
        if not names.canonical(model):  # those have no preset, and need not be here
            found = opened().find(model)
            name, preset = found.name, dict(found.settings)
    return Settings.resolve(flags={}, environment=os.environ, preset=preset, file=file, model=name), file


def _tell_who_wins(name: str, model: str | None) -> None:
    """A line when what was set has no effect now."""
    try:
        settings, _ = _settings(model)
    except GptossError:  # the model is not here, or a variable is bad: whoever uses it is told
        return
    source = settings.origin.get(name, FILE)
    if not source.startswith(FILE):
        now = written(settings.value(name))
        _say(translated("{origin} goes before it: {name} is {value}", origin=source, name=name, value=now))


def _of_single_models(file: Mapping[str, object]) -> list[tuple[str, object, str]]:
    return [
        (f"models.{model}.{name}", value, f"{FILE} {head(model)}")
        for model, table in tables(file)
        for name, value in spelt(table, FILE, of_model).items()
    ]


def _known(key: str, model: str | None) -> str:
    """The setting that is meant. Raises BadInput, with the spelling that does it for `models.NAME.KEY`."""
    if key.startswith("models.") and key.count(".") >= 2:
        name, _, inner = key.removeprefix("models.").rpartition(".")
        raise BadInput(f"{key} is not how a setting of one model is named", hint=f"{inner} --model {shlex.quote(name)}")
    return canonical(key) if model is None else of_model(key)


def _array(text: str) -> object:
    """Several texts, when `text` is a JSON array; else itself."""
    if not text.startswith("["):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _editor() -> list[str]:
    for variable in ("VISUAL", "EDITOR"):
        if words := shlex.split(os.environ.get(variable, "")):
            return words
    found = next((each for each in EDITORS if shutil.which(each)), None)
    if found is None or not sys.stdin.isatty():
        raise BadInput("no editor to open it in", hint="set EDITOR, or use: gptoss config set KEY VALUE")
    return [found]


def _run(command: list[str]) -> int:
    """The exit code of an editor. Ctrl-C is the editor's while it runs."""
    import subprocess  # 5 ms: only for an editor

    try:
        process = subprocess.Popen(command)
    except OSError as error:
        raise BadInput(f"the editor {command[0]} cannot be started: {error.strerror}", hint="set EDITOR") from error
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _say(text: str) -> None:
    print(f"gptoss: {terminal.safe(text)}", file=sys.stderr)


def _print(*lines: str) -> None:
    """Lines on stdout; on a terminal without anything that it would obey."""
    for line in lines:
        print(terminal.safe(line) if sys.stdout.isatty() else line)
