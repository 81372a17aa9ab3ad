"""A session keeps what was said, and never takes silence for an answer."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import pytest
from conftest import TINY
from scripted import ScriptedEngine

from gptoss_cli.chat import LocalChat
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.errors import BadInput, GptossError, NoAnswer
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Channel, Delta, Done, Effort, Event, Message, Notice, Role
from gptoss_cli.options import Options, Sampling
from gptoss_cli.session import SUMMARIZE, Events, Session
from gptoss_cli.session.record import Record

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


def test_an_unfinished_thought_is_kept_for_the_user_and_not_for_the_model(o200k: Tokenizer) -> None:
    talk, engine = session(o200k, "<|channel|>analysis<|message|>never done", final("Yes"), final("No"))
    book = recorded(talk)
    until_done(talk.send("go"))
    assert texts(talk) == [["go", "never done"]]
    assert book.turns[0] == talk.turns[0]
    assert not talk.turns[0][-1].complete
    assert talk.is_unanswered
    assert not [m for m in talk.conversation.messages if isinstance(m, Message) and m.role is Role.ASSISTANT]
    list(talk.resume())
    assert engine.prompts[1].tokens == engine.prompts[0].tokens
    assert texts(talk) == [["go", "Yes"]]
    assert not talk.is_unanswered


def test_thoughts_are_recorded_while_they_stream(o200k: Tokenizer) -> None:
    talk, _ = session(o200k, THOUGHT.replace("thinking", "one two three") + final("Yes"))
    book = recorded(talk)
    seen = []
    for event in talk.send("go"):
        if isinstance(event, Delta) and event.channel is Channel.ANALYSIS:
            seen.append(book.turns[0][-1].text)
    assert seen == ["one", "one two", "one two three"]
    assert [message.text for message in book.turns[0]] == ["go", "one two three", "Yes"]


def final(text: str, end: str = "<|return|>") -> str:
    return f"<|channel|>final<|message|>{text}{end}"


class Book:
    """A recorder that keeps what it is given, and refuses from the write number `broken` on."""

    def __init__(self, broken: int = 1000) -> None:
        self.turns: dict[int, list[Message]] = {}
        self.writes, self.broken = 0, broken

    def due(self) -> bool:
        return True

    def write(self, turn: int, messages: Sequence[Message]) -> str:
        self.writes += 1
        if self.writes >= self.broken:
            raise GptossError("the disk is full")
        self.turns[turn] = list(messages)
        return ""

    def cut(self, turn: int) -> str:
        self.turns = {number: each for number, each in self.turns.items() if number < turn}
        return ""


def recorded(talk: Session, broken: int = 1000) -> Book:
    book = Book(broken)
    talk.record = Record(book)
    return book


def stopped_after(events: Events, text: str) -> None:
    """Read until the answer has `text`, then close, as Ctrl-C does."""
    seen = ""
    for event in events:
        if isinstance(event, Delta) and event.channel is Channel.FINAL:
            seen += event.text
        if text in seen:
            break
    events.close()


def texts(talk: Session) -> list[list[str]]:
    return [[message.text for message in turn] for turn in talk.turns]


def notices(events: Iterable[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def test_a_retry_asks_again_and_may_think_harder(o200k: Tokenizer) -> None:
    talk, engine = session(o200k, final("One"), THOUGHT + final("Two"), final("Three"))
    with pytest.raises(BadInput, match="nothing has been asked yet"):
        list(talk.retry())
    list(talk.send("go"))
    list(talk.retry(Effort.HIGH))
    assert texts(talk) == [["go", "thinking", "Two"]]
    assert talk.options.reasoning is Effort.HIGH
    list(talk.retry())
    assert texts(talk) == [["go", "Three"]]
    prompts = [o200k.decode(prompt.tokens) for prompt in engine.prompts]
    assert prompts[1] == prompts[2] == prompts[0].replace("Reasoning: medium", "Reasoning: high")


def test_an_interrupted_answer_goes_on_as_one_message(o200k: Tokenizer) -> None:
    talk, engine = session(o200k, THOUGHT + final("one two three"), " two and more<|return|>", final("Next"))
    book = recorded(talk)
    stopped_after(talk.send("go"), "one")
    assert (book.turns[0][-1].text, book.turns[0][-1].complete) == ("one", False)
    events = list(talk.resume())
    assert o200k.decode(engine.prompts[1].tokens).endswith("<|start|>assistant<|channel|>final<|message|>one")
    assert "".join(event.text for event in events if isinstance(event, Delta)) == " two and more"
    assert texts(talk) == [["go", "thinking", "one two and more"]]
    assert talk.turns[0][-1].complete
    assert book.turns[0] == talk.turns[0]
    with pytest.raises(BadInput, match="the last answer is complete"):
        list(talk.resume())
    list(talk.send("on"))
    assert "<|message|>one two and more<|end|>" in o200k.decode(engine.prompts[2].tokens)


def test_an_answer_may_be_interrupted_again_and_again(o200k: Tokenizer) -> None:
    talk, _ = session(o200k, final("one two three"), " two three<|return|>")
    stopped_after(talk.send("go"), "one")
    talk.resume().close()
    events = talk.resume()
    next(events)  # the prompt is read, nothing is said yet
    events.close()
    assert (texts(talk), talk.turns[0][-1].complete) == ([["go", "one"]], False)
    list(talk.resume())
    assert texts(talk) == [["go", "one two three"]]


def test_an_answer_that_was_cut_by_a_limit_goes_on(tiny_tokenizer: Tokenizer) -> None:
    with closing(LocalChat(LlamaEngine(TINY), tiny_tokenizer)) as chat:
        whole = Session(chat, Options(Sampling(temperature=0.0)))
        list(whole.send("What can you do?"))
        talk = Session(chat, Options(Sampling(temperature=0.0), max_tokens=4))
        list(talk.send("What can you do?"))
        assert not talk.turns[0][-1].complete
        talk.options = replace(talk.options, max_tokens=None)
        list(talk.resume())
    assert talk.turns[0][-1].text == whole.turns[0][-1].text
    assert talk.turns[0][-1].complete


def test_a_reply_that_was_stopped_while_it_thought_goes_on(o200k: Tokenizer) -> None:
    talk, engine = session(o200k, THOUGHT + final("never"), final("Here"), final("There"))
    for event in (events := talk.send("go")):
        if isinstance(event, Message):
            break
    events.close()
    assert texts(talk) == [["go", "thinking"]]
    list(talk.resume())
    assert o200k.decode(engine.prompts[1].tokens).endswith("thinking<|end|><|start|>assistant")
    assert texts(talk) == [["go", "thinking", "Here"]]
    talk.turns[-1] = talk.turns[-1][:1]
    list(talk.resume())
    assert texts(talk) == [["go", "There"]]


def test_undo_and_clear_forget_here_and_in_the_record(o200k: Tokenizer) -> None:
    talk, engine = session(o200k, *map(final, "ABCD"))
    book = recorded(talk)
    for text in ("a", "b", "c"):
        list(talk.send(text))
    assert talk.undo() == "c"
    assert texts(talk) == [["a", "A"], ["b", "B"]]
    assert set(book.turns) == {0, 1}
    talk.clear()
    assert (talk.turns, book.turns) == ([], {})
    with pytest.raises(BadInput, match="nothing has been asked yet"):
        talk.undo()
    list(talk.send("d"))
    assert book.turns == {0: talk.turns[0]}
    assert "<|message|>a<|end|>" not in o200k.decode(engine.prompts[-1].tokens)


def test_a_summary_stands_for_the_turns_which_are_kept(o200k: Tokenizer) -> None:
    talk, engine = session(o200k, final("A"), THOUGHT + final("We spoke."), final("B"), final("C"), system="Be brief.")
    book = recorded(talk)
    list(talk.send("a"))
    list(talk.compact())
    assert SUMMARIZE in o200k.decode(engine.prompts[1].tokens)
    list(talk.send("b"))
    prompt = o200k.decode(engine.prompts[2].tokens)
    assert "Be brief." in prompt
    assert "What we spoke about so far:\n\nWe spoke.<|end|>" in prompt
    assert "<|message|>a<|end|>" not in prompt
    assert [book.turns[number] for number in range(3)] == talk.turns
    assert texts(talk)[0] == ["a", "A"]
    again = Session(talk.chat, Options(), system="Be brief.", date="2025-06-28", turns=talk.turns)
    assert again.conversation == talk.conversation
    assert (talk.undo(), talk.left_out) == ("b", 1)
    with pytest.raises(BadInput, match="the last message is a summary"):
        list(talk.retry())
    assert len(talk.turns) == 2
    talk.undo()
    list(talk.send("c"))
    assert "<|message|>a<|end|>" in o200k.decode(engine.prompts[3].tokens)
    assert texts(talk) == [["a", "A"], ["c", "C"]]


@pytest.mark.parametrize("reply", ["<|channel|>analysis<|message|>x<|return|>", final("half a", end=""), "<|return|>"])
def test_without_a_whole_summary_all_is_as_it_was(reply: str, o200k: Tokenizer) -> None:
    talk, _ = session(o200k, final("A"), reply)
    with pytest.raises(BadInput, match="nothing has been asked yet"):
        list(talk.compact())
    list(talk.send("a"))
    before = talk.conversation
    _, error = until_done(talk.compact())
    assert "no whole summary" in str(error)
    assert talk.conversation == before


def test_the_oldest_turns_are_left_out_when_the_context_is_nearly_full(o200k: Tokenizer) -> None:
    engine = ScriptedEngine(o200k, *map(final, "ABCDEF"))
    talk = Session(LocalChat(engine, o200k, num_ctx=700), Options())
    told = [notices(talk.send(f"{number} " + "word " * 150)) for number in range(4)]
    assert told[:3] == [[], [], []]
    assert told[3] == [
        "the context of 700 tokens is nearly full: from here on the model does not see the 2 oldest turns; "
        "/compact would summarize instead"
    ]
    prompt = o200k.decode(engine.prompts[3].tokens)
    assert [f"<|message|>{number} word" in prompt for number in range(4)] == [False, False, True, True]
    assert [message.text[:1] for turn in talk.turns for message in turn] == [*"0A1B2C3D"]
    assert notices(talk.send("word " * 800)) == []  # nothing makes room for that
    assert talk.left_out == 2
    talk.clear()
    assert notices(talk.send("again")) == []
    assert talk.left_out == 0


def test_turns_are_left_out_only_after_it_was_said(o200k: Tokenizer) -> None:
    engine = ScriptedEngine(o200k, *map(final, "ABCD"))
    talk = Session(LocalChat(engine, o200k, num_ctx=700), Options())
    for number in range(3):
        list(talk.send(f"{number} " + "word " * 150))
    events = talk.send("3 " + "word " * 150)
    assert isinstance(next(events), Notice)
    assert (talk.left_out, len(engine.prompts)) == (0, 3)
    events.close()
    assert talk.left_out == 0


def test_a_summary_that_has_no_room_says_what_it_lacks(o200k: Tokenizer) -> None:
    engine = ScriptedEngine(o200k, *map(final, "ABC"), final("", end=""), final("All of it."))
    talk = Session(LocalChat(engine, o200k, num_ctx=700), Options())
    for number in range(3):
        list(talk.send(f"{number} " + "word " * 150))
    seen, error = until_done(talk.compact())
    told = "the summary is made without the oldest turn: the context has no room for more"
    assert (notices(seen), talk.left_out, error is not None) == ([told], 0, True)
    assert notices(talk.compact()) == [told]
    assert talk.left_out == 3
    prompt = o200k.decode(engine.prompts[-1].tokens)
    assert [f"<|message|>{number} word" in prompt for number in range(3)] == [False, True, True]


@pytest.mark.parametrize("broken", [1, 2, 3])
def test_a_recorder_that_fails_is_told_once_and_the_answer_goes_on(broken: int, o200k: Tokenizer) -> None:
    talk, _ = session(o200k, final("one two three"), final("B"), final("C"))
    book = recorded(talk, broken)
    events = [*talk.send("a"), *talk.send("b")]
    assert notices(events) == ["not saved: the disk is full"]
    assert texts(talk) == [["a", "one two three"], ["b", "B"]]
    assert talk.save() == []
    book.broken = 1000
    assert notices(talk.send("c")) == ["saved again, with all that was said in between"]
    assert [book.turns[number] for number in range(3)] == talk.turns


def test_a_recorder_that_fails_when_a_reply_is_stopped_is_told_with_the_next(o200k: Tokenizer) -> None:
    talk, _ = session(o200k, final("one two three"), final("B"))
    book = recorded(talk)
    events = talk.send("a")
    for event in events:
        if isinstance(event, Delta):
            break
    book.broken = 0
    events.close()
    assert notices(talk.send("b")) == ["not saved: the disk is full"]
    assert talk.undo() == "b"
    book.broken = 1000
    assert [notice.text for notice in talk.save()] == ["saved again, with all that was said in between"]
    assert book.turns == {0: talk.turns[0]}
