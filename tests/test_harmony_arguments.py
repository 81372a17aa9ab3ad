"""Arguments of calls as models write them: usable ones mended, others answered."""

import pytest

from gptoss_cli.harmony.arguments import Repaired, Unreadable, code, repair
from gptoss_cli.messages import ToolSpec

RUN = ToolSpec(
    "run",
    "",
    {"type": "object", "properties": {"command": {"type": "string"}, "n": {"type": "number"}}, "required": ["command"]},
)
TWO = ToolSpec("two", "", {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]})


@pytest.mark.parametrize(
    ("body", "arguments", "repairs"),
    [
        ('{"command": "ls"}', {"command": "ls"}, ()),
        ("", {}, ()),
        ("{}", {}, ()),
        ('{"command": "a\nb"}', {"command": "a\nb"}, ("raw control characters",)),
        ('```json\n{"command": "ls"}\n```', {"command": "ls"}, ("a code fence",)),
        ('[{"command": "ls"}]', {"command": "ls"}, ("a list of one",)),
        ('{"command": "ls"}]', {"command": "ls"}, ("text after the JSON",)),
        ('{"command": "ls"}{"command": "rm"}', {"command": "ls"}, ("text after the JSON",)),
        ('"{\\"command\\": \\"ls\\"}"', {"command": "ls"}, ("JSON in a text",)),
        ('{"name": "run", "arguments": {"command": "ls"}}', {"command": "ls"}, ("the name around the arguments",)),
        (
            '{"name": "functions.run", "parameters": "{\\"command\\": \\"ls\\"}"}',
            {"command": "ls"},
            ("the name around the arguments",),
        ),
        ('{"name": "other", "arguments": {}}', {"name": "other", "arguments": {}}, ()),
        ("ls -R", {"command": "ls -R"}, ("bare text",)),
        ('"ls -R"', {"command": "ls -R"}, ("bare text",)),
    ],
)
def test_a_body_that_can_be_read(body: str, arguments: dict[str, object], repairs: tuple[str, ...]) -> None:
    assert repair(body, RUN) == Repaired(arguments, repairs)


@pytest.mark.parametrize("body", ["ls -R", '{"a": ', "[1, 2]", "[" * 100_000])
def test_a_body_that_cannot_be_read_is_answered(body: str) -> None:
    answer = repair(body, TWO)
    assert isinstance(answer, Unreadable)
    assert answer.text.startswith("arguments are not valid JSON: ")


@pytest.mark.parametrize("body", ['{"command": "rm -r', '["a", "b"]', "42", "null", '```json\n{"command": \n```'])
def test_broken_json_and_other_values_are_no_bare_text(body: str) -> None:
    assert isinstance(repair(body, RUN), Unreadable)


def test_a_call_that_was_cut_off_is_never_run() -> None:
    assert isinstance(repair('{"command": "rm -r x"}', RUN, complete=False), Unreadable)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("print(1)", "print(1)"),
        ('{"code": "print(1)"}', "print(1)"),
        ('{"script": "a\nb"}', "a\nb"),
        ("```python\nprint(1)\n```", "print(1)"),
        ('{"a": 1}', '{"a": 1}'),
        ("1", "1"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_python_wants_its_code_raw(body: str, expected: str) -> None:
    assert code(body) == expected
