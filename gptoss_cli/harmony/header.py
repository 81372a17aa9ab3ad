"""What the header of a sampled message says, however malformed it is. Knows texts between control tokens, not ids."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gptoss_cli.messages import Channel, Role


class Mark(StrEnum):
    """The control tokens that occur inside a header."""

    CHANNEL = "<|channel|>"
    CONSTRAIN = "<|constrain|>"


CONTENT_TYPES = frozenset(("json", "code", "text", "python"))
TOOL = re.compile(r"(functions|browser)\.[\w.-]+|python\b.*")
DOTTED = re.compile(r"[^\W\d]\w*(\.[\w-]+)+")  # container.exec, repo_browser.search: tools that gpt-oss was trained on
NOBODY = frozenset(("assistant", "user", "all"))


@dataclass
class Header:
    """role None: somebody other than the assistant, whose message the model must not write.

    rest: where no <|message|> follows, the text after what could be read as a header; else words that mean nothing.
    """

    role: Role | None = Role.ASSISTANT
    channel: Channel | None = None
    recipient: str | None = None
    content_type: str | None = None
    rest: str = ""
    several_channels: bool = False
    bad_channel: bool = False
    missing_channel_token: bool = False


def parse(pieces: Sequence[str | Mark], tools: Collection[str], *, role_known: bool, has_body: bool) -> Header:
    """The header whose texts and control tokens are `pieces`.

    role_known: `<|start|>assistant` or the prompt has already said who speaks. has_body: <|message|> follows; without
    it only the leading words are a header. The last valid channel wins; a bare word is a recipient only when it is the
    name of one of `tools`.
    """
    reader = _Reader(tools, has_body)
    first, *others = _sections(pieces)
    reader.role_section(first, role_known)
    for section in others:
        reader.channel_section(section)
    reader.header.several_channels = len(others) > 1
    return reader.header


@dataclass
class _Section:
    """What stands between two channel tokens: a text, and what follows its constrain token."""

    text: str = ""
    constrained: str | None = None


def _sections(pieces: Sequence[str | Mark]) -> list[_Section]:
    sections = [_Section()]
    for piece in pieces:
        section = sections[-1]
        match piece:
            case Mark.CHANNEL:
                sections.append(_Section())
            case Mark.CONSTRAIN:
                section.constrained = section.constrained or ""
            case str() if section.constrained is None:
                section.text += piece
            case _:
                section.constrained = f"{section.constrained}{piece}"
    return sections


class _Reader:
    """Reads one section after another into a header."""

    def __init__(self, tools: Collection[str], has_body: bool) -> None:
        self.header = Header()
        self._tools = tools
        self._has_body = has_body

    def role_section(self, section: _Section, role_known: bool) -> None:
        text = re.sub(r"^\s*(assistant\s*)+", "", section.text) if _is_assistant(section.text) else section.text
        word = _first_word(text)
        if not role_known and not _is_assistant(section.text) and self._is_somebody(word, text):
            self.header.role = None
            return
        if word in set(Channel):
            self.header.channel, self.header.missing_channel_token = Channel(word), True
            text = text.split(word, 1)[1]
        elif not self._has_body and not word.startswith("to=") and section.constrained is None:
            self.header.rest += text  # bare text: nothing in it is a header
            return
        self._words(text)
        self._constrained(section)

    def _is_somebody(self, word: str, text: str) -> bool:
        """Whether a message that begins so is from another role, or from a tool, one that is not offered too."""
        name = re.split(r"[:<]", word)[0]
        if name in set(Role) or name in self._tools or TOOL.fullmatch(name):
            return True
        if name in set(Channel) or not self._has_body:
            return False
        return DOTTED.fullmatch(name) is not None or re.match(r"\s*[\w.:-]+\s+to=", text) is not None

    def channel_section(self, section: _Section) -> None:
        name = re.split(r"[\s<]", section.text, maxsplit=1)[0]
        text = section.text[len(name) :]
        channel = _channel(name)
        if channel is not None:
            self.header.channel = channel
            if name.lower().startswith(channel) and len(name) > len(channel):
                text = name[len(channel) :] + text
        self.header.bad_channel = self.header.bad_channel or channel is None or name != channel
        self._words(text)
        self._constrained(section)

    def _words(self, text: str) -> None:
        """Read what the words of `text` say; what they do not say is the rest."""
        for word in re.finditer(r"\S+", text):
            if self._read(word[0]):
                continue
            if not self._has_body:
                self.header.rest += text[word.start() :]
                return
            self.header.rest += f" {word[0]}"

    def _read(self, word: str) -> bool:
        if word.startswith("to="):
            self.header.recipient = _recipient(word[3:])
        elif word in CONTENT_TYPES:
            self.header.content_type = word
        elif word in self._tools:
            self.header.recipient = word
        else:
            return False
        return True

    def _constrained(self, section: _Section) -> None:
        if section.constrained is None:
            return
        first = _first_word(section.constrained)
        text = section.constrained
        if (letters := re.sub(r"[^a-z]", "", first.lower())) in CONTENT_TYPES:
            self.header.content_type = letters
            text = text.split(first, 1)[1]
        self._words(text)


def is_beginning(text: str, tools: Collection[str]) -> bool:
    """Whether `text` is where a well-formed header may have been cut: `to`, `functi`, `js`."""
    words = ("to=", "functions.", "browser.", *CONTENT_TYPES, *Channel, *Role, *tools)
    return any(word.startswith(text) for word in words)


def _is_assistant(text: str) -> bool:
    return re.match(r"\s*(assistant)+(\W|$)", text) is not None


def _first_word(text: str) -> str:
    return next(iter(text.split()), "")


def _channel(name: str) -> Channel | None:
    letters = re.sub(r"[^a-z]", "", name.lower())
    return next((channel for channel in Channel if letters.startswith(channel)), None)


def _recipient(text: str) -> str | None:
    name = text.split("<|")[0].strip("\"'`,;:!?()[]{}.")
    return name if name and name not in NOBODY else None
