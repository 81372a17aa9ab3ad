"""What a call asks for: its arguments, mended where that is safe. Knows JSON and a tool's schema, runs nothing."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gptoss_cli.messages import ToolSpec

Arguments = Mapping[str, Any]  # Any: a JSON document
CODE_KEYS = ("code", "input", "script")  # under which models wrap the code that python wants raw


@dataclass(frozen=True)
class Repaired:
    """Arguments that can be used; repairs: what had to be mended, nothing for a well-formed call."""

    arguments: Arguments
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    """Arguments that cannot be used; `text` tells the model, which may send the call again."""

    text: str


def repair(body: str, spec: ToolSpec, *, complete: bool = True) -> Repaired | Unreadable:
    """The arguments in the body of a call of `spec`.

    What gpt-oss is known to write wrongly is mended: raw newlines in texts, a code fence, a list of one, text after the
    JSON, JSON in a JSON text, the name wrapped around the arguments, a bare text for the only required text. complete
    False: the call was cut off, and is never usable however it looks.
    """
    if not complete:
        return Unreadable("the call was cut off; send it again, with shorter arguments")
    if not body.strip():
        body = "{}"
    attempt = _Attempt()
    value = attempt.read(body)
    if isinstance(value, dict):
        return Repaired(attempt.unwrapped(value, spec), tuple(attempt.repairs))
    if (key := _only_text(spec)) and (text := _bare_text(body, value)) is not None:
        return Repaired({key: text}, (*attempt.repairs, "bare text"))
    return Unreadable(f"arguments are not valid JSON: {attempt.problem}; send the call again with one JSON object")


def code(body: str) -> str:
    """The code of a call of `python`: the body as it is, or what stands in a JSON object or a fence around it."""
    try:
        value = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return _unfenced(body) or body
    if isinstance(value, dict):
        for key in CODE_KEYS:
            if isinstance(value.get(key), str):
                return str(value[key])
    return body


class _Attempt:
    """One try to read a body; notes what it mended and what went wrong."""

    def __init__(self) -> None:
        self.repairs: list[str] = []
        self.problem = "no object"

    def read(self, body: str) -> Any:
        value = self._decode(body)
        if isinstance(value, str) and isinstance(inner := self._quiet(value), dict):
            self.repairs.append("JSON in a text")
            return inner
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            self.repairs.append("a list of one")
            return value[0]
        return value

    def _decode(self, body: str) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            # ValueError: a whole number of more than 4,300 digits is one, too
            self.problem = str(error) if isinstance(error, ValueError) else "nested too deeply"
        if (value := self._quiet(body)) is not None:
            self.repairs.append("raw control characters")
            return value
        fenced = _unfenced(body)
        if fenced is not None and (value := self._quiet(fenced)) is not None:
            self.repairs.append("a code fence")
            return value
        return self._first_value(fenced if fenced is not None else body)

    def _first_value(self, text: str) -> Any:
        text = text.strip()
        if not text.startswith(("{", "[")):
            return None
        try:
            value, _ = json.JSONDecoder(strict=False).raw_decode(text)
        except (ValueError, RecursionError):
            return None
        self.repairs.append("text after the JSON")
        return value

    def _quiet(self, text: str) -> Any:
        """The value of `text`, raw control characters allowed; None when it is no JSON."""
        try:
            return json.loads(text, strict=False)
        except (ValueError, RecursionError):
            return None

    def unwrapped(self, value: Arguments, spec: ToolSpec) -> Arguments:
        """The arguments in `{"name": the tool, "arguments": {...}}`, which some models write around them."""
        if value.get("name") not in (spec.name, f"functions.{spec.name}") or "name" in _properties(spec):
            return value
        for key in ("arguments", "parameters"):
            inner = value.get(key)
            if isinstance(inner, str):
                inner = self._quiet(inner)
            if isinstance(inner, dict) and set(value) == {"name", key}:
                self.repairs.append("the name around the arguments")
                return inner
        return value


def _bare_text(body: str, value: Any) -> str | None:
    """The text that was meant by a body that is no JSON, or only a JSON text; None when it may be broken JSON."""
    if isinstance(value, str):
        return value
    return body if value is None and not body.lstrip().startswith(("{", "[", "`" * 3, "null")) else None


def _unfenced(body: str) -> str | None:
    found = re.fullmatch(r"\s*(`{3,})[\w+-]*\n(.*?)\n?\1\s*", body, re.DOTALL)
    return found[2] if found else None


def _properties(spec: ToolSpec) -> Arguments:
    properties = (spec.parameters or {}).get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _only_text(spec: ToolSpec) -> str | None:
    """The name of the only required member, if it is a text."""
    required = (spec.parameters or {}).get("required")
    if not isinstance(required, list) or len(required) != 1:
        return None
    member = _properties(spec).get(required[0])
    return str(required[0]) if isinstance(member, Mapping) and member.get("type") == "string" else None
