"""The Modelfile language: parse and print. Opens no file.

The grammar is Ollama's (parser/parser.go of github.com/ollama/ollama), with two additions: errors say where, and a
value that quotes cannot hold is written between `<<END` and a line `END`.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches

from gptoss_cli.errors import GptossError, ModelfileError

INSTRUCTIONS = (
    "from",
    "license",
    "template",
    "system",
    "adapter",
    "draft",
    "renderer",
    "parser",
    "parameter",
    "message",
    "requires",
)
ROLES = ("system", "user", "assistant")

NEWLINE = re.compile(r"\r\n|\r|\n")
BLANKS = " \t\r\n"  # what is trimmed; a full-width space is text
HEREDOC = re.compile(r"<<([A-Za-z_]+)[ \t]*(\r\n|\r|\n)")  # the last line of the value ends as this one
WIDEST_LINE = 160


@dataclass(frozen=True)
class Command:
    """One instruction: its name in lower case, its value, and the name of a parameter or the role of a message."""

    name: str
    value: str
    argument: str = ""
    offset: int = field(default=0, compare=False)  # where it begins in its file, and where its value does
    value_offset: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Remark:
    """Something that may not have been meant; line and column count from 1, in characters."""

    line: int
    column: int
    text: str


@dataclass(frozen=True)
class Modelfile:
    """The instructions in their order. Two are equal when they say the same; `str` prints one that parses to this."""

    commands: tuple[Command, ...]
    remarks: tuple[Remark, ...] = field(default=(), compare=False)
    text: str = field(default="", compare=False, repr=False)
    name: str = field(default="Modelfile", compare=False)

    def values(self, name: str) -> tuple[str, ...]:
        return tuple(command.value for command in self.commands if command.name == name)

    def last(self, name: str) -> str | None:
        """The value that counts of an instruction that may stand more than once; None when it is not there."""
        return next(iter(self.values(name)[::-1]), None)

    @property
    def source(self) -> str:
        """The model it is made from."""
        return self.values("from")[-1]

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        return tuple((each.argument, each.value) for each in self.commands if each.name == "parameter")

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        return tuple((each.argument, each.value) for each in self.commands if each.name == "message")

    def position(self, command: Command) -> tuple[int, int]:
        """(line, column) of a command that was parsed, from 1."""
        return _Reader(self.text, self.name).position(command.offset)

    def error(self, command: Command, text: str, hint: str | None = None) -> ModelfileError:
        """An error about the value of `command`, with its place and its line."""
        return _Reader(self.text, self.name).error(command.value_offset, text, hint)

    @contextmanager
    def placing(self, name: str) -> Iterator[None]:
        """An error inside is about the last instruction `name`: the same error is raised with its place and line."""
        try:
            yield
        except GptossError as error:
            command = [each for each in self.commands if each.name == name][-1]
            raise type(error)(str(self.error(command, str(error))), hint=error.hint) from error

    def __str__(self) -> str:
        return "".join(f"{' '.join(_words(command))} {written(command.value)}\n" for command in self.commands)


def parse(text: str, name: str = "Modelfile") -> Modelfile:
    """What `text` says. name: of the file, for errors. Raises ModelfileError, with line, column and the line itself."""
    reader = _Reader(text, name)
    commands = tuple(reader.commands())
    if not any(command.name == "from" for command in commands):
        raise ModelfileError(f"{name} has no FROM line", hint="it names the model to start from: FROM gpt-oss:20b")
    return Modelfile(commands, tuple(reader.remarks), text, name)


def written(value: str) -> str:
    """`value` in the simplest notation that is read back as it is."""
    one_line = value.strip(BLANKS) == value != "" and not NEWLINE.search(value)
    plain = one_line and not re.search(r"\s#", value) and not value.startswith("<<")
    for candidate in (value if plain else None, f'"""{value}"""'):
        if candidate is not None and _reads_back(candidate, value):
            return candidate
    mark = "END"
    while _heredoc_end(mark, "\n").search(f"\n{value}"):
        mark += "_"
    return f"<<{mark}\n{value}\n{mark}"


def _heredoc_end(mark: str, newline: str) -> re.Pattern[str]:
    return re.compile(rf"{newline}{mark}[ \t]*(?=[\r\n]|\Z)")


def _reads_back(candidate: str, value: str) -> bool:
    reader = _Reader(f"SYSTEM {candidate}\nFROM x\n", "")
    try:
        return [command.value for command in reader.commands()] == [value, "x"] and not reader.remarks
    except ModelfileError:
        return False


def _words(command: Command) -> tuple[str, ...]:
    return (command.name.upper(), command.argument) if command.argument else (command.name.upper(),)


class _Reader:
    """A place in a text."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name, self._place = text, name, 0
        self.remarks: list[Remark] = []

    def commands(self) -> Iterator[Command]:
        while self._to_command():
            yield self._command()

    def _to_command(self) -> bool:
        """Go on behind blanks, empty lines and comments; False at the end."""
        found = re.compile(r"(?:[ \t\r\n]+|#[^\r\n]*)*").match(self._text, self._place)
        assert found is not None
        self._place = found.end()
        return self._place < len(self._text)

    def _command(self) -> Command:
        start = self._place
        word = self._word(r"[A-Za-z]+")
        name = word.lower()
        if name not in INSTRUCTIONS or self._here() not in " \t\r\n":
            raise self.error(start, f"unknown instruction {self._word_at(start)}", self._known(name))
        if not self._blanks():
            raise self.error(start, f"{word} has no value")
        argument = ""
        if name == "parameter":
            argument = self._parameter(word)
        elif name == "message":
            argument = self._role()
        value_start = self._place
        return Command(name, self._value(word), argument, start, value_start)

    def _parameter(self, word: str) -> str:
        start = self._place
        argument = self._word(r"[A-Za-z0-9_]+")
        if not argument or self._here() not in BLANKS:
            raise self.error(start, f"{self._word_at(start) or word} is no parameter name")
        if not self._blanks():
            raise self.error(start, f"parameter {argument} has no value")
        return argument

    def _role(self) -> str:
        start = self._place
        role = self._word(r"[A-Za-z]+")
        if role not in ROLES or self._here() not in BLANKS:
            said = self._word_at(start)
            raise self.error(start, f"the role of a message is system, user or assistant, not {said!r}")
        if not self._blanks():
            raise self.error(start, f"the message of the {role} has no text")
        return role

    def _value(self, word: str) -> str:
        if found := HEREDOC.match(self._text, self._place):
            end = _heredoc_end(found[1], found[2]).search(self._text, found.start(2))
            if end:
                self._place = end.end()
                return self._text[found.end() : max(found.end(), end.start())]
        for quote in ('"""', '"'):
            if self._text.startswith(quote, self._place):
                return self._quoted(word, quote)
        start = self._place
        self._place = self._line_end(start)
        value = self._text[start : self._place].strip(BLANKS)
        if comment := re.search(r"\s#", value):
            self._remark(start + comment.start() + 1, "a comment has a line of its own; this is part of the value")
        return value

    def _quoted(self, word: str, quote: str) -> str:
        """Up to the first end of a line before which the quote stands; so inner quotes need no escape."""
        start = line = self._place
        while line < len(self._text):
            stop = self._line_end(line)
            last = line + len(self._text[line:stop].rstrip(BLANKS))
            if last - start >= 2 * len(quote) and last > line and self._text.endswith(quote, start, last):
                self._place = stop
                value = self._text[start + len(quote) : last - len(quote)]
                self._look_behind_quotes(start, value, quote)
                return value
            newline = NEWLINE.match(self._text, stop)
            line = newline.end() if newline else stop
        behind = self._text.find(quote, start + len(quote), self._line_end(start))
        if behind > 0:
            raise self.error(behind + len(quote), "text after the closing quote", "quotes end at the end of a line")
        raise self.error(start, f"the quotes of {word} are never closed")

    def _look_behind_quotes(self, start: int, value: str, quote: str) -> None:
        if (
            (place := value.find(quote)) >= 0
            and not value.startswith('"')
            and re.match(r"\s", value[place + len(quote) :])
        ):
            self._remark(
                start + place + 2 * len(quote),
                "text after a closing quote: everything up to the last quote is the value",
            )

    # small steps

    def _word(self, pattern: str) -> str:
        found = re.compile(pattern).match(self._text, self._place)
        if not found:
            return ""
        self._place = found.end()
        return found[0]

    def _word_at(self, start: int) -> str:
        found = re.compile(r"[^\s]*").match(self._text, start)
        return found[0] if found else ""

    def _here(self) -> str:
        return self._text[self._place : self._place + 1] or "\n"

    def _blanks(self) -> bool:
        """Go on behind spaces and tabs; whether there are any."""
        start = self._place
        while self._text[self._place : self._place + 1] in (" ", "\t"):
            self._place += 1
        return self._place > start

    def _line_end(self, place: int) -> int:
        found = NEWLINE.search(self._text, place)
        return found.start() if found else len(self._text)

    def _known(self, name: str) -> str:
        close = get_close_matches(name, INSTRUCTIONS, 1)
        if close:
            return f"did you mean {close[0].upper()}?"
        return "known: " + ", ".join(each.upper() for each in INSTRUCTIONS)

    def position(self, offset: int) -> tuple[int, int]:
        """(line, column) of a place, from 1."""
        ends = [found.end() for found in NEWLINE.finditer(self._text, 0, offset)]
        return len(ends) + 1, offset - (ends[-1] if ends else 0) + 1

    def _remark(self, offset: int, text: str) -> None:
        self.remarks.append(Remark(*self.position(offset), text))

    def error(self, offset: int, text: str, hint: str | None = None) -> ModelfileError:
        line, column = self.position(offset)
        begin = offset - column + 1
        shown = self._text[begin : self._line_end(begin)][:WIDEST_LINE]
        caret = "".join(_blank(letter) for letter in shown[: column - 1]) + "^"
        message = f"{self._name}:{line}:{column}: {text}\n  {shown}\n  {caret}"
        return ModelfileError(message, hint=hint)


def _blank(letter: str) -> str:
    """As many blanks as a terminal has cells for `letter`."""
    if letter == "\t":
        return letter
    if unicodedata.combining(letter):
        return ""
    return "  " if unicodedata.east_asian_width(letter) in "WF" else " "
