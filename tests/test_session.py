"""A session keeps what was said, and never takes silence for an answer."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from scripted import ScriptedEngine

from gptoss_cli.chat import LocalChat
from gptoss_cli.errors import NoAnswer
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Channel, Delta, Done, Event, Message, Role
from gptoss_cli.options import Options
from gptoss_cli.session import Session

THOUGHT = "<|channel|>analysis<|message|>thinking<|end|><|start|>assistant"


def session(tokenizer: Tokenizer, *replies: str, system: str | None = None) -> tuple[Session, ScriptedEngine]:
    engine = ScriptedEngine(tokenizer, *replies)
    return Session(LocalChat(engine, tokenizer), Options(), system=system, date="2025-06-28"), engine


def until_done(events: Iterator[Event]) -> tuple[list[Event], NoAnswer | None]:
    seen = []
    try:
        for event in events:
            seen.append(event)
    except NoAnswer as error:
        return seen, error
    return seen, None


def test_the_system_text_is_the_developers_and_the_date_the_systems(o200k: Tokenizer) -> None:
    talk, engine = session(o200k, f"{THOUGHT}<|channel|>final<|message|>Hi<|return|>", system="Be brief.")
    list(talk.send("hello"))
    text = o200k.decode(engine.prompts[0].tokens)
    assert "Current date: 2025-06-28" in text
    assert "<|start|>developer<|message|># Instructions\n\nBe brief.<|end|><|start|>user<|message|>hello<|end|>" in text


def test_the_second_turn_knows_the_first_without_its_thoughts(o200k: Tokenizer) -> None:
    talk, engine = session(
        o200k,
        f"{THOUGHT}<|channel|>final<|message|>One<|return|>",
        f"{THOUGHT}<|channel|>final<|message|>Two<|return|>",
    )
    list(talk.send("first"))
    list(talk.send("second"))
    text = o200k.decode(engine.prompts[1].tokens)
    assert text.endswith(
        "first<|end|><|start|>assistant<|channel|>final<|message|>One<|end|>"
        "<|start|>user<|message|>second<|end|><|start|>assistant"
    )
    assert [message.text for message in talk.conversation.messages if message.role is Role.ASSISTANT][-1] == "Two"


def test_an_answer_closed_early_is_kept_and_marked(o200k: Tokenizer) -> None:
    talk, _ = session(o200k, f"{THOUGHT}<|channel|>final<|message|>one two three<|return|>")
    events = talk.send("go")
    for event in events:
        if isinstance(event, Delta) and event.channel is Channel.FINAL:
            break
    events.close()
    last = talk.conversation.messages[-1]
    assert (last.channel, last.text, last.complete) == (Channel.FINAL, "one", False)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            "<|channel|>analysis<|message|>never done",
            "no final answer: the context filled up after 2 tokens of thoughts",
        ),
        ("<|channel|>analysis<|message|>x<|return|>", "the model ended its turn without a final answer"),
        ("<|channel|>final<|message|><|return|>", "the model ended its turn without a final answer"),
        ("<|return|>", "the model ended its turn without a final answer"),
        ("<|channel|>commentary to=python code<|message|>1<|call|>", "the model called a tool that it was not offered"),
        ("<|channel|>final to=python<|message|>1<|call|>", "the model called a tool that it was not offered"),
    ],
)
def test_no_answer_is_an_error_after_done(reply: str, message: str, o200k: Tokenizer) -> None:
    talk, _ = session(o200k, reply)
    events, error = until_done(talk.send("go"))
    assert isinstance(events[-1], Done)
    assert error is not None
    assert message in str(error)
    assert error.hint


def test_an_answer_that_a_stop_text_swallows_says_so(o200k: Tokenizer) -> None:
    talk, _ = session(o200k, f"{THOUGHT}<|channel|>final<|message|>One<|return|>")
    talk.options = replace(talk.options, stop=("One",))
    _, error = until_done(talk.send("go"))
    assert str(error) == "no final answer: it began with a stop text (--stop)"


def test_an_unfinished_thought_is_not_kept(o200k: Tokenizer) -> None:
    talk, _ = session(o200k, "<|channel|>analysis<|message|>never done")
    until_done(talk.send("go"))
    assert not [m for m in talk.conversation.messages if isinstance(m, Message) and m.role is Role.ASSISTANT]
