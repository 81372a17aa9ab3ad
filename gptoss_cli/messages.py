"""The vocabulary of a chat, which is Harmony's: roles, channels, messages, tools, and the events of one reply.

Pure values. Nothing here knows how a message is written as tokens (harmony) or where it is kept (history).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Who a message is from; precedence from first to last (openai/harmony docs/format.md, "Roles")."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Channel(StrEnum):
    """What a message of the assistant is: reasoning, a call or a preamble, the answer."""

    ANALYSIS = "analysis"
    COMMENTARY = "commentary"
    FINAL = "final"


class Effort(StrEnum):
    """How much the model should think. `off` is no trained level: low, with an empty analysis put before the answer."""

    OFF = "off"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class End(StrEnum):
    """How a sampled message ended: by one of the three stop tokens, by <|endoftext|> (`eot`), or cut (`length`)."""

    END = "<|end|>"
    RETURN = "<|return|>"
    CALL = "<|call|>"
    EOT = "eot"
    LENGTH = "length"


@dataclass(frozen=True)
class ToolSpec:
    """One function the model may call; `parameters` is a JSON schema, None for a function without arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None  # Any: a JSON document


@dataclass(frozen=True)
class ToolNamespace:
    """Tools under one name, as the model sees them: `functions` (the user's), `browser`, `python`."""

    name: str
    description: str | None = None
    tools: tuple[ToolSpec, ...] = ()


# openai/harmony docs/format.md, "System message format"
IDENTITY = "You are ChatGPT, a large language model trained by OpenAI."
KNOWLEDGE_CUTOFF = "2024-06"


@dataclass(frozen=True)
class SystemContent:
    """The machine's facts, first in every prompt (a user's system text is DeveloperContent). None leaves a line out."""

    identity: str | None = IDENTITY
    knowledge_cutoff: str | None = KNOWLEDGE_CUTOFF
    date: str | None = None  # YYYY-MM-DD
    effort: Effort | None = Effort.MEDIUM
    channels: tuple[Channel, ...] = (Channel.ANALYSIS, Channel.COMMENTARY, Channel.FINAL)
    channel_required: bool = True
    tools: tuple[ToolNamespace, ...] = ()  # built-in tools


@dataclass(frozen=True)
class ResponseFormat:
    """A JSON schema the final answer is asked to follow, with a name and a line that says what it is."""

    name: str
    schema: Mapping[str, Any]  # Any: a JSON document
    description: str = ""


@dataclass(frozen=True)
class DeveloperContent:
    """What other systems call the system prompt, and the user's functions. Instructions "" and None differ."""

    instructions: str | None = None
    tools: tuple[ToolNamespace, ...] = ()
    response_formats: tuple[ResponseFormat, ...] = ()


Content = str | SystemContent | DeveloperContent


@dataclass(frozen=True)
class Message:
    """One message of a conversation; a reply is several.

    content: its parts, each tokenized on its own. tokens: for a sampled message the ids exactly as sampled, from
    `<|start|>` (which the prompt may have opened) to its last one; they are fed again instead of a rendering while
    the turn lasts. end: how a sampled message ended; None for one that was not sampled.
    """

    role: Role
    content: tuple[Content, ...]
    channel: Channel | None = None
    name: str | None = None
    recipient: str | None = None
    content_type: str | None = None
    tokens: tuple[int, ...] = field(default=(), compare=False)
    end: End | None = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part for part in self.content if isinstance(part, str))

    @property
    def complete(self) -> bool:
        return self.end is not End.LENGTH


def user(text: str) -> Message:
    """A message of the user."""
    return Message(Role.USER, (text,))


def answer(text: str) -> Message:
    """A whole answer of the model, as it stands in the history."""
    return Message(Role.ASSISTANT, (text,), Channel.FINAL)


@dataclass(frozen=True)
class Conversation:
    """The messages so far, oldest first."""

    messages: tuple[Message, ...] = ()

    def plus(self, *messages: Message) -> "Conversation":
        return Conversation(self.messages + messages)


@dataclass(frozen=True)
class Delta:
    """A piece of a message as it streams; whole characters only. channel None: the model has not said which (yet)."""

    channel: Channel | None
    text: str
    recipient: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far something has come that keeps the user waiting.

    stage: `load`, `prompt` or `convert`, each in its own unit; of a pull `download`, `verify` or `wait` (for another
    program), in bytes.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Notice:
    """Something the user should know that is not an error, such as `thoughts cut at 200 tokens`."""

    text: str


@dataclass(frozen=True)
class Usage:
    """Tokens of one reply. prompt_tokens = prompt_evaluated + prompt_reused; restored: those of the reused that came
    back from a kept state.
    """

    prompt_tokens: int
    prompt_evaluated: int
    prompt_reused: int
    prompt_restored: int
    thinking_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class ReplyTimings:
    """Seconds of one reply: loading, from the request to the first sampled token, reading the prompt, sampling."""

    load_s: float
    first_token_s: float
    prompt_s: float
    answer_s: float


@dataclass(frozen=True)
class Done:
    """The end of a reply. finish_reason: `stop`, `length` (a limit), `context` (the context is full) or `call`."""

    finish_reason: str
    usage: Usage
    timings: ReplyTimings


Event = Delta | Message | Progress | Notice | Done
