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
DEEPEST = 16  # levels of a schema
LARGEST = 2000  # schemas in one; a few references to references can make any number
PLAIN = frozenset(("string", "number", "integer", "boolean", "null", "object", "array"))


def normalise(spec: ToolSpec) -> ToolSpec:
    """`spec` with its schema in the words that are not lost when it is rendered (harmony/schema).

    References are resolved (inside its own target one becomes `any`), choices of plain types joined, constants and
    numbered choices made visible, titles and defaults that say nothing dropped, texts brought onto one line.
    """
    if spec.parameters is None:
        return spec
    return replace(spec, parameters=_Normaliser(spec.parameters).schema(spec.parameters, 0, frozenset(("#",))))


class _Normaliser:
    """One schema. `inside`: references whose targets are being written; one of them again would never end."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = LARGEST

    def schema(self, schema: Any, depth: int, inside: frozenset[str], key: str | None = None) -> dict[str, Any]:
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > DEEPEST or self._left < 0:
            return {}
        fields, inside = self._chosen(schema, inside)
        fields = _constants(fields)
        if _is_echo(fields.get("title"), key):
            fields.pop("title")
        if fields.get("default", 0) is None:
            fields.pop("default")
        for name in ("title", "description"):
            if isinstance(fields.get(name), str):
                fields[name] = " ".join(fields[name].split())
        return self._members(fields, depth, inside)

    def _members(self, fields: dict[str, Any], depth: int, inside: frozenset[str]) -> dict[str, Any]:
        if isinstance(fields.get("properties"), Mapping):
            fields["properties"] = {
                str(name): self.schema(each, depth + 1, inside, str(name))
                for name, each in fields["properties"].items()
            }
        if isinstance(fields.get("items"), Mapping):
            fields["items"] = self.schema(fields["items"], depth + 1, inside)
        for name in ("oneOf", "anyOf"):
            if isinstance(fields.get(name), list):
                fields[name] = [self.schema(each, depth + 1, inside) for each in fields[name]]
        if "anyOf" in fields and "oneOf" not in fields:  # the renderer knows variants by this name only
            fields["oneOf"] = fields.pop("anyOf")
        fields.pop("$defs", None)
        fields.pop("definitions", None)
        return fields

    def _chosen(self, schema: Schema, inside: frozenset[str]) -> tuple[dict[str, Any], frozenset[str]]:
        """The schema that is left when references, allOf and choices between it and nothing are taken away."""
        fields = dict(schema)
        for _ in range(DEEPEST):
            fields, inside = self._merged(fields, inside)
            chosen = self._choice(fields, inside)
            if chosen is None:
                break
            fields = chosen
        return fields, inside

    def _choice(self, fields: dict[str, Any], inside: frozenset[str]) -> dict[str, Any] | None:
        """anyOf or oneOf of plain types is a list of types; of one schema and null it is that one, nullable."""
        for name in ("anyOf", "oneOf"):
            variants = fields.get(name)
            if not isinstance(variants, list) or not all(isinstance(each, Mapping) for each in variants):
                continue
            looks = [self._merged(each, inside)[0] for each in variants]
            rest = {other: value for other, value in fields.items() if other != name}
            if looks and all(set(each) <= {"type", "title"} and each.get("type") in PLAIN for each in looks):
                return {**rest, "type": [each["type"] for each in looks]}
            solid = [each for each, look in zip(variants, looks, strict=True) if look.get("type") != "null"]
            if len(solid) == 1 and len(variants) <= 2:
                return {**solid[0], **rest, **({"nullable": True} if len(variants) == 2 else {})}
        return None

    def _merged(self, schema: Schema, inside: frozenset[str]) -> tuple[dict[str, Any], frozenset[str]]:
        """`schema` with what it refers to, and its allOf: members of all parts together."""
        fields, inside = self._resolved(schema, inside)
        parts = fields.pop("allOf", None)
        for part in parts if isinstance(parts, list) else ():
            self._left -= 1
            if not isinstance(part, Mapping) or self._left < 0:
                continue
            more, within = self._merged(part, inside)
            inside |= within
            properties = {**_mapping(more.get("properties")), **_mapping(fields.get("properties"))}
            required = [*_list(fields.get("required")), *_list(more.get("required"))]
            fields = {**more, **fields}
            if properties:
                fields["properties"] = properties
            if required:
                fields["required"] = list(dict.fromkeys(required))
        return fields, inside

    def _resolved(self, schema: Schema, inside: frozenset[str]) -> tuple[dict[str, Any], frozenset[str]]:
        """What a chain of local references leads to; members beside a reference win."""
        fields = dict(schema)
        while isinstance(reference := fields.pop("$ref", None), str) and reference not in inside:
            inside |= {reference}
            fields = {**self._target(reference), **fields}
        return fields, inside

    def _target(self, reference: str) -> Schema:
        """The part of the document that `#/$defs/Name` means (RFC 6901); nothing where there is none."""
        if not reference.startswith("#"):
            return {}
        part: Any = self._root
        for step in reference[1:].lstrip("/").split("/") if reference != "#" else ():
            part = part.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(part, Mapping) else None
        return part if isinstance(part, Mapping) else {}


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
