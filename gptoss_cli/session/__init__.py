"""A chat session: the conversation so far and the turn in progress. Knows no screen and no file."""

from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from gptoss_cli.errors import BadInput, NoAnswer
from gptoss_cli.messages import (
    Conversation,
    DeveloperContent,
    Effort,
    Event,
    Message,
    Notice,
    Role,
    SystemContent,
    answer,
    user,
)
from gptoss_cli.options import Options
from gptoss_cli.session.record import Record, Recorder
from gptoss_cli.session.turn import Turn, is_answer, is_broken_off

# a context is nearly full from here on, and turns are left out until the rest takes less than that
NEARLY_FULL, ROOMY = 0.85, 0.7
SUMMARY_ROOM, MOST_SUMMARY_ROOM = 2048, 0.3  # tokens for a summary and the thoughts about it; share of the context

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


Events = Generator[Event, None, None]


def _instructions(text: str) -> Message:
    return Message(Role.DEVELOPER, (DeveloperContent(instructions=text),))


SAID_BY: dict[str, Callable[[str], Message]] = {"system": _instructions, "user": user, "assistant": answer}


class Session:
    """The conversation with one model; a turn at a time.

    system: the user's own system text, which Harmony puts into the developer message. messages: what was said before,
    as pairs of a role (`system`, `user`, `assistant`) and a text. date: YYYY-MM-DD of the start. recorder: keeps the
    turns, and has `turns`; when it fails, a Notice says so and the conversation goes on. `options` may be replaced
    between turns.
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
        self.turns = [list(turn) for turn in turns]
        self.record = Record(recorder, len(self.turns))
        self.left_out = self._summary()  # of the oldest turns, because of a summary or a full context
        self._untold: list[Notice] = []
        self._before = [SAID_BY[role](text) for role, text in messages]

    @property
    def conversation(self) -> Conversation:
        """What the model is told: the opening, then the turns that are not left out."""
        return self._told(self.left_out)

    def _told(self, left_out: int) -> Conversation:
        said = (message for turn in self.turns[left_out:] for message in turn if not is_broken_off(message))
        return Conversation((*self.opening, *said))

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
        """Another reply to what was asked last, at another effort if given.

        Raises as `send`, BadInput without a question.
        """
        turn = self.asked_last()
        if effort is not None:
            self.options = replace(self.options, reasoning=effort)
        self.turns[-1] = turn[:1]
        yield from self._answer()

    def resume(self) -> Events:
        """Go on with an answer that was cut, interrupted or never begun.

        Raises as `send`, BadInput when it is complete.
        """
        last = self._last()[-1]
        if last.complete and is_answer(last):
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
        self._untold += self.record.cut(self.turns)

    def _summary(self) -> int:
        """Where the last summary stands among the turns, 0 without one. Its answer is the only one never sampled."""
        return max((place for place, turn in enumerate(self.turns) if is_summary(turn)), default=0)

    def compact(self) -> Events:
        """Let a summary by the model stand for all turns so far, which are kept; the events are those of the summary.

        Raises NoAnswer when there is none, BadInput when nothing was said; the conversation is as it was then.
        """
        self._last()
        left_out = self._without(lambda told: self.chat.count(told.plus(user(SUMMARIZE))), self._summary_limit())
        if left_out > self.left_out:
            yield Notice(f"the summary is made without {_oldest(left_out)}: the context has no room for more")
        turn = Turn([])
        asked = self._told(left_out).plus(user(SUMMARIZE))
        with closing(_generator(self.chat.reply(asked, self.options))) as reply:
            for event in reply:
                turn.note(event)
                yield event
        if not turn.answered or not (summary := turn.kept()[-1]).complete:
            raise NoAnswer("the model gave no whole summary; the conversation is as it was")
        self.turns.append([user(f"{SUMMARIZED}\n\n{summary.text}"), answer(READ)])
        self.left_out = len(self.turns) - 1
        yield from self.record.write(self.turns)

    def _summary_limit(self) -> float:
        limit = self.chat.limit()
        return limit - min(SUMMARY_ROOM, MOST_SUMMARY_ROOM * limit)

    def settle(self) -> None:
        """Let the model prepare for the next turn while the user reads and types."""
        if self.turns:
            self.chat.settle(self.conversation)

    def fullness(self) -> float:
        """Which share of the longest possible context the conversation takes; waits for the model to be loaded."""
        return self.chat.count(self.conversation) / self.chat.limit()

    def save(self) -> list[Notice]:
        """Try again to keep what could not be; what the user should know."""
        return self.record.write(self.turns) if self.turns and self.record.lacks(self.turns) else []

    def asked_last(self) -> list[Message]:
        """The last turn. Raises BadInput when there is none, or when it is a summary, which nobody has asked."""
        turn = self._last()
        if is_summary(turn):
            raise BadInput("the last message is a summary", hint="/undo takes it back")
        return turn

    @property
    def is_unanswered(self) -> bool:
        """Whether the last turn has no answer, not even the beginning of one."""
        return bool(self.turns) and not any(map(is_answer, self.turns[-1]))

    def _last(self) -> list[Message]:
        if not self.turns:
            raise BadInput("nothing has been asked yet")
        return self.turns[-1]

    def _answer(self) -> Events:
        """The events of a reply to the last turn as it stands, which is kept up to date."""
        turn = Turn(self.turns[-1])
        self.turns[-1] = turn.asked + turn.kept()
        self._untold += self.record.write(self.turns)  # before what may take long: a model that is loaded
        yield from self._tell()
        yield from self._make_room()
        try:
            with closing(_generator(self.chat.reply(self.conversation, self.options))) as reply:
                for event in reply:
                    turn.note(event)
                    if self.record.due() and turn.is_streaming:
                        self.turns[-1] = turn.asked + turn.kept()
                        yield from self.record.write(self.turns)
                    yield event
        finally:
            self.turns[-1] = turn.asked + turn.kept()
            self._untold += self.record.write(self.turns)  # of a reply that is closed early, the next one tells
        yield from self._tell()
        if turn.done is not None and not turn.answered:
            raise turn.no_answer(self.options)

    def _tell(self) -> Iterator[Notice]:
        told, self._untold = self._untold, []
        yield from told

    def _make_room(self) -> Iterator[Notice]:
        """Leave the oldest turns out of the prompt when the context cannot hold it, and say so before."""
        if len(self.seen) < 2 or self.fullness() < NEARLY_FULL:
            return
        left_out = self._without(self.chat.count, ROOMY * self.chat.limit())
        if self.chat.count(self._told(left_out)) > self.chat.limit():
            return  # the message alone is too long, which the chat model says
        yield Notice(
            f"the context of {self.chat.limit():,} tokens is nearly full: from here on the model does not see "
            f"{_oldest(left_out)}; /compact would summarize instead"
        )
        self.left_out = left_out

    def _without(self, count: Callable[[Conversation], int], most: float) -> int:
        """How many of the oldest turns must be left out so that the rest has at most `most` tokens; never the last."""
        numbers = range(self.left_out, len(self.turns) - 1)
        return self.left_out + bisect_left(numbers, True, key=lambda number: count(self._told(number)) <= most)


def is_summary(turn: Sequence[Message]) -> bool:
    """Whether `turn` is what Session.compact has put there. Its answer is the only one that was never sampled."""
    return list(turn[1:]) == [answer(READ)]


def _oldest(count: int) -> str:
    return "the oldest turn" if count == 1 else f"the {count} oldest turns"


def _generator(events: Iterator[Event]) -> Generator[Event, None, None]:
    """`events` as something that can be closed."""
    try:
        yield from events
    finally:
        if isinstance(events, Generator):
            events.close()
