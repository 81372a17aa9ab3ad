"""A chat session: the conversation so far and the turn in progress. Knows no screen and no file."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from gptoss_cli.errors import BadInput, GptossError, NoAnswer
from gptoss_cli.messages import (
    Channel,
    Conversation,
    Delta,
    DeveloperContent,
    Done,
    Effort,
    End,
    Event,
    Message,
    Notice,
    Role,
    SystemContent,
    answer,
    user,
)
from gptoss_cli.options import Options

# a context is nearly full from here on, and turns are left out until the rest takes less than that
NEARLY_FULL, ROOMY = 0.85, 0.7

SUMMARIZE = (
    "Summarize our conversation so far, so that it can be continued from the summary alone: what was asked, what was "
    "found and decided, names, numbers and wishes that still matter. Write in the language of the conversation."
)
SUMMARIZED, READ = "What we spoke about so far:", "I have read it."


class ChatModel(Protocol):
    """A conversation in, the events of one reply out; the last one is Done."""

    def reply(self, conversation: Conversation, options: Options) -> Iterator[Event]: ...

    def settle(self, conversation: Conversation) -> None:
        """Prepare for what comes after `conversation`, in the background."""
        ...

    def count(self, conversation: Conversation) -> int:
        """How many tokens a prompt of `conversation` has."""
        ...

    def limit(self) -> int:
        """How many tokens a context can have at most; waits for the model to be loaded."""
        ...


class Recorder(Protocol):
    """Keeps the turns of a session; history.journal has one. Its methods raise GptossError."""

    def due(self) -> bool:
        """Whether what streams should be written again by now; asked at every piece."""
        ...

    def write(self, turn: int, messages: Sequence[Message]) -> str:
        """Make `messages` all that turn number `turn` has. What the user should know, or ""."""
        ...

    def cut(self, turn: int) -> None:
        """Forget the turns from number `turn` on."""
        ...


Events = Generator[Event, None, None]


def _instructions(text: str) -> Message:
    return Message(Role.DEVELOPER, (DeveloperContent(instructions=text),))


SAID_BY: dict[str, Callable[[str], Message]] = {"system": _instructions, "user": user, "assistant": answer}


class Session:
    """The conversation with one model; a turn at a time.

    system: the user's own system text, which Harmony puts into the developer message. messages: what was said before,
    as pairs of a role (`system`, `user`, `assistant`) and a text. date: YYYY-MM-DD of the start. recorder: keeps the
    turns; when it fails, a Notice says so and the conversation goes on. `options` may be replaced between turns.
    """

    def __init__(
        self,
        chat: ChatModel,
        options: Options,
        *,
        system: str | None = None,
        messages: Sequence[tuple[str, str]] = (),
        date: str | None = None,
        turns: Sequence[Sequence[Message]] = (),
        recorder: Recorder | None = None,
    ) -> None:
        self.chat = chat
        self.options = options
        self.system = system
        self.date = date
        self.recorder = recorder
        self.turns = [list(turn) for turn in turns]
        self.left_out = self._summary()  # of the oldest turns, because of a summary or a full context
        self._untold: list[Notice] = []
        self._before = [SAID_BY[role](text) for role, text in messages]

    @property
    def conversation(self) -> Conversation:
        """What the model is told: the opening, then the turns that are not left out."""
        return Conversation((*self.opening, *(message for turn in self.seen for message in turn)))

    @property
    def opening(self) -> tuple[Message, ...]:
        """What comes before the turns: the system message, the system text, what was said before."""
        opening = [Message(Role.SYSTEM, (SystemContent(date=self.date, effort=self.options.reasoning),))]
        if self.system:
            opening.append(_instructions(self.system))
        return (*opening, *self._before)

    @property
    def seen(self) -> list[list[Message]]:
        """The turns that the model is told."""
        return self.turns[self.left_out :]

    def send(self, text: str) -> Events:
        """The events of the reply to `text`; the last one is Done.

        Closed early, the part of the answer that was given is kept and marked incomplete. Raises NoAnswer, after
        Done, when the reply has neither a final answer nor a call, and what the chat model raises.
        """
        self.turns.append([user(text)])
        yield from self._answer()

    def retry(self, effort: Effort | None = None) -> Events:
        """Another reply to what was asked last, at another effort if given. Raises as `send`, BadInput without one."""
        turn = self._last()
        if effort is not None:
            self.options = replace(self.options, reasoning=effort)
        self.turns[-1] = turn[:1]
        yield from self._answer()

    def resume(self) -> Events:
        """Go on with an answer that was cut, interrupted or never begun.

        Raises as `send`, BadInput when it is complete.
        """
        last = self._last()[-1]
        if last.complete and _is_answer(last):
            raise BadInput("the last answer is complete")
        yield from self._answer()

    def undo(self) -> str:
        """Forget the last turn, or the summary; what was asked in it. Raises BadInput when there is none."""
        text = self._last()[0].text
        self._forget(len(self.turns) - 1)
        return text

    def clear(self) -> None:
        """Forget all turns."""
        self._forget(0)

    def _forget(self, number: int) -> None:
        del self.turns[number:]
        if self.left_out >= number:  # the summary itself, say: what it summarized counts again
            self.left_out = self._summary()
        if self.recorder:
            self.recorder.cut(number)

    def _summary(self) -> int:
        """Where the last summary stands among the turns, 0 without one. Its answer is the only one never sampled."""
        places = (place for place, turn in enumerate(self.turns) if turn[1:] == [answer(READ)])
        return max(places, default=0)

    def compact(self) -> Events:
        """Let a summary by the model stand for all turns so far, which are kept; the events are those of the summary.

        Raises NoAnswer when there is none, BadInput when nothing was said; the conversation is as it was then.
        """
        self._last()
        yield from self._make_room()
        asked = self.conversation.plus(user(SUMMARIZE))
        turn = _Turn([])
        with closing(_generator(self.chat.reply(asked, self.options))) as reply:
            for event in reply:
                turn.note(event)
                yield event
        if not turn.answered or not (summary := turn.kept()[-1]).complete:
            raise NoAnswer("the model gave no whole summary; the conversation is as it was")
        self.turns.append([user(f"{SUMMARIZED}\n\n{summary.text}"), answer(READ)])
        self.left_out = len(self.turns) - 1
        yield from self._record(self.left_out)

    def settle(self) -> None:
        """Let the model prepare for the next turn while the user reads and types."""
        if self.turns:
            self.chat.settle(self.conversation)

    def fullness(self) -> float:
        """Which share of the longest possible context the conversation takes; waits for the model to be loaded."""
        return self.chat.count(self.conversation) / self.chat.limit()

    def _last(self) -> list[Message]:
        if not self.turns:
            raise BadInput("nothing has been asked yet")
        return self.turns[-1]

    def _answer(self) -> Events:
        """The events of a reply to the last turn as it stands, which is kept up to date."""
        told, self._untold = self._untold, []
        yield from told
        number, asked = len(self.turns) - 1, self.turns[-1]
        yield from self._record(number)  # before what may take long: a model that is loaded
        yield from self._make_room()
        turn = _Turn(asked)
        try:
            with closing(_generator(self.chat.reply(self.conversation, self.options))) as reply:
                for event in reply:
                    turn.note(event)
                    if self.recorder and self.recorder.due() and turn.partial:
                        self.turns[-1] = [*turn.asked, *turn.kept()]
                        yield from self._record(number)
                    yield event
        finally:
            self.turns[-1] = [*turn.asked, *turn.kept()]
            self._untold += self._record(number)  # of a reply that is closed early, the next one tells
        told, self._untold = self._untold, []
        yield from told
        if turn.done is not None and not turn.answered:
            raise _no_answer(turn.done, self.options)

    def _record(self, number: int) -> Iterator[Notice]:
        if self.recorder:
            try:
                if told := self.recorder.write(number, self.turns[number]):
                    yield Notice(told)
            except GptossError as error:
                self.recorder = None
                yield Notice(f"from here on nothing is saved: {error}")

    def _make_room(self) -> Iterator[Notice]:
        """Leave the oldest turns out of the prompt when the context cannot hold it, and say so."""
        if len(self.turns) - self.left_out < 2 or self.fullness() < NEARLY_FULL:
            return
        before = self.left_out
        while len(self.turns) - self.left_out > 1 and self.fullness() > ROOMY:
            self.left_out += 1
        count = self.left_out - before
        yield Notice(
            f"the context of {self.chat.limit():,} tokens is nearly full: from here on the model does not see "
            f"{'the oldest turn' if count == 1 else f'the {count} oldest turns'}; /compact would summarize instead"
        )


def _generator(events: Iterator[Event]) -> Generator[Event, None, None]:
    """`events` as something that can be closed."""
    try:
        yield from events
    finally:
        if isinstance(events, Generator):
            events.close()


class _Turn:
    """What one reply has brought so far. asked: the turn before it; an incomplete answer in it goes on."""

    def __init__(self, asked: Sequence[Message]) -> None:
        last = asked[-1] if asked else None
        self._begun = last.text if last is not None and not last.complete and last.channel is Channel.FINAL else ""
        self.asked = list(asked[:-1] if self._begun else asked)
        self._messages: list[Message] = []
        self.partial = self._begun
        self.done: Done | None = None

    def note(self, event: Event) -> None:
        match event:
            case Message():
                self._messages.append(self._joined(event))
                self.partial = ""
            case Delta(channel=Channel.FINAL, text=text, recipient=None):
                self.partial += text
            case Done():
                self.done = event
            case _:
                pass

    def _joined(self, message: Message) -> Message:
        """What goes on is one message with what was there; its tokens are not those of one sampling."""
        if not self._begun or message.channel is not Channel.FINAL:
            return message
        begun, self._begun = self._begun, ""
        return replace(message, content=(begun + message.text,), tokens=())

    @property
    def answered(self) -> bool:
        finals = (each for each in self._messages if _is_answer(each))
        return any(each.text.strip() for each in finals)

    def kept(self) -> list[Message]:
        """The messages, and a part of an answer that was interrupted; unfinished thoughts and calls are dropped."""
        whole = [message for message in self._messages if message.complete or message.channel is Channel.FINAL]
        if self.partial:
            whole.append(Message(Role.ASSISTANT, (self.partial,), Channel.FINAL, end=End.LENGTH))
        return whole


def _is_answer(message: Message) -> bool:
    return message.role is Role.ASSISTANT and message.channel is Channel.FINAL and message.recipient is None


def _no_answer(done: Done, options: Options) -> NoAnswer:
    thought = f"{done.usage.thinking_tokens} tokens of thoughts"
    match done.finish_reason:
        case "context":
            return NoAnswer(
                f"no final answer: the context filled up after {thought}",
                hint="raise --num-ctx, or think less: --reasoning low, --max-thinking N",
            )
        case "length":
            return NoAnswer(
                f"no final answer within --max-tokens {options.max_tokens} (after {thought})", hint="raise --max-tokens"
            )
        case "stop" if options.stop and done.usage.answer_tokens:
            return NoAnswer("no final answer: it began with a stop text (--stop)", hint="ask for other stop texts")
        case "call":
            return NoAnswer("no final answer: the model called a tool that it was not offered", hint="ask again")
        case _:
            return NoAnswer(
                f"the model ended its turn without a final answer, after {thought}",
                hint="ask again, or with another --reasoning or --seed",
            )
