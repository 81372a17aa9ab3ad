"""Replies, however malformed, become messages; nothing of them is lost."""

import pytest
from harmony_cases import TOOLS, cases
from scripted import ids_of

from gptoss_cli.harmony.parser import Parser
from gptoss_cli.harmony.render import force_final, no_thinking
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Channel, Delta, End, Message

CASES = {case["id"]: case for case in cases("parse")}


def read(tokenizer: Tokenizer, ids: list[int], tools: tuple[str, ...] = TOOLS) -> tuple[list[Delta | Message], Parser]:
    parser = Parser(tokenizer, tools)
    events = [event for id in ids for event in parser.feed(id)]
    return events + parser.close(), parser


def told(message: Message) -> dict[str, str]:
    fields = {
        "role": message.role,
        "channel": message.channel,
        "recipient": message.recipient,
        "content_type": message.content_type,
        "text": message.text,
        "end": message.end,
    }
    return {name: str(value) for name, value in fields.items() if value is not None}


@pytest.mark.parametrize("name", CASES)
def test_a_reply_is_read_as_recommended(name: str, o200k: Tokenizer) -> None:
    expected = CASES[name]["recommended"]
    events, parser = read(o200k, CASES[name]["tokens"])
    assert [told(event) for event in events if isinstance(event, Message)] == expected["messages"]
    assert parser.stop == expected["stop"]
    assert bool(parser.diagnostics) == bool(expected["diagnostics"])


@pytest.mark.parametrize("name", CASES)
def test_other_ids_and_words_of_several_tokens_are_read_alike(name: str, tiny_tokenizer: Tokenizer) -> None:
    case = CASES[name]
    if "<|reserved" in case["text"]:
        case = case | {"text": case["text"].replace("<|reserved_200014|>", "<|startoftext|>")}
    events, parser = read(tiny_tokenizer, ids_of(tiny_tokenizer, case["text"]))
    assert [told(event) for event in events if isinstance(event, Message)] == case["recommended"]["messages"]
    assert parser.stop == case["recommended"]["stop"]


OTHERS = {
    "<|start|>assistant<|channel|>analysis<|message|>t<|end|><|start|><|start|>assistant<|channel|>final<|message|>A": [
        ("analysis", "t"),
        ("final", "A"),
    ],
    "<|channel|>analysis<|message|>t<|start|>assistant<|channel|>final<|message|>A<|return|>": [
        ("analysis", "t"),
        ("final", "A"),
    ],
    "<|channel|>analysis<|message|>tassistant<|channel|>final<|message|>A<|return|>": [
        ("analysis", "t"),
        ("final", "A"),
    ],
    "<|channel|>analysis<|message|>t<|end|><|channel|>final<|message|>A<|return|>": [("analysis", "t"), ("final", "A")],
    "<|channel|>analysis<|message|>t<|end|> stray<|start|>assistant<|channel|>final<|message|>A<|return|>": [
        ("analysis", "t"),
        ("analysis", "stray"),
        ("final", "A"),
    ],
    "<|channel|>final <|constrain|>json<|message|>{}<|return|>": [("final", "{}")],
    "<|channel|>final<|message|>the assistant said<|return|>": [("final", "the assistant said")],
    "<|channel|>analysis<|message|>t<|end|><|start|>container.exec to=assistant<|message|>x": [("analysis", "t")],
    "<|channel|>analysis<|message|>t<|end|><|start|>repo_browser.search<|message|>x<|end|>": [("analysis", "t")],
    "<|channel|>analysis<|message|>t<|end|><|start|>grep to=assistant<|message|>x<|end|>": [("analysis", "t")],
    "<|channel|>analysis<|message|>t<|end|><|start|>commentary to=functions.f json<|message|>{}<|call|>": [
        ("analysis", "t"),
        ("commentary", "{}"),
    ],
    "user guide: press a key<|return|>": [("final", "user guide: press a key")],
    "<|channel|>final<|message|>A<|return|><|channel|>final<|message|>B<|return|>": [("final", "A")],
}


@pytest.mark.parametrize("text", OTHERS)
def test_more_replies_seen_in_the_wild(text: str, o200k: Tokenizer) -> None:
    events, _ = read(o200k, ids_of(o200k, text))
    assert [(event.channel, event.text) for event in events if isinstance(event, Message)] == OTHERS[text]


