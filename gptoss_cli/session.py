"""A chat session: the conversation so far and the turn in progress. Knows no screen and no file."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

from gptoss_cli.errors import NoAnswer
from gptoss_cli.messages import (
    Channel,
    Conversation,
    Delta,
    DeveloperContent,
    Done,
    End,
    Event,
    Message,
    Role,
    SystemContent,
    answer,
    user,
)
from gptoss_cli.options import Options


class ChatModel(Protocol):
    """A conversation in, the events of one reply out; the last one is Done."""

    def reply(self, conversation: Conversation, options: Options) -> Iterator[Event]: ...


def _instructions(text: str) -> Message:
    return Message(Role.DEVELOPER, (DeveloperContent(instructions=text),))


SAID_BY: dict[str, Callable[[str], Message]] = {"system": _instructions, "user": user, "assistant": answer}


class Session:
    """The conversation with one model; a turn at a time.

    system: the user's own system text, which Harmony puts into the developer message. messages: what was said before,
    as pairs of a role (`system`, `user`, `assistant`) and a text. date: YYYY-MM-DD of the start.
    """

    def __init__(
        self,
        chat: ChatModel,
        options: Options,
        *,
        system: str | None = None,
        messages: Sequence[tuple[str, str]] = (),
        date: str | None = None,
    ) -> None:
        self._chat = chat
        self.options = options
        opening = [Message(Role.SYSTEM, (SystemContent(date=date, effort=options.reasoning),))]
        if system:
            opening.append(_instructions(system))
        self.conversation = Conversation((*opening, *(SAID_BY[role](text) for role, text in messages)))

    def send(self, text: str) -> Generator[Event, None, None]:
        """The events of the reply to `text`; the last one is Done.

        Closed early, the part of the answer that was given is kept and marked incomplete. Raises NoAnswer, after
        Done, when the reply has neither a final answer nor a call, and what the chat model raises.
        """
        self.conversation = self.conversation.plus(user(text))
        turn = _Turn()
        reply = self._chat.reply(self.conversation, self.options)
        try:
            for event in reply:
                turn.note(event)
                yield event
        finally:
            if isinstance(reply, Generator):
                reply.close()
            self.conversation = self.conversation.plus(*turn.kept())
        if turn.done is not None and not turn.answered:
            raise _no_answer(turn.done, self.options)


class _Turn:
    """What one reply has brought so far."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._partial = ""
        self.done: Done | None = None

    def note(self, event: Event) -> None:
        match event:
            case Message():
                self._messages.append(event)
                self._partial = ""
            case Delta(channel=Channel.FINAL, text=text, recipient=None):
                self._partial += text
            case Done():
                self.done = event
            case _:
                pass

    @property
    def answered(self) -> bool:
        finals = (each for each in self._messages if each.channel is Channel.FINAL and each.recipient is None)
        return any(each.text.strip() for each in finals)

    def kept(self) -> list[Message]:
        """The messages, and a part of an answer that was interrupted; unfinished thoughts and calls are dropped."""
        whole = [message for message in self._messages if message.complete or message.channel is Channel.FINAL]
        if self._partial:
            whole.append(Message(Role.ASSISTANT, (self._partial,), Channel.FINAL, end=End.LENGTH))
        return whole


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
