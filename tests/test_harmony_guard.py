"""The guard: what is well formed passes, what passes is well formed, and budgets end what they should."""

from random import Random

import pytest
from harmony_cases import TOOLS, cases
from scripted import ids_of
from test_harmony_parser import read

from gptoss_cli.engine.guide import Walk
from gptoss_cli.harmony.guard import guide
from gptoss_cli.harmony.render import force_final, no_thinking
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Message
from gptoss_cli.prompt import Guide

MALFORMED = {
    "refusal_no_header",
    "channel_then_text_no_message",
    "channel_text_only",
    "bare_text_only",
    "bare_json_only",
    "message_without_channel",
    "constrain_adjacent",  # begins with the word that the prompt has written already
    "stray_commentary_before_analysis",
    "stray_commentary_before_final",
    "double_channel_in_call",
    "channel_commentary_2q",
    "junk_after_channel",
    "empty_channel",
    "glued_channel_no_message",
    "missing_start_channel",
    "assistantassistant",
    "constrain_junk",
    "constrain_as_recipient",  # a call without a recipient
    "bare_type_after_channel",
    "fake_tool_result",
    "unknown_channel",
    "truncated_in_header",
    "empty_output",
}


def strict(tokenizer: Tokenizer, tools: tuple[str, ...] = TOOLS, **limits: int | None) -> Guide:
    made = guide(
        tokenizer,
        tools,
        header_guard=True,
        max_thinking=limits.get("max_thinking"),
        max_tokens=limits.get("max_tokens"),
    )
    assert made is not None
    return made


def passes(walk: Walk, ids: list[int]) -> bool:
    """Whether every id may be sampled where it stands."""
    for id in ids:
        if walk.allowed is not None and id not in walk.allowed:
            return False
        if walk.banned is not None and id in walk.banned:
            return False
        walk.advance(id)
    return True


def unnamed(text: str) -> str:
    """Tools that the cases call without the guard's knowing them."""
    return text.replace("functions.read", "functions.f").replace("functions.write", "functions.g")


