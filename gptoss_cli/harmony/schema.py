"""Tools as gpt-oss was taught to read them: JSON Schema to TypeScript, and the texts of the built-in tools.

Exact, quirks included: the model was trained on the output of openai/harmony's src/encoding.rs
(json_schema_to_typescript).
What would be lost there is rescued before, where a user's tools are loaded (harmony/tools).
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from gptoss_cli.messages import ToolNamespace, ToolSpec

Schema = Mapping[str, Any]  # Any: a JSON document


def tools_section(namespaces: Sequence[ToolNamespace]) -> str:
    """`# Tools` and each namespace, by name; "" without any."""
    if not namespaces:
        return ""
    return "\n\n".join(["# Tools", *map(namespace, sorted(namespaces, key=lambda each: each.name))])


def namespace(space: ToolNamespace) -> str:
    """One namespace: its description as comments (bare text where it has no tools) and its functions."""
    lines = _lines(space.description or "")
    if not space.tools:
        return "\n".join([f"## {space.name}", "", *lines])
    head = "".join(f"// {line}\n" for line in lines)
    tools = "".join(f"{tool(each)}\n\n" for each in space.tools)
    return f"## {space.name}\n\n{head}namespace {space.name} {{\n\n{tools}}} // namespace {space.name}"


def tool(spec: ToolSpec) -> str:
    """One function as a TypeScript type, its description above it."""
    comment = "".join(f"// {line}\n" for line in _lines(spec.description))
    argument = "" if spec.parameters is None else f"_: {typescript(spec.parameters)}"
    return f"{comment}type {spec.name} = ({argument}) => any;"


def _lines(text: str) -> list[str]:
    """As Rust's str::lines: only LF and CR LF end a line, and what follows the last one is no line if it is empty."""
    *ended, last = text.split("\n")
    return [line.removesuffix("\r") for line in ended] + ([last] if last else [])


def typescript(schema: Schema, indent: str = "") -> str:
    """The TypeScript type of `schema`; members of an object stand at `indent`."""
    if isinstance(schema.get("oneOf"), list):
        return "".join(f"\n{indent} | {_variant(each, indent)}{_variant_note(each)}" for each in _variants(schema))
    kind = schema.get("type")
    if isinstance(kind, list):
        names = ["number" if name == "integer" else name for name in kind if isinstance(name, str)]
        return " | ".join(names) or "any"
    match kind:
        case "object":
            return _object(schema, indent)
        case "string":
            return _string(schema)
        case "number" | "integer":
            return "number"
        case "boolean":
            return "boolean"
        case "array":
            items = schema.get("items")
            return f"{typescript(items, indent)}[]" if isinstance(items, Mapping) else _untyped_array(items)
        case _:
            return "any"


def _untyped_array(items: object) -> str:
    return "Array<any>" if items is None else "any[]"


def _string(schema: Schema) -> str:
    values = schema.get("enum")
    if not isinstance(values, list):
        return "string"
    return " | ".join(f'"{value}"' for value in values if isinstance(value, str)) or "string"


def _object(schema: Schema, indent: str) -> str:
    text = f"{indent}// {schema['description']}\n" if isinstance(schema.get("description"), str) else ""
    text += "{\n"
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    properties = schema.get("properties")
    for key, member in properties.items() if isinstance(properties, Mapping) else ():
        text += _member(key, member if isinstance(member, Mapping) else {}, key in names, indent)
    return text + indent + "}"


def _member(key: str, schema: Schema, required: bool, indent: str) -> str:
    head = _comments(schema, indent)
    mark = "" if required else "?"
    if isinstance(schema.get("oneOf"), list):
        return head + _one_of_member(f"{indent}{key}{mark}:", schema, indent)
    kind = typescript(schema, indent + "    ")
    if schema.get("nullable") is True and "null" not in kind:
        kind += " | null"
    note = f" // default: {_default(schema)}" if "default" in schema else ""
    return f"{head}{indent}{key}{mark}: {kind},{note}\n"


def _comments(schema: Schema, indent: str) -> str:
    text = ""
    if isinstance(title := schema.get("title"), str):
        text += f"{indent}// {title}\n{indent}//\n"
    if isinstance(schema.get("oneOf"), list):
        return text + _one_of_comments(schema, indent)
    if isinstance(description := schema.get("description"), str):
        text += f"{indent}// {description}\n"
    return text + _examples(schema, indent)


def _examples(schema: Schema, indent: str) -> str:
    examples = schema.get("examples")
    if not isinstance(examples, list) or not examples:
        return ""
    return f"{indent}// Examples:\n" + "".join(f'{indent}// - "{each}"\n' for each in examples if isinstance(each, str))


def _one_of_comments(schema: Schema, indent: str) -> str:
    text = ""
    description = schema.get("description")
    variants = _variants(schema)
    if isinstance(description, str) and not (variants and variants[0].get("description") == description):
        text += f"{indent}// {description}\n"
    text += _examples(schema, indent)
    if "default" in schema:
        text += f"{indent}// default: {_default(schema)}\n"
    return text