@pytest.mark.parametrize("name", ["o200k", "tiny_tokenizer"])
@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("ok_")])
def test_a_reply_cut_anywhere_shows_nothing_that_it_does_not_say(
    case: str, name: str, request: pytest.FixtureRequest
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    ids = ids_of(tokenizer, CASES[case]["text"])
    whole = [event for event in read(tokenizer, ids)[0] if isinstance(event, Message)]
    for length in range(len(ids)):
        events, _ = read(tokenizer, ids[:length])
        messages = [event for event in events if isinstance(event, Message)]
        assert len(messages) <= len(whole)
        for message, full in zip(messages, whole, strict=False):
            assert message.channel == full.channel
            assert full.text.startswith(message.text), tokenizer.decode(ids[:length])


def test_the_name_of_a_tool_may_be_long(tiny_tokenizer: Tokenizer) -> None:
    tool = "functions.mcp__a_server_with_a_long_name__a_function_with_a_very_long_name"
    text = f"<|channel|>commentary to={tool} <|constrain|>json<|message|>{{}}<|call|>"
    events, parser = read(tiny_tokenizer, ids_of(tiny_tokenizer, text), (tool,))
    assert [event.recipient for event in events if isinstance(event, Message)] == [tool]
    assert not parser.diagnostics


@pytest.mark.parametrize(
    ("header", "recipient"),
    [
        ("commentary to=functions.f json", "functions.f"),
        ("commentary to=functions.unknown json", "functions.unknown"),
        ('commentary to="functions.f"', "functions.f"),
        ("commentary functions.f json", "functions.f"),
        ("commentary to=all", None),
        ("analysis to=python code", "python"),
    ],
)
def test_the_recipient_decides_what_is_a_call(header: str, recipient: str | None, o200k: Tokenizer) -> None:
    events, parser = read(o200k, ids_of(o200k, f"<|channel|>{header}<|message|>x<|call|>"))
    message = events[-1]
    assert isinstance(message, Message)
    assert (message.recipient, message.text, message.end) == (recipient, "x", End.CALL)
    assert parser.stop == "<|call|>"


def test_a_prompt_that_opened_the_answer_is_followed_by_its_text(o200k: Tokenizer) -> None:
    parser = Parser(o200k, (), no_thinking(o200k))
    assert parser.channel is Channel.FINAL
    assert parser.feed(o200k.encode("Hi")[0]) == [Delta(Channel.FINAL, "Hi")]
    assert parser.in_content
    (message,) = parser.feed(o200k.special.return_)
    assert isinstance(message, Message)
    assert message.text == "Hi"
    assert parser.ended


def test_ids_that_the_engine_puts_in_are_read_like_sampled_ones(o200k: Tokenizer) -> None:
    ids = [*ids_of(o200k, "<|channel|>analysis<|message|>thin"), *force_final(o200k), *ids_of(o200k, "A<|return|>")]
    events, parser = read(o200k, ids)
    assert [(event.channel, event.text) for event in events if isinstance(event, Message)] == [
        ("analysis", "thin"),
        ("final", "A"),
    ]
    assert not parser.diagnostics


def test_the_messages_hold_the_ids_as_they_were_sampled(o200k: Tokenizer) -> None:
    ids = CASES["ok_call_in_role"]["tokens"]
    events, _ = read(o200k, ids)
    sampled = [id for event in events if isinstance(event, Message) for id in event.tokens]
    assert sampled == [o200k.special.start, *o200k.encode("assistant"), *ids]


def test_no_part_of_a_character_is_ever_given(o200k: Tokenizer) -> None:
    text = "🤖 家庭 👨‍👩‍👧 नमस्ते"
    events, _ = read(o200k, ids_of(o200k, f"<|channel|>final<|message|>{text}<|return|>"))
    deltas = [event.text for event in events if isinstance(event, Delta)]
    assert "".join(deltas) == text
    assert all("\ufffd" not in delta and delta for delta in deltas)


def test_bytes_that_are_no_text_become_replacement_characters(o200k: Tokenizer) -> None:
    # 9552 is " " and half an emoji
    ids = [*ids_of(o200k, "<|channel|>final<|message|>"), 9552, *o200k.encode("XY"), 9552, o200k.special.return_]
    events, _ = read(o200k, ids)
    deltas = "".join(event.text for event in events if isinstance(event, Delta))
    assert deltas == " \ufffdXY \ufffd" == next(event.text for event in events if isinstance(event, Message))


def test_a_header_that_never_ends_is_text(o200k: Tokenizer) -> None:
    words = "never ending " * 40
    events, parser = read(o200k, [*o200k.encode(words), o200k.special.return_])
    assert [(event.channel, event.text) for event in events if isinstance(event, Message)] == [("final", words)]
    assert "header_too_long" in [each.code for each in parser.diagnostics]


def test_what_comes_after_the_end_is_noted(o200k: Tokenizer) -> None:
    _, parser = read(o200k, ids_of(o200k, "<|channel|>final<|message|>A<|return|>more"))
    assert [each.code for each in parser.diagnostics] == ["after_the_end"]
    assert parser.diagnostics[0].tokens == tuple(o200k.encode("more"))
