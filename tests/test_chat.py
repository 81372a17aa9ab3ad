"""A conversation in, the events of one reply out."""

from contextlib import closing
from itertools import islice

import pytest
from conftest import TINY
from scripted import ScriptedEngine

from gptoss_cli.chat import LocalChat, tool_names
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.harmony.schema import BROWSER, PYTHON
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import (
    Channel,
    Conversation,
    Delta,
    Done,
    Effort,
    End,
    Event,
    Message,
    Notice,
    Progress,
    Role,
    SystemContent,
    user,
)
from gptoss_cli.options import Options, Sampling

ASKED = Conversation((Message(Role.SYSTEM, (SystemContent(),)), user("hello")))
REPLY = "<|channel|>analysis<|message|>a b<|end|><|start|>assistant<|channel|>final<|message|>one two three<|return|>"


def reply(tokenizer: Tokenizer, text: str, options: Options = Options()) -> tuple[list[Event], ScriptedEngine]:  # noqa: B008
    engine = ScriptedEngine(tokenizer, text)
    return list(LocalChat(engine, tokenizer).reply(ASKED, options)), engine


def final_text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta) and event.channel is Channel.FINAL)


def done(events: list[Event]) -> Done:
    last = events[-1]
    assert isinstance(last, Done)
    return last


def test_a_reply_is_progress_deltas_messages_and_done(o200k: Tokenizer) -> None:
    events, engine = reply(o200k, REPLY)
    assert isinstance(events[0], Progress)
    assert [(e.channel, e.text) for e in events if isinstance(e, Message)] == [
        ("analysis", "a b"),
        ("final", "one two three"),
    ]
    assert final_text(events) == "one two three"
    usage = done(events).usage
    assert (usage.thinking_tokens, usage.answer_tokens) == (2, 3)
    assert usage.prompt_tokens == len(engine.prompts[0].tokens) == usage.prompt_evaluated
    assert done(events).finish_reason == "stop"


@pytest.mark.parametrize(
    ("stops", "expected"),
    [
        (("two",), "one "),
        (("wo th",), "one t"),
        (("three", "ne"), "o"),
        (("nothing",), "one two three"),
        (("e",), "on"),
    ],
)
def test_the_answer_ends_before_a_stop_text(stops: tuple[str, ...], expected: str, o200k: Tokenizer) -> None:
    events, _ = reply(o200k, REPLY, Options(stop=stops))
    assert final_text(events) == expected
    assert [e.text for e in events if isinstance(e, Message)][-1] == expected
    assert done(events).finish_reason == "stop"


def test_an_answer_that_had_no_channel_ends_before_a_stop_text_too(o200k: Tokenizer) -> None:
    events, _ = reply(o200k, "one two three<|return|>", Options(stop=("three", "two")))
    assert [e.text for e in events if isinstance(e, Message)] == ["one "]
    assert done(events).finish_reason == "stop"


def test_a_stop_text_in_the_thoughts_does_not_stop(o200k: Tokenizer) -> None:
    events, _ = reply(o200k, REPLY, Options(stop=("a b",)))
    assert final_text(events) == "one two three"


def test_a_call_ended_by_end_stops_the_engine(o200k: Tokenizer) -> None:
    text = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|end|><|start|>assistant"
    events, engine = reply(o200k, text, Options(header_guard=False))
    assert done(events).finish_reason == "call"
    assert engine.stopped_early == 1


def test_an_invented_tool_result_stops_the_engine(o200k: Tokenizer) -> None:
    text = "<|channel|>analysis<|message|>t<|end|><|start|>functions.f to=assistant<|message|>{}<|end|>x"
    events, engine = reply(o200k, text)
    assert engine.stopped_early == 1
    assert not final_text(events)


def test_text_without_a_channel_is_the_answer_when_nothing_else_is(o200k: Tokenizer) -> None:
    events, _ = reply(o200k, "just an answer<|return|>")
    assert [(e.channel, e.text) for e in events if isinstance(e, Message)] == [("final", "just an answer")]


def test_reasoning_off_opens_the_answer_in_the_prompt(o200k: Tokenizer) -> None:
    events, engine = reply(o200k, "hi<|return|>", Options(reasoning=Effort.OFF))
    assert o200k.decode(engine.prompts[0].tokens).endswith(
        "<|start|>assistant<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>"
    )
    assert final_text(events) == "hi"


def test_a_full_context_is_told(o200k: Tokenizer) -> None:
    events, _ = reply(o200k, "<|channel|>final<|message|>half an")
    assert Notice("answer cut: the context of 8192 tokens is full (--num-ctx)") in events
    assert done(events).finish_reason == "context"


def test_closing_a_reply_stops_the_engine(o200k: Tokenizer) -> None:
    engine = ScriptedEngine(o200k, REPLY)
    with closing(LocalChat(engine, o200k).reply(ASKED, Options())) as events:  # type: ignore[type-var]
        assert len(list(islice(events, 3))) == 3
    assert engine.stopped_early == 1


