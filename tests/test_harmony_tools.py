"""Tools of a user: schemas that survive rendering, names that the model can write, and which one a call means."""

from typing import Any

import pytest

from gptoss_cli.harmony.schema import tool
from gptoss_cli.harmony.tools import UnknownTool, aliases, normalise, resolve
from gptoss_cli.messages import ToolSpec


def parameters(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def normal(**properties: Any) -> Any:
    made = normalise(ToolSpec("f", "", parameters(**properties))).parameters
    assert made is not None
    return made["properties"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["string", "null"]}),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, {"type": ["integer", "string"]}),
        (
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}], "default": None},
            {"type": "string", "enum": ["a"], "nullable": True},
        ),
        ({"const": "x"}, {"enum": ["x"], "type": "string"}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "one of: 1, 2"}),
        (
            {"enum": [1, "a"], "description": "which"},
            {"type": ["number", "string"], "description": 'which (one of: 1, "a")'},
        ),
        ({"type": "string", "title": "My Key"}, {"type": "string"}),
        ({"type": "string", "title": "Other"}, {"type": "string", "title": "Other"}),
        ({"type": "string", "default": None}, {"type": "string"}),
        ({"type": "string", "default": "x"}, {"type": "string", "default": "x"}),
        ({"type": "string", "description": "a\n  b"}, {"type": "string", "description": "a b"}),
        (
            {"allOf": [{"type": "object", "properties": {"a": {}}, "required": ["a"]}, {"required": ["b"]}]},
            {"type": "object", "properties": {"a": {}}, "required": ["a", "b"]},
        ),
        (3, {}),
    ],
)
def test_a_member_is_brought_into_words_that_survive(given: Any, expected: Any) -> None:
    assert normal(my_key=given) == {"my_key": expected}


def test_references_are_resolved() -> None:
    schema = parameters(p={"$ref": "#/$defs/Point"}, q={"$ref": "#/$defs/a~1b", "description": "q"})
    schema["$defs"] = {
        "Point": {"type": "object", "properties": {"x": {"$ref": "#/$defs/a~1b"}}},
        "a/b": {"type": "number", "description": "number"},
    }
    made = normalise(ToolSpec("f", "", schema))
    assert tool(made) == (
        "type f = (_: {\np?: {\n    // number\n    x?: number,\n    },\n// q\nq?: number,\n}) => any;"
    )
    assert made.parameters is not None
    assert "$defs" not in made.parameters


def test_a_choice_between_a_reference_and_nothing_is_that_reference() -> None:
    schema = parameters(
        colour={"anyOf": [{"$ref": "#/$defs/Colour"}, {"type": "null"}], "default": None},
        text={"anyOf": [{"$ref": "#/$defs/Text"}, {"type": "null"}]},
        one={"allOf": [{"$ref": "#/$defs/Colour"}], "description": "which"},
    )
    schema["$defs"] = {
        "Colour": {"type": "string", "enum": ["red", "blue"], "title": "Colour"},
        "Text": {"type": "string", "title": "Text"},
    }
    assert tool(normalise(ToolSpec("f", "", schema))) == (
        'type f = (_: {\ncolour?: "red" | "blue" | null,\ntext?: string | null,\n'
        '// Colour\n//\n// which\none?: "red" | "blue",\n}) => any;'
    )


def test_a_schema_that_contains_itself_is_written_once() -> None:
    schema = parameters(left={"$ref": "#/$defs/Tree"}, right={"$ref": "#"})
    schema["$defs"] = {"Tree": parameters(left={"$ref": "#/$defs/Tree"}, value={"type": "number"})}
    assert tool(normalise(ToolSpec("f", "", schema))) == (
        "type f = (_: {\nleft?: {\n    left?: any,\n    value?: number,\n    },\nright?: any,\n}) => any;"
    )


def test_references_to_references_do_not_grow_without_measure() -> None:
    definitions = {
        f"d{level}": parameters(**{f"p{each}": {"$ref": f"#/$defs/d{level + 1}"} for each in range(10)})
        for level in range(12)
    }
    schema = parameters(p={"$ref": "#/$defs/d0"}, q={"allOf": [{"$ref": "#/$defs/d1"}] * 1000}) | {"$defs": definitions}
    made = normalise(ToolSpec("f", "", schema))
    assert len(tool(made)) < 500_000


def test_recursive_and_broken_references_end() -> None:
    schema = parameters(
        next={"$ref": "#"}, none={"$ref": "#/$defs/none"}, far={"$ref": "http://x/y"}, loop={"$ref": "#/$defs/a"}
    )
    schema["$defs"] = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
    made = normalise(ToolSpec("f", "", schema)).parameters
    assert made is not None
    assert made["properties"]["none"] == made["properties"]["far"] == made["properties"]["loop"] == {}


def test_a_function_without_parameters_stays_so() -> None:
    assert normalise(ToolSpec("f")).parameters is None


def test_names_become_identifiers_and_come_back() -> None:
    made = aliases(["get-weather", "get_weather", "get.weather", "python", "2x", "天氣", "ok"])
    assert made.shown["get_weather"] == "get_weather"
    assert made.shown["get-weather"] == "get_weather_2"
    assert made.shown["get.weather"] == "get_weather_3"
    assert made.shown["python"] == "user_python"
    assert made.shown["2x"] == "_2x"
    assert made.shown["ok"] == "ok"
    assert all(made.meant[alias] == name for name, alias in made.shown.items())
    assert all(alias.isascii() and alias.isidentifier() for alias in made.meant)


OFFERED = ("functions.f", "functions.python2", "browser.search", "python")


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("functions.f", "functions.f"),
        ("f", "functions.f"),
        ("functions.browser.search", "browser.search"),
        ("functions.python", "python"),
        ("python.run", "python"),
        ("functions.python2", "functions.python2"),
    ],
)
def test_a_recipient_means_an_offered_tool(recipient: str, expected: str) -> None:
    assert resolve(recipient, OFFERED) == expected


@pytest.mark.parametrize("recipient", ["container.exec", "functions.g", "pythonista", "browser.run", ""])
def test_an_unknown_tool_is_answered_with_those_there_are(recipient: str) -> None:
    answer = resolve(recipient, OFFERED)
    assert isinstance(answer, UnknownTool)
    assert "functions.f, functions.python2, browser.search, python" in answer.text
