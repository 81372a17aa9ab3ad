"""What a sample is, and the pieces of its conversation, as inference renders them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gptoss_cli.messages import (
    Channel,
    Conversation,
    DeveloperContent,
    Effort,
    Message,
    ResponseFormat,
    Role,
    SystemContent,
    ToolNamespace,
    ToolSpec,
)
from training.corpus import values

EFFORTS = (Effort.LOW, Effort.MEDIUM, Effort.HIGH)
LANGUAGES = ("English", "Chinese")


@dataclass(frozen=True)
class Sample:
    """A conversation whose messages from `reply_from` on are to be learnt: thoughts, calls, the answer; no results.

    kind: the row of the evaluation; form: what is special about it, within the row. language: of the answer. needs:
    what a right answer contains; check: what else must hold of it; without both only the very text is right. forced:
    the analysis was emptied (`--reasoning off`) or cut (`--max-thinking`), and the answer's header put there: only the
    answer itself is the model's own.
    """

    kind: str
    language: str
    effort: Effort
    conversation: Conversation
    reply_from: int
    form: str = ""
    needs: tuple[str, ...] = ()
    check: Callable[[str], bool] | None = field(default=None, compare=False)
    intent: str | None = None
    forced: bool = False

    def answered_by(self, text: str) -> bool:
        """Whether `text` is a right answer."""
        if not self.needs and self.check is None:
            return self.is_the_text(text)
        return all(need in text for need in self.needs) and (self.check is None or self.check(text))

    def is_the_text(self, text: str) -> bool:
        """Whether `text` is the answer word for word."""
        return text.strip() == self.conversation.messages[-1].text.strip()


def system(random: Random, effort: Effort, *tools: ToolNamespace) -> Message:
    """The machine's facts, with any date; tools: built-in ones."""
    return Message(Role.SYSTEM, (SystemContent(date=values.date(random), effort=effort, tools=tools),))


def developer(
    instructions: str | None, functions: tuple[ToolSpec, ...] = (), formats: tuple[ResponseFormat, ...] = ()
) -> Message:
    tools = (ToolNamespace("functions", None, functions),) if functions else ()
    return Message(Role.DEVELOPER, (DeveloperContent(instructions, tools, formats),))


def thought(text: str) -> Message:
    return Message(Role.ASSISTANT, (text,), Channel.ANALYSIS)


def final(text: str) -> Message:
    return Message(Role.ASSISTANT, (text,), Channel.FINAL)


def call(function: str, arguments: Mapping[str, Any]) -> Message:
    """A call of the user's `function`."""
    return Message(
        Role.ASSISTANT,
        (json.dumps(arguments, ensure_ascii=False),),
        Channel.COMMENTARY,
        recipient=f"functions.{function}",
        content_type="<|constrain|>json",
    )


def builtin_call(tool: str, body: str) -> Message:
    """A call of a built-in tool: within the thoughts, its body typed as code."""
    return Message(Role.ASSISTANT, (body,), Channel.ANALYSIS, recipient=tool, content_type="code")


def result(made: Message, text: str) -> Message:
    """What the tool says to the call `made`."""
    return Message(Role.TOOL, (text,), made.channel, name=made.recipient, recipient="assistant")