def _one_of_member(head: str, schema: Schema, indent: str) -> str:
    """A member with variants, one per line; a description that was printed above is not repeated."""
    shown = schema.get("description")
    lines = []
    for place, variant in enumerate(_variants(schema)):
        hidden = place == 0 and isinstance(shown, str) and shown != variant.get("description")
        hidden = hidden or (place > 0 and variant.get("description") == shown)
        lines.append(f"{indent} | {_variant(variant, indent)}{_variant_note(variant, hidden)}\n")
    return f"{head}\n{''.join(lines)}{indent},\n"


def _variants(schema: Schema) -> list[Schema]:
    return [each if isinstance(each, Mapping) else {} for each in schema["oneOf"]]


def _variant(schema: Schema, indent: str) -> str:
    kind = typescript(schema, indent + "   ")
    return kind + " | null" if schema.get("nullable") is True and "null" not in kind else kind


def _variant_note(schema: Schema, hidden: bool = False) -> str:
    parts = []
    if isinstance(description := schema.get("description"), str) and not hidden:
        parts.append(description)
    if "default" in schema:
        parts.append(f"default: {_default(schema)}")
    return f" // {' '.join(parts)}" if parts else ""


def _default(schema: Schema) -> str:
    value = schema["default"]
    if isinstance(value, str):
        return value if isinstance(schema.get("enum"), list) else f'"{value}"'
    return _json(value)


def _json(value: object) -> str:
    """Compact JSON as serde_json writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return _float(value)
        case int() if not -(2**63) <= value < 2**64:  # serde_json has no larger whole numbers
            return _float(float(value)) if abs(value) < 10**308 else "null"
        case list():
            return "[" + ",".join(map(_json, value)) + "]"
        case dict():
            return "{" + ",".join(f"{_json(key)}:{_json(each)}" for key, each in value.items()) + "}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _float(value: float) -> str:
    """1e21, 1e-7 and 0.00001, where Python writes 1e+21, 1e-07 and 1e-05; what is no number is null."""
    if not math.isfinite(value):
        return "null"
    mantissa, _, exponent = repr(value).partition("e")
    if exponent == "-05":
        sign = "-" if value < 0 else ""
        return f"{sign}0.0000{mantissa.replace('.', '').lstrip('-')}"
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


# Built-in tools, as in openai/harmony src/chat.rs (ToolNamespaceConfig::browser, ::python)
BROWSER = ToolNamespace(
    "browser",
    "Tool for browsing.\n"
    "The `cursor` appears in brackets before each browsing display: `[{cursor}]`.\n"
    "Cite information from the tool using the following format:\n"
    "`【{cursor}†L{line_start}(-L{line_end})?】`, for example: `【6†L9-L11】` or `【8†L3】`.\n"
    "Do not quote more than 10 words directly from the tool output.\n"
    "sources=web (default: web)",
    (
        ToolSpec(
            "search",
            "Searches for information related to `query` and displays `topn` results.",
            {
                "type": "object",
                "properties": {
                    "query": {"type": "string"},
                    "topn": {"type": "number", "default": 10},
                    "source": {"type": "string"},
                },
                "required": ["query"],
            },
        ),
        ToolSpec(
            "open",
            "Opens the link `id` from the page indicated by `cursor` starting at line number `loc`, showing `num_lines` lines.\n"  # noqa: E501
            "Valid link ids are displayed with the formatting: `【{id}†.*】`.\n"
            "If `cursor` is not provided, the most recent page is implied.\n"
            "If `id` is a string, it is treated as a fully qualified URL associated with `source`.\n"
            "If `loc` is not provided, the viewport will be positioned at the beginning of the document or centered on the most relevant passage, if available.\n"  # noqa: E501
            "Use this function without `id` to scroll to a new location of an opened page.",
            {
                "type": "object",
                "properties": {
                    "id": {"type": ["number", "string"], "default": -1},
                    "cursor": {"type": "number", "default": -1},
                    "loc": {"type": "number", "default": -1},
                    "num_lines": {"type": "number", "default": -1},
                    "view_source": {"type": "boolean", "default": False},
                    "source": {"type": "string"},
                },
            },
        ),
        ToolSpec(
            "find",
            "Finds exact matches of `pattern` in the current page, or the page given by `cursor`.",
            {
                "type": "object",
                "properties": {"pattern": {"type": "string"}, "cursor": {"type": "number", "default": -1}},
                "required": ["pattern"],
            },
        ),
    ),
)

PYTHON = ToolNamespace(
    "python",
    "Use this tool to execute Python code in your chain of thought. The code will not be shown to the user. This tool "
    "should be used for internal reasoning, but not for code that is intended to be visible to the user (e.g. when "
    "creating plots, tables, or files).\n\n"
    "When you send a message containing Python code to python, it will be executed in a stateful Jupyter notebook "
    "environment. python will respond with the output of the execution or time out after 120.0 seconds. The drive at "
    "'/mnt/data' can be used to save and persist user files. Internet access for this session is UNKNOWN. Depends on "
    "the cluster.",
)