def test_the_names_of_all_tools_are_found() -> None:
    system = Message(Role.SYSTEM, (SystemContent(tools=(BROWSER, PYTHON)),))
    assert tool_names(Conversation((system,))) == {"browser.search", "browser.open", "browser.find", "python"}


def test_an_incomplete_last_answer_goes_on_where_it_stands(o200k: Tokenizer) -> None:
    part = Message(Role.ASSISTANT, ("one two",), Channel.FINAL, end=End.LENGTH)
    engine = ScriptedEngine(o200k, " three<|return|>")
    events = list(LocalChat(engine, o200k).reply(ASKED.plus(part), Options(reasoning=Effort.OFF, max_tokens=9)))
    assert o200k.decode(engine.prompts[0].tokens).endswith(
        "<|start|>user<|message|>hello<|end|><|start|>assistant<|channel|>final<|message|>one two"
    )
    assert [(e.channel, e.text, e.complete) for e in events if isinstance(e, Message)] == [("final", " three", True)]
    assert (final_text(events), done(events).usage.answer_tokens) == (" three", 1)


def test_an_incomplete_answer_before_another_question_is_ended(o200k: Tokenizer) -> None:
    part = Message(Role.ASSISTANT, ("one two",), Channel.FINAL, end=End.LENGTH)
    engine = ScriptedEngine(o200k, REPLY)
    list(LocalChat(engine, o200k).reply(ASKED.plus(part, user("go on")), Options()))
    assert "<|message|>one two<|end|><|start|>user<|message|>go on<|end|>" in o200k.decode(engine.prompts[0].tokens)


def test_a_prompt_is_counted_and_the_context_has_a_limit(o200k: Tokenizer) -> None:
    engine = ScriptedEngine(o200k, REPLY)
    chat = LocalChat(engine, o200k)
    list(chat.reply(ASKED, Options()))
    assert chat.count(ASKED) == len(engine.prompts[0].tokens)
    assert (chat.limit(), LocalChat(engine, o200k, num_ctx=512).limit()) == (131072, 512)


@pytest.fixture(scope="module")
def tiny(tiny_tokenizer: Tokenizer) -> LocalChat:
    return LocalChat(LlamaEngine(TINY), tiny_tokenizer)


GREEDY = Sampling(temperature=0.0)


def test_the_built_in_model_thinks_and_answers(tiny: LocalChat) -> None:
    events = list(tiny.reply(ASKED, Options(GREEDY)))
    messages = [e for e in events if isinstance(e, Message)]
    assert [m.channel for m in messages] == ["analysis", "final"]
    assert "tiny" in messages[-1].text


def test_thoughts_are_cut_at_their_limit_and_the_answer_follows(tiny: LocalChat) -> None:
    events = list(tiny.reply(ASKED, Options(GREEDY, max_thinking=5)))
    assert done(events).usage.thinking_tokens == 5
    assert Notice("thoughts cut at 5 tokens (--max-thinking)") in events
    assert final_text(events)


def test_no_thoughts_at_all_is_a_limit_too(tiny: LocalChat) -> None:
    events = list(tiny.reply(ASKED, Options(GREEDY, max_thinking=0)))
    assert done(events).usage.thinking_tokens == 0
    assert final_text(events)


@pytest.mark.parametrize("header_guard", [True, False])
def test_the_answer_is_cut_at_its_limit(tiny: LocalChat, header_guard: bool) -> None:
    events = list(tiny.reply(ASKED, Options(GREEDY, max_tokens=3, header_guard=header_guard)))
    assert done(events).usage.answer_tokens == 3
    assert done(events).finish_reason == "length"
    assert Notice("answer cut at 3 tokens (--max-tokens)") in events


def test_the_next_turn_reuses_what_is_in_the_context(tiny: LocalChat) -> None:
    first = list(tiny.reply(ASKED, Options(GREEDY, reasoning=Effort.OFF)))
    answered = ASKED.plus(*[e for e in first if isinstance(e, Message)])
    second = list(tiny.reply(answered.plus(user("thanks")), Options(GREEDY)))
    usage = done(second).usage
    assert usage.prompt_reused >= len(tiny.tokenizer.encode("hello"))
    assert usage.prompt_tokens == usage.prompt_evaluated + usage.prompt_reused


def test_the_guard_keeps_a_hot_model_well_formed(tiny: LocalChat) -> None:
    """At a temperature at which the toy writes nonsense, its headers are still in order."""
    for seed in range(3):
        options = Options(Sampling(temperature=3.0, seed=seed), max_thinking=30, max_tokens=30)
        messages = [e for e in tiny.reply(ASKED, options) if isinstance(e, Message)]
        assert messages
        assert all(message.channel for message in messages)
