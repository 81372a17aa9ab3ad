"""A conversation to the tokens of a prompt; drops old analysis. Knows the format of gpt-oss, not what a reply is."""

import json
from collections.abc import Sequence

from gptoss_cli.errors import BadInput
from gptoss_cli.harmony import schema
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import (
    Channel,
    Content,
    Conversation,
    DeveloperContent,
    Effort,
    Message,
    ResponseFormat,
    Role,
    SystemContent,
)
from gptoss_cli.prompt import Prompt

CONSTRAIN = "<|constrain|>"
TURNS_MARKED = 4  # to go back so far is quick, and each mark makes reading a whole prompt a little slower


def render(
    conversation: Conversation,
    tokenizer: Tokenizer,
    *,
    next_role: Role | None = Role.ASSISTANT,
    keep_analysis: bool = False,
    training: bool = False,
) -> Prompt:
    """The prompt of `conversation`; next_role opens that role's next message, None leaves the last one closed.

    Analysis before the last final answer is left out unless keep_analysis (openai/harmony docs/format.md, "Handling
    reasoning output in subsequent sampling"). training: everything is kept, and a final answer at the very end is
    closed by <|return|>. A last message that is incomplete is left open to be continued, and next_role is ignored.
    Messages after the last final answer that were sampled are repeated id by id. Marks: the end of the system and
    developer messages at the beginning, where the last TURNS_MARKED messages of the user begin, and the end of the
    prompt. Raises BadInput for a tool's message without a name.
    """
    messages = tuple(each for each in conversation.messages if not _is_empty_developer(each))
    kept = [*messages] if keep_analysis or training else kept_messages(messages)
    writer = _Writer(tokenizer, has_functions=_has_functions(messages))
    answered = _last_answer(kept)
    prefix = 0
    asked: list[int] = []  # where messages of the user begin
    for place, message in enumerate(kept):
        in_prefix = message.role in (Role.SYSTEM, Role.DEVELOPER) and prefix == len(writer.ids)
        is_open = place == len(kept) - 1 and not message.complete
        if message.role is Role.USER:
            asked.append(len(writer.ids))
        if place > answered and message.tokens and (message.complete or is_open):
            writer.again(message)
        else:
            writer.message(message, is_open)
        prefix = len(writer.ids) if in_prefix else prefix
    continued = bool(kept) and not kept[-1].complete
    if training and not continued and kept and _is_answer(kept[-1]):
        writer.ids[-1] = tokenizer.special.return_
    elif next_role is not None and not continued and not training:
        writer.open(next_role)
    marks = tuple(sorted({prefix, *asked[-TURNS_MARKED:], len(writer.ids)} - {0}))
    return Prompt(tuple(writer.ids), marks=marks, stop=tokenizer.stop)


def kept_messages(messages: tuple[Message, ...]) -> list[Message]:
    """The messages that a prompt contains: all but the analysis before the last final answer.

    That takes built-in calls and their results along, which live on the analysis channel. openai-harmony 0.0.8 cuts at
    the first final answer instead, and nothing when a call is the last message; what it documents is this. Of what was
    interrupted, only a text for the user remains, unless it is the last message: that one is to be continued.
    """
    cut = _last_answer(messages)
    last = len(messages) - 1
    return [
        each
        for place, each in enumerate(messages)
        if (place >= cut or each.channel is not Channel.ANALYSIS)
        and (each.complete or place == last or (each.recipient is None and each.channel is not Channel.ANALYSIS))
    ]


def _last_answer(messages: Sequence[Message]) -> int:
    """Where the last final answer stands, -1 without one; one that is being continued is none yet."""
    last = len(messages) - 1
    places = (place for place, each in enumerate(messages) if _is_answer(each) and (each.complete or place < last))
    return max(places, default=-1)


def _is_answer(message: Message) -> bool:
    return message.role is Role.ASSISTANT and message.channel is Channel.FINAL


def _is_empty_developer(message: Message) -> bool:
    return message.role is Role.DEVELOPER and all(part == DeveloperContent() for part in message.content)


def final_header(tokenizer: Tokenizer) -> tuple[int, ...]:
    """What follows <|start|>assistant to open the final answer: <|channel|>final<|message|>."""
    special = tokenizer.special
    return (special.channel, *tokenizer.encode(Channel.FINAL), special.message)


def force_final(tokenizer: Tokenizer) -> tuple[int, ...]:
    """What ends an analysis and opens the final answer: <|end|><|start|>assistant<|channel|>final<|message|>."""
    special = tokenizer.special
    return (special.end, special.start, *tokenizer.encode(Role.ASSISTANT), *final_header(tokenizer))


