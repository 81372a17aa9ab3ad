"""Tools as the model reads them: the cases of openai-harmony, quirks included."""

import pytest
from harmony_cases import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from gptoss_cli.errors import BadInput
from gptoss_cli.harmony import schema
from gptoss_cli.harmony.conversation_json import namespace, tool_spec
from gptoss_cli.harmony.render import render
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Conversation, DeveloperContent, Message, Role, ToolSpec

CASES = {case["id"]: case for case in cases("schema")}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "tool" in case])
def test_a_tool_is_rendered_as_the_reference_does(name: str) -> None:
    assert schema.tool(tool_spec(CASES[name]["tool"])) == CASES[name]["rendered"]


def test_a_namespace_without_tools_is_rendered_as_the_reference_does(o200k: Tokenizer) -> None:
    case = CASES["ns_no_desc_no_tools"]
    content = DeveloperContent(None, (namespace(case["namespace"]),))
    prompt = render(Conversation((Message(Role.DEVELOPER, (content,)),)), o200k, next_role=None)
    assert o200k.decode(prompt.tokens) == case["rendered_message"]


def test_the_built_in_tools_are_those_of_the_render_cases() -> None:
    text = next(case["text"] for case in cases("render") if case["id"] == "browser_and_python")
    assert schema.tools_section((schema.PYTHON, schema.BROWSER)) in text


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"type": "string", "enum": ["a", "b"]}, '"a" | "b"'),
        ({"type": "string", "enum": [1]}, "string"),
        ({"type": "array"}, "Array<any>"),
        ({"type": "array", "items": {"type": "string", "enum": ["x", "y"]}}, '"x" | "y"[]'),
        ({"type": "array", "items": [{"type": "string"}]}, "any[]"),
        ({"anyOf": [{"type": "string"}]}, "any"),
        ({"type": "object", "properties": 3, "required": "a"}, "{\n}"),
        ({"type": ["integer", "null", 3]}, "number | null"),
        ({"oneOf": []}, ""),
        ({"oneOf": [True, {"type": "string"}]}, "\n | any\n | string"),
        ({}, "any"),
    ],
)
def test_schemas_beyond_the_cases(parameters: dict[str, object], expected: str) -> None:
    assert schema.typescript(parameters) == expected


def test_a_member_with_variants() -> None:
    parameters = {
        "type": "object",
        "properties": {
            "a": {
                "description": "either",
                "oneOf": [{"type": "string", "description": "a name"}, {"type": "number", "nullable": True}],
                "default": "x",
            }
        },
    }
    assert schema.typescript(parameters) == ('{\n// either\n// default: "x"\na?:\n | string\n | number | null\n,\n}')


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        ("plain", '"plain"'),
        (1.0, "1.0"),
        (1e21, "1e21"),
        (-1.5e-7, "-1.5e-7"),
        (1e-5, "0.00001"),
        (-1.25e-5, "-0.0000125"),
        (1e16, "1e16"),
        (2**64 - 1, "18446744073709551615"),
        (2**64, "1.8446744073709552e19"),
        (float("nan"), "null"),
        (True, "true"),
        (None, "null"),
        ({"k": [1, "文\n"]}, '{"k":[1,"文\\n"]}'),
    ],
)
def test_defaults_are_written_as_serde_json_does(default: object, expected: str) -> None:
    text = schema.typescript({"type": "object", "properties": {"a": {"default": default}}})
    assert text == "{\na?: any, // default: " + expected + "\n}"


def test_only_line_feeds_end_a_line_of_a_description() -> None:
    # Rust's str::lines; Python's splitlines would break at each of the others too
    spec = ToolSpec("f", "one\r\ntwo\u2028still\x0btwo\rand\n\nlast\n")
    assert schema.tool(spec) == "// one\n// two\u2028still\x0btwo\rand\n// \n// last\ntype f = () => any;"


def test_a_schema_that_is_nested_without_end_is_refused() -> None:
    parameters: dict[str, object] = {}
    for _ in range(100_000):
        parameters = {"items": parameters}
    with pytest.raises(BadInput, match=r"the tool\.parameters is nested more than 128 levels deep"):
        tool_spec({"name": "f", "parameters": parameters})


def test_a_schema_at_the_limit_is_rendered() -> None:
    parameters: dict[str, object] = {"type": "string"}
    for _ in range(63):
        parameters = {"type": "object", "properties": {"a": parameters}}
    assert schema.tool(tool_spec({"name": "f", "parameters": parameters})).count("a?:") == 63


KEYWORDS = ["type", "items", "properties", "required", "oneOf", "enum", "default", "description", "title", "examples"]
KEYWORDS += ["nullable", "string", "object", "array", "integer"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYWORDS),
            inner | st.sampled_from(["object", "array", "string", "integer"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(document=json_values)
def test_any_json_is_a_schema(document: object) -> None:
    if isinstance(document, dict):
        assert isinstance(schema.typescript(document), str)
