"""A user's tools made fit for the model: names, schemas, and which tool a call means. Runs none of them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gptoss_cli.messages import ToolSpec

Schema = Mapping[str, Any]  # Any: a JSON document

# names that the model was trained on for tools of its own: a user's function of that name is called as if it were they
TRAINED = frozenset(("python", "browser", "bash", "container", "apply_patch", "repo_browser", "functions"))
BUILT_IN = ("browser.search", "browser.open", "browser.find", "python")
DEEPEST = 16  # levels of a schema; a recursive one ends there
PLAIN = frozenset(("string", "number", "integer", "boolean", "null", "object", "array"))


def normalise(spec: ToolSpec) -> ToolSpec:
    """`spec` with its schema in the words that are not lost when it is rendered (harmony/schema).

    References are resolved, choices of plain types joined, constants and numbered choices made visible, titles and
    defaults that say nothing dropped, and descriptions brought onto one line.
    """
    if spec.parameters is None:
        return spec
    return replace(spec, parameters=_Normaliser(spec.parameters).schema(spec.parameters, 0))


class _Normaliser:
    def __init__(self, root: Schema) -> None:
        self._root = root

    def schema(self, schema: Any, depth: int, key: str | None = None) -> dict[str, Any]:
        if not isinstance(schema, Mapping) or depth > DEEPEST:
            return {}
        fields = _choice(self._merged(self._resolved(schema, depth), depth))
        fields = _constants(fields)
        if _is_echo(fields.get("title"), key):
            fields.pop("title")
        if fields.get("default", 0) is None:
            fields.pop("default")
        if isinstance(fields.get("description"), str):
            fields["description"] = " ".join(fields["description"].split())
        return self._inside(fields, depth)

    def _inside(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        if isinstance(fields.get("properties"), Mapping):
            fields["properties"] = {
                str(name): self.schema(each, depth + 1, str(name)) for name, each in fields["properties"].items()
            }
        if isinstance(fields.get("items"), Mapping):
            fields["items"] = self.schema(fields["items"], depth + 1)
        for name in ("oneOf", "anyOf"):
            if isinstance(fields.get(name), list):
                fields[name] = [self.schema(each, depth + 1) for each in fields[name]]
        if "anyOf" in fields and "oneOf" not in fields:  # the renderer knows variants by this name only
            fields["oneOf"] = fields.pop("anyOf")
        fields.pop("$defs", None)
        fields.pop("definitions", None)
        return fields

    def _resolved(self, schema: Schema, depth: int) -> dict[str, Any]:
        """What a chain of local references leads to; members beside a reference win."""
        fields = dict(schema)
        for _ in range(DEEPEST - min(depth, DEEPEST)):
            reference = fields.pop("$ref", None)
            if not isinstance(reference, str):
                return fields
            fields = {**self._target(reference), **fields}
        fields.pop("$ref", None)
        return fields

    def _target(self, reference: str) -> Schema:
        """The part of the document that `#/$defs/Name` means (RFC 6901); nothing where there is none."""
        if not reference.startswith("#"):
            return {}
        part: Any = self._root
        for step in reference[1:].lstrip("/").split("/") if reference != "#" else ():
            part = part.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(part, Mapping) else None
        return part if isinstance(part, Mapping) else {}

    def _merged(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        """allOf: members of all parts together."""
        parts = fields.pop("allOf", None)
        for part in parts if isinstance(parts, list) else ():
            if not isinstance(part, Mapping):
                continue
            more = self._merged(self._resolved(part, depth + 1), depth + 1) if depth < DEEPEST else {}
            properties = {**_mapping(more.get("properties")), **_mapping(fields.get("properties"))}
            required = [*_list(fields.get("required")), *_list(more.get("required"))]
            fields = {**more, **fields}
            if properties:
                fields["properties"] = properties
            if required:
                fields["required"] = list(dict.fromkeys(required))
        return fields


def _choice(fields: dict[str, Any]) -> dict[str, Any]:
    """anyOf or oneOf of plain types is a list of types; a null among other variants makes them nullable."""
    for name in ("anyOf", "oneOf"):
        variants = fields.get(name)
        if not isinstance(variants, list) or not all(isinstance(each, Mapping) for each in variants):
            continue
        if variants and all(set(each) <= {"type", "title"} and each.get("type") in PLAIN for each in variants):
            del fields[name]
            fields["type"] = [each["type"] for each in variants]
            return fields
        solid = [each for each in variants if each.get("type") != "null"]
        if len(solid) == 1 and len(variants) == 2:
            del fields[name]
            return {**solid[0], **fields, "nullable": True}
    return fields


def _constants(fields: dict[str, Any]) -> dict[str, Any]:
    """A constant is a choice of one; choices that are no texts go into the description, where they are not lost."""
    if "const" in fields and "enum" not in fields:
        fields["enum"] = [fields.pop("const")]
    values = fields.get("enum")
    if not isinstance(values, list) or not values:
        return fields
    if all(isinstance(value, str) for value in values):
        fields.setdefault("type", "string")
        return fields
    del fields["enum"]
    if "type" not in fields:
        fields["type"] = list(dict.fromkeys(_type_of(value) for value in values))
    said = f"one of: {', '.join(json.dumps(value, ensure_ascii=False) for value in values)}"
    text = fields.get("description")
    fields["description"] = f"{text} ({said})" if isinstance(text, str) and text else said
    return fields


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
        case list():
            return "array"
        case _:
            return "object"


def _is_echo(title: Any, key: str | None) -> bool:
    """Whether a title only repeats its key, as generators of schemas write them: `file_path`, `File Path`."""
    return isinstance(title, str) and key is not None and _letters(title) == _letters(key)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.lower())


def _mapping(value: Any) -> Schema:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


@dataclass(frozen=True)
class Aliases:
    """What the model calls the user's functions, and back."""

    shown: Mapping[str, str]  # the user's name -> the model's
    meant: Mapping[str, str]  # the model's name -> the user's


