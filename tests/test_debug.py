"""`gptoss debug` as a process: the conformance cases in, the same results out."""

import json
from pathlib import Path

import pytest
from conftest import Gptoss
from harmony_cases import TOOLS, cases


def lines(documents: list[object]) -> str:
    return "".join(json.dumps(document) + "\n" for document in documents)


def test_all_texts_are_tokenized_as_the_reference_does(gptoss: Gptoss, random_model: Path) -> None:
    given = cases("encode")
    result = gptoss(
        "debug", "tokenize", "--vocab", str(random_model), stdin=lines([{"text": c["text"]} for c in given])
    )
    assert [json.loads(line)["tokens"] for line in result.out.splitlines()] == [c["tokens"] for c in given]


def test_all_replies_are_parsed_as_recommended(gptoss: Gptoss, random_model: Path) -> None:
    given = cases("parse")
    documents: list[object] = [{"tokens": case["tokens"], "tools": TOOLS} for case in given]
    result = gptoss("debug", "parse", "--vocab", str(random_model), stdin=lines(documents))
    for line, case in zip(result.out.splitlines(), given, strict=True):
        told = json.loads(line)
        assert (told["messages"], told["stop"]) == (case["recommended"]["messages"], case["recommended"]["stop"])
        assert all(set(each) == {"code", "at", "tokens"} for each in told["diagnostics"])


def test_all_conversations_are_rendered_as_the_reference_does(gptoss: Gptoss, random_model: Path) -> None:
    given = [
        case
        for case in cases("render")
        if case["mode"] == "completion" and case["auto_drop_analysis"] and case["id"] != "three_turns_ends_in_tool"
    ]
    assert len(given) > 15
    result = gptoss(
        "debug", "render", "--vocab", str(random_model), stdin=lines([case["conversation"] for case in given])
    )
    assert [json.loads(line) for line in result.out.splitlines()] == [
        {"text": case["text"], "tokens": case["tokens"]} for case in given
    ]


def test_tools_are_shown_as_the_model_reads_them(gptoss: Gptoss) -> None:
    given = [case for case in cases("schema") if "tool" in case]
    result = gptoss("debug", "render", "--schema", stdin=lines([case["tool"] for case in given]))
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == [case["rendered"] for case in given]


def test_the_modes_of_render(gptoss: Gptoss) -> None:
    turn = [{"role": "user", "content": "q"}, {"role": "assistant", "channel": "analysis", "content": "t"}]
    document = json.dumps({"messages": [*turn, {"role": "assistant", "channel": "final", "content": "a"}]})

    def text(*arguments: str) -> str:
        return json.loads(gptoss("debug", "render", "tiny", *arguments, stdin=document).out)["text"]

    assert text("--next-role", "user").endswith("<|message|>a<|end|><|start|>user")
    assert text("--mode", "conversation").endswith("<|message|>a<|end|>")
    assert text("--mode", "training").endswith("<|message|>a<|return|>")
    assert "analysis" not in text()
    assert "analysis" in text("--keep-analysis")