def no_thinking(tokenizer: Tokenizer) -> tuple[int, ...]:
    """What follows <|start|>assistant to answer without thoughts: an empty analysis, and the final answer opened."""
    special = tokenizer.special
    empty = (special.channel, *tokenizer.encode(Channel.ANALYSIS), special.message)
    return (*empty, *force_final(tokenizer))


def _has_functions(messages: tuple[Message, ...]) -> bool:
    """Whether any developer message offers functions, of which the system message then says where calls go."""
    return any(
        namespace.name == "functions" and namespace.tools
        for message in messages
        for part in message.content
        if isinstance(part, DeveloperContent)
        for namespace in part.tools
    )


class _Writer:
    """Ids written so far. Each piece of text is tokenized on its own, as OpenAI's renderer does."""

    def __init__(self, tokenizer: Tokenizer, has_functions: bool) -> None:
        self._tokenizer = tokenizer
        self._special = tokenizer.special
        self._has_functions = has_functions
        self.ids: list[int] = []

    def open(self, role: Role) -> None:
        self.ids.append(self._special.start)
        self._text(role)

    def again(self, message: Message) -> None:
        """A sampled message as the model wrote it; <|return|> and <|endoftext|> only end a reply, never a message."""
        self.ids.extend(message.tokens)
        if self.ids[-1] in (self._special.return_, self._special.endoftext):
            self.ids[-1] = self._terminator(message)

    def message(self, message: Message, is_open: bool) -> None:
        self.ids.append(self._special.start)
        self._header(message)
        self.ids.append(self._special.message)
        for part in message.content:
            self._text(self._content(part))
        if not is_open:
            self.ids.append(self._terminator(message))

    def _header(self, message: Message) -> None:
        if message.role is Role.TOOL:
            if not message.name:
                raise BadInput("a message of the role tool needs the tool's name, functions.get_weather for example")
            self._text(message.name)  # the role itself is never spelled
        else:
            self._text(message.role)
            if message.name:
                self._text(f":{message.name}")
        if message.recipient and message.recipient != "all":
            self._text(f" to={message.recipient}")
        if message.channel is not None:
            self.ids.append(self._special.channel)
            self._text(message.channel)
        if message.content_type:
            self._content_type(message.content_type)

    def _content_type(self, content_type: str) -> None:
        if content_type.startswith(CONSTRAIN):
            self._text(" ")
            self.ids.append(self._special.constrain)
            self._text(content_type.removeprefix(CONSTRAIN))
        else:
            self._text(f" {content_type}")

    def _content(self, part: Content) -> str:
        match part:
            case SystemContent():
                return system_text(part, self._has_functions)
            case DeveloperContent():
                return developer_text(part)
            case _:
                return part

    def _terminator(self, message: Message) -> int:
        is_call = message.role is Role.ASSISTANT and message.recipient
        return self._special.call if is_call else self._special.end

    def _text(self, text: str) -> None:
        self.ids.extend(self._tokenizer.encode(text))


def system_text(content: SystemContent, has_functions: bool) -> str:
    """The body of a system message; has_functions adds the line that says where calls of functions go."""
    facts = [
        content.identity,
        f"Knowledge cutoff: {content.knowledge_cutoff}" if content.knowledge_cutoff else None,
        f"Current date: {content.date}" if content.date else None,
    ]
    effort = Effort.LOW if content.effort is Effort.OFF else content.effort
    sections = [
        "\n".join(fact for fact in facts if fact),
        f"Reasoning: {effort}" if effort else "",
        schema.tools_section(content.tools),
        _channels(content, has_functions),
    ]
    return "\n\n".join(section for section in sections if section)


def _channels(content: SystemContent, has_functions: bool) -> str:
    if not content.channels:
        return ""
    text = f"# Valid channels: {', '.join(content.channels)}."
    if content.channel_required:
        text += " Channel must be included for every message."
    if has_functions:
        text += "\nCalls to these tools must go to the commentary channel: 'functions'."
    return text


def developer_text(content: DeveloperContent) -> str:
    """The body of a developer message: instructions, tools, response formats."""
    sections = []
    if content.instructions is not None:
        sections.append(f"# Instructions\n\n{content.instructions}")
    sections.append(schema.tools_section(content.tools))
    if content.response_formats:
        sections.append("\n\n".join(["# Response Formats", *map(_response_format, content.response_formats)]))
    return "\n\n".join(section for section in sections if section)


def _response_format(format: ResponseFormat) -> str:
    # openai/harmony docs/format.md "Structured output": compact JSON below a comment line
    document = json.dumps(format.schema, ensure_ascii=False, separators=(",", ":"))
    comment = f"// {format.description}\n" if format.description else ""
    return f"## {format.name}\n\n{comment}{document}"