@pytest.mark.parametrize("name", ["o200k", "tiny_tokenizer"])
@pytest.mark.parametrize(
    "case", [case for case in cases("parse") if "reserved" not in case["text"]], ids=lambda c: c["id"]
)
def test_exactly_the_well_formed_replies_pass(name: str, case: dict, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    ids = ids_of(tokenizer, unnamed(case["text"]))
    assert passes(Walk(strict(tokenizer)), ids) == (case["id"] not in MALFORMED)


@pytest.mark.parametrize("name", ["o200k", "tiny_tokenizer"])
def test_whatever_passes_is_well_formed(name: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    made = strict(tokenizer)
    random = Random(1)
    words = tokenizer.encode("some words that mean nothing here")
    for _ in range(500):
        walk, ids = Walk(made), []
        while len(ids) < 200 and (not ids or ids[-1] not in tokenizer.stop):
            if walk.allowed is not None:
                choices = [int(id) for id in walk.allowed]
            else:
                ends = {*tokenizer.stop, tokenizer.special.end}
                banned = set() if walk.banned is None else {int(id) for id in walk.banned}
                choices = [*words, *(ends - banned)]
            ids.append(random.choice(choices))
            walk.advance(ids[-1])
        events, parser = read(tokenizer, ids)
        messages = [event for event in events if isinstance(event, Message)]
        # what a cut at 200 ids leaves, and <|end|><|return|>, which is let pass after an answer
        expected = {"after_the_end", "cut_in_header", "empty_message", "redundant_end"}
        codes = {note.code for note in parser.diagnostics} - expected
        assert not codes, (codes, tokenizer.decode(ids))
        assert all(message.channel for message in messages)


def test_tools_that_are_not_offered_cannot_be_called(o200k: Tokenizer) -> None:
    call = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
    assert passes(Walk(strict(o200k)), ids_of(o200k, call))
    assert not passes(Walk(strict(o200k, ())), ids_of(o200k, call))
    assert passes(Walk(strict(o200k, ())), ids_of(o200k, "<|channel|>commentary<|message|>A plan.<|end|>"))


def test_thoughts_cannot_end_the_reply(o200k: Tokenizer) -> None:
    for end in ("<|return|>", "<|call|>", "<|endoftext|>"):
        assert not passes(Walk(strict(o200k)), ids_of(o200k, f"<|channel|>analysis<|message|>t{end}"))


@pytest.mark.parametrize("header_guard", [True, False])
@pytest.mark.parametrize("name", ["o200k", "tiny_tokenizer"])
def test_thoughts_are_counted_over_all_analyses(name: str, header_guard: bool, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    made = guide(tokenizer, (), header_guard=header_guard, max_thinking=4, max_tokens=3)
    assert made is not None
    walk = Walk(made)
    thought = ids_of(tokenizer, "<|channel|>analysis<|message|>")
    word = tokenizer.encode("t")[0]
    for id in (*thought, word, word, tokenizer.special.end, *ids_of(tokenizer, "<|start|>assistant"), *thought):
        assert walk.spent() is None
        walk.advance(id)
    walk.advance(word)  # the end of the first one counts, too
    budget = walk.spent()
    assert budget is not None
    assert budget.forced == force_final(tokenizer)
    assert budget.then is not None
    walk.jump(budget.then)
    for _ in range(3):
        assert walk.spent() is None
        walk.advance(word)
    spent = walk.spent()
    assert spent is not None
    assert spent.then is None


@pytest.mark.parametrize("name", ["o200k", "tiny_tokenizer"])
def test_without_the_guard_a_call_is_no_thought_that_may_be_cut(name: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    made = guide(tokenizer, TOOLS, header_guard=False, max_thinking=1, max_tokens=1)
    assert made is not None
    calls = {
        "<|channel|>analysis to=python code<|message|>print": False,
        " to=python<|channel|>analysis<|message|>print": False,
        "<|channel|>commentary to=assistant<|channel|>analysis<|message|>print": True,
        "<|channel|>final <|constrain|>json<|message|>print": True,
        "<|channel|>analysis json<|message|>print": True,
    }
    for text, counted in calls.items():
        walk = Walk(made)
        for id in ids_of(tokenizer, text):
            walk.advance(id)
        spent = walk.spent()
        assert spent is not None, text  # a call is counted as the answer is, and then the reply ends
        assert (bool(spent.forced) or "final" in text) is counted, text


@pytest.mark.parametrize("header_guard", [True, False])
@pytest.mark.parametrize("name", ["o200k", "tiny_tokenizer"])
def test_preambles_calls_and_the_answer_have_one_limit(
    name: str, header_guard: bool, request: pytest.FixtureRequest
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    word = tokenizer.encode("t")[0]
    made = guide(tokenizer, TOOLS, header_guard=header_guard, max_thinking=None, max_tokens=3)
    assert made is not None
    opened = ids_of(tokenizer, "<|start|>assistant")
    call = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>"
    for first, second in [("<|channel|>commentary<|message|>", call), (call, "<|channel|>final<|message|>")]:
        walk = Walk(made)
        for id in (*ids_of(tokenizer, first), word, tokenizer.special.end, *opened, *ids_of(tokenizer, second)):
            assert walk.spent() is None
            walk.advance(id)
        walk.advance(word)
        spent = walk.spent()
        assert spent is not None, (first, second)
        assert spent.then is None


def test_without_the_guard_a_reply_with_limits_ends_whatever_is_written(o200k: Tokenizer) -> None:
    special = o200k.special
    ids = (*o200k.encode("go to analysis = final"), special.start, special.channel, special.message, special.end)
    for seed in range(50):
        made = guide(o200k, TOOLS, header_guard=False, max_thinking=5, max_tokens=5)
        assert made is not None
        walk, random = Walk(made), Random(seed)
        for _ in range(2000):
            budget = walk.spent()
            if budget and budget.then is None:
                break
            if budget and budget.then is not None:
                walk.jump(budget.then)
            walk.advance(random.choice(ids))
        else:
            pytest.fail(f"no end after 2000 ids, seed {seed}")


def test_an_answer_that_the_prompt_opened_is_counted_from_the_first_id(o200k: Tokenizer) -> None:
    for header_guard in (True, False):
        made = guide(o200k, (), header_guard=header_guard, max_thinking=None, max_tokens=1, opened=no_thinking(o200k))
        assert made is not None
        walk = Walk(made)
        assert walk.allowed is None
        walk.advance(o200k.encode("A")[0])
        assert walk.spent() is not None


def test_without_the_guard_nothing_is_masked(o200k: Tokenizer) -> None:
    assert guide(o200k, TOOLS, header_guard=False, max_thinking=None, max_tokens=None) is None
    made = guide(o200k, TOOLS, header_guard=False, max_thinking=9, max_tokens=None)
    assert made is not None
    assert all(state.allowed is None and not state.banned for state in made.states)


def test_the_tolerant_automaton_follows_the_channel_of_malformed_replies(o200k: Tokenizer) -> None:
    made = guide(o200k, TOOLS, header_guard=False, max_thinking=2, max_tokens=None)
    assert made is not None
    for header in ("<|channel|>analysis", "<|channel|>commentary<|channel|>analysis", "junk<|channel|>analysis junk"):
        walk = Walk(made)
        for id in ids_of(o200k, f"{header}<|message|>a b"):
            walk.advance(id)
        assert walk.spent() is not None, header
