"""The slash commands: which there are, and how a line becomes the call of one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from gptoss_cli.errors import BadInput
from gptoss_cli.repl.quotes import unquoted as unquoted
from gptoss_cli.repl.talk import Talk


class Leave(Exception):
    """The user wants to go."""


class Again(Exception):
    """The next prompt begins with this text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def no_words(_talk: Talk, _given: Sequence[str]) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Command:
    """run gets what stands behind the name, without blanks around it. words: what may follow, for completion."""

    name: str
    usage: str
    purpose: str
    run: Callable[[Talk, str], None]
    words: Callable[[Talk, Sequence[str]], Iterable[str]] = no_words
    takes_file: bool = False


def find(name: str, commands: Sequence[Command]) -> Command:
    """The command called `name`, with its slash. Raises BadInput."""
    for command in commands:
        if command.name == name:
            return command
    close = get_close_matches(name, [command.name for command in commands], 1)
    hint = (
        f"did you mean {close[0]}?" if close else "/? lists the commands; //text sends a text that begins with a slash"
    )
    raise BadInput(f"unknown command {name}", hint=hint)


def split(line: str) -> tuple[str, str]:
    """(name, the rest) of a line that begins with a slash."""
    name, *rest = line.split(maxsplit=1)
    return name, rest[0].strip() if rest else ""


def no_more(text: str, command: str) -> None:
    """Raises BadInput unless `text` is empty."""
    if text:
        raise BadInput(f"{command} takes nothing behind it, not {text!r}")