def test_a_document_over_several_lines_is_one(gptoss: Gptoss) -> None:
    result = gptoss("debug", "tokenize", "tiny", stdin=json.dumps({"text": "hi"}, indent=2) + '\n{"text": "hi"}')
    first, second = result.out.splitlines()
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (("tokenize", "tiny"), '{"text": "a"}\n{"text": 3}', 2, 'line 2: an object with a text is expected: {"text":'),
        (("tokenize", "tiny"), '{"text": "a"}\n{oops', 2, "line 2: no JSON"),
        (("tokenize", "tiny"), b"\xff", 2, "standard input is not UTF-8 (byte 0)"),
        (("tokenize", "tiny"), "[" * 100_000, 2, "line 1: no JSON"),
        (("parse", "tiny"), '\n{"tokens":\n[]}\n\n{"tokens":\n[}', 2, "line 6: no JSON"),
        (("parse", "tiny"), "\n" + "1" * 5000, 2, "line 2: no JSON that can be read (a number is too long)"),
        (("parse", "tiny"), '{"tokens": ["a"]}', 2, "line 1: tokens[0] is 'a'"),
        (("parse", "tiny"), "{}", 2, 'line 1: an object with a list is expected: {"tokens": [...]}'),
        (("render", "tiny"), '{"messages": [{"role": "x"}]}', 2, "line 1: messages[0].role: 'x' is none of"),
        (("render", "tiny", "--mode", "x"), "{}", 2, "--mode x is none of completion, conversation, training"),
        (("render", "--schema"), '{"description": "x"}', 2, "line 1: the tool.name is missing"),
        (("reply", "tiny"), "{}", 2, "line 1: messages is missing"),
        (("reply", "tiny"), '{"messages": []}', 2, 'line 1: there is nothing to reply to: "messages" is empty'),
        (("reply", "tiny", "--temperature", "x"), "{}", 2, "temperature must be a number, not 'x'"),
        (("reply", "none"), "{}", 3, "unknown model none"),
        (("tokenize", "none"), "{}", 3, "unknown model none"),
        (("tokenize", "--vocab", "none"), "{}", 3, "no file at none"),
        (("tokenize", "tiny", "--vocab", "x"), "{}", 2, "tiny and --vocab x: give one of them"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: tuple[str, ...], stdin: str | bytes, code: int, message: str, gptoss: Gptoss
) -> None:
    result = gptoss("debug", *arguments, stdin=stdin)
    assert (result.code, result.err.splitlines()[0][: len(message) + 8]) == (code, f"gptoss: {message}")


def test_any_number_is_a_token(gptoss: Gptoss) -> None:
    result = gptoss("debug", "parse", "tiny", stdin='{"tokens": [-1, 99999999999999999999, 0]}')
    assert result.code == 0
    assert json.loads(result.out)["stop"] == "length"


def test_a_model_replies_to_a_conversation_with_the_tools_it_offers(gptoss: Gptoss) -> None:
    system = {"type": "system_content", "reasoning_effort": "Medium", "channel_config": {"valid_channels": ["final"]}}
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = {"name": "get_weather", "description": "Gets the weather of a city.", "parameters": city}
    tools = {"functions": {"name": "functions", "tools": [weather]}}
    offering = {"role": "developer", "content": {"type": "developer_content", "tools": tools}}

    def asked(question: str, *before: object) -> dict[str, list[object]]:
        return {"messages": [{"role": "system", "content": system}, *before, {"role": "user", "content": question}]}

    documents = [asked("who are you?"), asked("What is the weather in Paris?", offering)]
    result = gptoss("debug", "reply", "tiny", stdin=lines(documents))
    answered, called = (json.loads(line) for line in result.out.splitlines())
    assert answered["finish_reason"] == "stop"
    assert [each["channel"] for each in answered["messages"]] == ["analysis", "final"]
    assert answered["messages"][1]["text"].startswith("I am tiny")
    assert called["finish_reason"] == "call"
    call = called["messages"][-1]
    assert (call["recipient"], call["text"], call["end"]) == ("functions.get_weather", '{"city": "Paris"}', "<|call|>")
    said = {"role": "tool", "name": call["recipient"], "recipient": "assistant", "channel": "commentary"}
    whole = {"messages": [*documents[1]["messages"], *called["messages"], said | {"text": '{"sky": "sunny"}'}]}
    (finished,) = gptoss("debug", "reply", "tiny", stdin=lines([whole])).out.splitlines()
    assert json.loads(finished)["messages"][-1]["text"] == "It is sunny in Paris."
    gptoss("create", "short", "-f", "-", stdin="FROM tiny\nPARAMETER num_predict 2\n")
    for how, reason in ((("tiny", "--max-tokens", "2"), "length"), (("short",), "length"), (("tiny",), "stop")):
        (reply,) = gptoss("debug", "reply", *how, stdin=lines(documents[:1])).out.splitlines()
        assert json.loads(reply)["finish_reason"] == reason