def aliases(names: Iterable[str]) -> Aliases:
    """Names that are TypeScript identifiers and none that the model was trained on.

    A name that is fit as it is stays; where others fall together they get `_2`, `_3` and so on.
    """
    names = list(dict.fromkeys(names))
    fit = {name for name in names if _identifier(name) == name}
    shown: dict[str, str] = {name: name for name in names if name in fit}
    taken = set(fit)
    for name in names:
        if name in fit:
            continue
        base = alias = _identifier(name)
        number = 2
        while alias in taken:
            alias = f"{base}_{number}"
            number += 1
        taken.add(alias)
        shown[name] = alias
    return Aliases(shown, {alias: name for name, alias in shown.items()})


def _identifier(name: str) -> str:
    text = re.sub(r"[^\w$]", "_", name, flags=re.ASCII) or "_"
    if text[0].isdigit():
        text = f"_{text}"
    return f"user_{text}" if text in TRAINED else text


@dataclass(frozen=True)
class UnknownTool:
    """A call of something that is not there; `text` tells the model what is."""

    text: str


def resolve(recipient: str, offered: Sequence[str]) -> str | UnknownTool:
    """The full name of the offered tool that `recipient` means, or what to tell the model.

    offered: full names (`functions.f`, `browser.search`, `python`). Exact names first; then a built-in tool written as
    a function, and a function written without its namespace. Nothing is guessed beyond that.
    """
    if recipient in offered:
        return recipient
    inner = recipient.removeprefix("functions.")
    for name in (inner, f"functions.{recipient}"):
        if name in offered and (name in BUILT_IN or name.startswith("functions.")):
            return name
    if recipient.startswith("python") and "python" in offered and re.fullmatch(r"python\W.*", recipient):
        return "python"
    there = ", ".join(offered) if offered else "none"
    return UnknownTool(f"unknown tool {recipient}; the tools are: {there}")
