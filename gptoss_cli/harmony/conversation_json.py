"""openai-harmony's JSON of a conversation, read and checked. Knows the JSON's shape, not how it is rendered."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from gptoss_cli.errors import BadInput
from gptoss_cli.messages import (
    Channel,
    Content,
    Conversation,
    DeveloperContent,
    Effort,
    Message,
    Role,
    SystemContent,
    ToolNamespace,
    ToolSpec,
)

Choice = TypeVar("Choice", bound=StrEnum)
Shape = TypeVar("Shape")

DEEPEST = 128  # levels of a schema; serde_json's own limit, with which openai-harmony reads this JSON


def conversation(document: object) -> Conversation:
    """The conversation of `{"messages": [...]}`. Raises BadInput naming the wrong place: `messages[2].role`."""
    messages = _get(_shape(document, dict, "the conversation"), "messages", list, "")
    return Conversation(tuple(_message(each, f"messages[{place}]") for place, each in enumerate(messages)))


def tool_spec(document: object, where: str = "the tool") -> ToolSpec:
    """The tool of `{"name", "description", "parameters"}`. Raises BadInput."""
    fields = _shape(document, dict, where)
    parameters = _optional(fields, "parameters", dict, where)
    _check_depth(parameters, f"{where}.parameters")
    return ToolSpec(_get(fields, "name", str, where), _optional(fields, "description", str, where) or "", parameters)


def namespace(document: object, where: str = "the namespace") -> ToolNamespace:
    """The tools of `{"name", "description", "tools": [...]}`. Raises BadInput."""
    fields = _shape(document, dict, where)
    tools = _optional(fields, "tools", list, where) or []
    return ToolNamespace(
        _get(fields, "name", str, where),
        _optional(fields, "description", str, where),
        tuple(tool_spec(each, f"{where}.tools[{place}]") for place, each in enumerate(tools)),
    )


def _message(document: object, where: str) -> Message:
    fields = _shape(document, dict, where)
    role = _choice(Role, _get(fields, "role", str, where), f"{where}.role")
    channel = _optional(fields, "channel", str, where)
    if role is Role.TOOL and not fields.get("name"):
        raise BadInput(f"{where}.name is missing: a message of a tool needs the tool's name")
    return Message(
        role,
        _said(fields, where),
        channel=None if channel is None else _choice(Channel, channel, f"{where}.channel"),
        name=_optional(fields, "name", str, where),
        recipient=_optional(fields, "recipient", str, where),
        content_type=_optional(fields, "content_type", str, where),
    )


def _said(fields: Mapping[str, Any], where: str) -> tuple[Content, ...]:
    """A message's content; or its `text`, as `gptoss debug` writes the messages of a reply."""
    if "content" in fields or "text" not in fields:
        return _content(_get(fields, "content", object, where), f"{where}.content")
    return (_get(fields, "text", str, where),)


def _content(document: object, where: str) -> tuple[Content, ...]:
    if isinstance(document, str):
        return (document,)
    if isinstance(document, dict):
        return (_part(document, where),)
    parts = _shape(document, list, where)
    return tuple(_part(each, f"{where}[{place}]") for place, each in enumerate(parts))


def _part(document: object, where: str) -> Content:
    fields = _shape(document, dict, where)
    match _get(fields, "type", str, where):
        case "text":
            return _get(fields, "text", str, where)
        case "system_content":
            return _system(fields, where)
        case "developer_content":
            instructions = _optional(fields, "instructions", str, where)
            return DeveloperContent(instructions, _tools(fields, where))
        case kind:
            raise BadInput(f"{where}.type: {kind!r} is none of text, system_content, developer_content")


def _system(fields: Mapping[str, Any], where: str) -> SystemContent:
    """What is absent or null is left out of the prompt, as openai-harmony does with this JSON."""
    config = _optional(fields, "channel_config", dict, where)
    at = f"{where}.channel_config"
    channels = [] if config is None else _get(config, "valid_channels", list, at)
    effort = _optional(fields, "reasoning_effort", str, where)
    return SystemContent(
        identity=_optional(fields, "model_identity", str, where),
        knowledge_cutoff=_optional(fields, "knowledge_cutoff", str, where),
        date=_optional(fields, "conversation_start_date", str, where),
        effort=None if effort is None else _choice(Effort, effort.lower(), f"{where}.reasoning_effort"),
        channels=tuple(_choice(Channel, each, f"{at}.valid_channels[{place}]") for place, each in enumerate(channels)),
        channel_required=bool(config and _optional(config, "channel_required", bool, at)),
        tools=_tools(fields, where),
    )


def _tools(fields: Mapping[str, Any], where: str) -> tuple[ToolNamespace, ...]:
    spaces = _optional(fields, "tools", dict, where) or {}
    return tuple(namespace(each, f"{where}.tools.{name}") for name, each in spaces.items())


def _check_depth(document: object, where: str) -> None:
    """Rendering a schema is recursive. Raises BadInput for one that is nested without measure."""
    level, depth = [document], 0
    while level:
        level = [each for value in level for each in _inside(value)]
        depth += 1
        if depth > DEEPEST:
            raise BadInput(f"{where} is nested more than {DEEPEST} levels deep")


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _shape(value: object, kind: type[Shape], where: str) -> Shape:
    if not isinstance(value, kind):
        raise BadInput(f"{where}: {_KINDS[kind]} is expected, not {_KINDS.get(type(value), 'a number')}")
    return value


def _get(fields: Mapping[str, Any], name: str, kind: type[Shape], where: str) -> Shape:
    place = f"{where}.{name}" if where else name
    if name not in fields:
        raise BadInput(f"{place} is missing")
    return _shape(fields[name], kind, place)


def _optional(fields: Mapping[str, Any], name: str, kind: type[Shape], where: str) -> Shape | None:
    return None if fields.get(name) is None else _get(fields, name, kind, where)


def _choice(kind: type[Choice], value: object, where: str) -> Choice:
    text = _shape(value, str, where)
    try:
        return kind(text)
    except ValueError:
        raise BadInput(f"{where}: {text!r} is none of {', '.join(kind)}") from None


_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}
