"""One reply as it comes: what of it is kept whenever it ends, and whether it was an answer."""

from collections.abc import Sequence
from dataclasses import replace

from gptoss_cli.errors import NoAnswer
from gptoss_cli.messages import Channel, Delta, Done, End, Event, Message, Role
from gptoss_cli.options import Options


class Turn:
    """What one reply has brought so far. asked: the turn before it; an incomplete answer in it goes on."""

    def __init__(self, asked: Sequence[Message]) -> None:
        last = asked[-1] if asked else None
        self._begun = last.text if last is not None and not last.complete and last.channel is Channel.FINAL else ""
        self.asked = [each for each in asked[:-1] if not is_broken_off(each)]
        if last is not None and not self._begun and not is_broken_off(last):
            self.asked.append(last)
        self._messages: list[Message] = []
        self._answer = self._begun  # of a message that streams
        self._thought = ""
        self.done: Done | None = None

    def note(self, event: Event) -> None:
        match event:
            case Message():
                self._messages.append(self._joined(event))
                self._answer = self._thought = ""
            case Delta(channel=Channel.FINAL, text=text, recipient=None):
                self._answer += text
            case Delta(channel=Channel.ANALYSIS, text=text, recipient=None):
                self._thought += text
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
    def is_streaming(self) -> bool:
        """Whether a message for the reader, or a thought, has begun and not ended."""
        return bool(self._answer or self._thought)

    @property
    def answered(self) -> bool:
        finals = (each for each in self._messages if is_answer(each))
        return any(each.text.strip() for each in finals)

    def kept(self) -> list[Message]:
        """The messages, and the part of an answer or a thought that was interrupted; unfinished calls are dropped."""
        last = len(self._messages) - 1
        whole = [
            each
            for place, each in enumerate(self._messages)
            if each.complete or each.channel is Channel.FINAL or (place == last and is_broken_off(each))
        ]
        if self._answer:
            whole.append(_part(Channel.FINAL, self._answer))
        elif self._thought:
            whole.append(_part(Channel.ANALYSIS, self._thought))
        return whole

    def no_answer(self, options: Options) -> NoAnswer:
        """Why there is none, for a reply that is done."""
        usage = self.done.usage if self.done else None
        thought = f"{usage.thinking_tokens if usage else 0} tokens of thoughts"
        match self.done.finish_reason if self.done else "":
            case "context":
                return NoAnswer(
                    f"no final answer: the context filled up after {thought}",
                    hint="raise --num-ctx, or think less: --reasoning low, --max-thinking N",
                )
            case "length":
                return NoAnswer(
                    f"no final answer within --max-tokens {options.max_tokens} (after {thought})",
                    hint="raise --max-tokens",
                )
            case "stop" if options.stop and usage and usage.answer_tokens:
                return NoAnswer("no final answer: it began with a stop text (--stop)", hint="ask for other stop texts")
            case "call":
                return NoAnswer("no final answer: the model called a tool that it was not offered", hint="ask again")
            case _:
                return NoAnswer(
                    f"the model ended its turn without a final answer, after {thought}",
                    hint="ask again, or with another --reasoning or --seed",
                )


def is_answer(message: Message) -> bool:
    return message.role is Role.ASSISTANT and message.channel is Channel.FINAL and message.recipient is None


def is_broken_off(message: Message) -> bool:
    """Whether it is a thought that did not end: the user may look at it, the model is not told."""
    return message.channel is Channel.ANALYSIS and message.recipient is None and not message.complete


def _part(channel: Channel, text: str) -> Message:
    return Message(Role.ASSISTANT, (text,), channel, end=End.LENGTH)
