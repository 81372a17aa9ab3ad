"""config.toml, changed one setting at a time: comments, order and everything else stay as they are.

A changed text is read back before it is written, so that nothing but the one setting can differ.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gptoss_cli.config import SPELLINGS, canonical, checked, head, of_model, read_file, same_model, tables
from gptoss_cli.errors import BadInput
from gptoss_cli.files import locked, write_whole
from gptoss_cli.options import NO_LIMIT

Table = MutableMapping[str, Any]


def put(path: Path, name: str, value: object, model: str | None = None) -> None:
    """Set `name` in the file at `path`, which need not exist yet; in the table of `model` if one is given.

    Raises BadInput for an unknown name, a bad value, and a file that has a mistake already, which is left alone.
    """
    known = canonical(name) if model is None else of_model(name)
    if any("\ud800" <= letter <= "\udfff" for letter in f"{value}{model or ''}"):  # bytes of an argument
        raise BadInput(f"the value of {known} or the model's name is not UTF-8")
    entry = _plain(checked(known, value))
    with _changing(path) as text:
        write_whole(path, _with(text, known, entry, model))


def drop(path: Path, name: str, model: str | None = None) -> bool:
    """Take `name` out of the file; whether it was there. Raises as `put`."""
    known = canonical(name) if model is None else of_model(name)
    with _changing(path) as text:
        changed = _without(text, known, model)
        if changed is not None:
            write_whole(path, changed)
    return changed is not None


@contextmanager
def _changing(path: Path) -> Iterator[str]:
    """The text of a file without mistakes, while no other gptoss changes it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{path.parent} cannot be made: {error.strerror}") from error
    with locked(path.resolve().with_name(".config.lock")):
        read_file(path)
        yield path.read_bytes().decode("utf-8-sig") if path.exists() else ""


def _with(text: str, name: str, value: Any, model: str | None) -> str:
    import tomlkit  # 30 ms: only when a file is changed

    document = tomlkit.parse(text)
    table = _table(document, model)
    wanted = _expected(text)
    target = _table(wanted, model)
    if target is None:
        assert model is not None
        target = wanted.setdefault("models", {}).setdefault(model, {})
    spelling = _spelling(target, name)
    target[spelling] = value
    if table is not None and spelling in table:
        table[spelling] = value
        changed = tomlkit.dumps(document)
    else:
        line = f"{spelling} = {tomlkit.item(value).as_string()}"
        changed = _inserted(text, line, model)
        if _expected(changed) != wanted and table is not None:  # the table stands inline, or as dotted keys
            table[spelling] = value
            changed = tomlkit.dumps(document)
    return _sure(changed, wanted)


def _without(text: str, name: str, model: str | None) -> str | None:
    import tomlkit

    document = tomlkit.parse(text)
    table = _table(document, model)
    spelling = _spelling(table, name) if table is not None else name
    if table is None or spelling not in table:
        return None
    wanted = _expected(text)
    target = _table(wanted, model)
    assert target is not None
    del target[spelling]
    del table[spelling]
    return _sure(tomlkit.dumps(document), wanted)


def _sure(text: str, wanted: Mapping[str, Any]) -> str:
    """`text`, when it says what is wanted and nothing else."""
    if _expected(text) != wanted:
        raise BadInput("the file is too intricate to be changed from here", hint="gptoss config edit opens it")
    return text


def _expected(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {"": text}  # equals nothing that is wanted


def _table(document: Table, model: str | None) -> Table | None:
    """Where the settings of `model`, or of all, stand; None when it has no table yet."""
    if model is None:
        return document
    found = [name for name, _ in tables(document) if same_model(name, model)]
    table: Table | None = document["models"][found[-1]] if found else None
    return table


def _spelling(table: Mapping[str, Any], name: str) -> str:
    """As the setting is called in this table, or would be."""
    spellings = [name, *(each for each, known in SPELLINGS.items() if known == name)]
    return next((each for each in spellings if each in table), name)


def _inserted(text: str, line: str, model: str | None) -> str:
    """`text` with one more entry at the end of a section: before the blank lines and comments above the next one."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)  # str.splitlines knows more ends of a line than TOML
    heads = _heads(lines)
    if model is None:
        start, end = 0, next(iter(heads), len(lines))
    else:
        start = next((place for place, name in heads.items() if name and same_model(name, model)), len(lines))
        end = next((place for place in heads if place > start), len(lines))
    if model is not None and start == len(lines):
        above = "" if not lines else newline if lines[-1].endswith("\n") else 2 * newline
        return f"{text}{above}{head(model)}{newline}{line}{newline}"
    place = end
    if end < len(lines):
        while place > start and lines[place - 1].lstrip().startswith("#"):
            place -= 1
    while place > start and not lines[place - 1].strip():
        place -= 1
    before = "".join(lines[:place])
    if before and not before.endswith("\n"):
        before += newline
    gap = newline if place < len(lines) and lines[place].strip() else ""
    return f"{before}{line}{newline}{gap}{''.join(lines[place:])}"


def _heads(lines: list[str]) -> dict[int, str]:
    """The lines that begin a section, with the model each is for (empty for another)."""
    found = {}
    for place, line in enumerate(lines):
        if not re.match(r"\s*\[", line):
            continue
        try:
            tomllib.loads("".join(lines[:place]))  # or the line is in the middle of a value
            models = tomllib.loads(line).get("models")
        except tomllib.TOMLDecodeError:
            continue
        found[place] = next(iter(models), "") if isinstance(models, dict) else ""
    return found


def _plain(value: object) -> object:
    """A setting as TOML has it."""
    if value is None:  # TOML has no such thing
        return int(NO_LIMIT[0])
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, str) else value
