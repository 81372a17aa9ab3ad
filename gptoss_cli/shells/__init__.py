"""Scripts of Tab completion: what there is to complete, written into a shell's own language. Knows no command.

The script of each shell stands beside this as text; a table takes the place of its line @TABLE@.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

# what may stand at a place: words with commas between, and these, which are asked for or found when Tab is pressed
MODELS, SESSIONS, FILES, NOTHING = "@models", "@sessions", "@files", "-"
ANY_NUMBER = "+"  # behind the last argument that may be repeated

Told = tuple[str, str]  # a word, what describes it


@dataclass(frozen=True)
class Entry:
    """What there is behind one command. path: its words, each with a blank before; empty for the program.

    hidden: subcommands that work and are not offered. values: (flag, source) of those that take a value. arguments:
    their sources in order.
    """

    path: str
    commands: tuple[Told, ...]
    hidden: tuple[str, ...]
    flags: tuple[Told, ...]
    values: tuple[Told, ...]
    arguments: tuple[str, ...]


def script(shell: str, entries: Iterable[Entry]) -> str:
    """The script for `shell`, one of SHELLS."""
    text = (resources.files("gptoss_cli.shells") / f"{shell}.txt").read_text(encoding="utf-8")
    return text.replace("@TABLE@\n", "".join(f"{line}\n" for each in entries for line in SHELLS[shell](each)))


def _bash(entry: Entry) -> list[str]:
    """bash shows no descriptions."""
    return [
        f"        {_quoted(entry.path)})",
        f"            commands={_quoted(_words(entry.commands))} hidden={_quoted(' '.join(entry.hidden))}",
        f"            flags={_quoted(_words(entry.flags))}",
        f"            values={_quoted(' '.join(_values(entry)))}",
        f"            arguments={_quoted(' '.join(entry.arguments))} ;;",
    ]


def _zsh(entry: Entry) -> list[str]:
    return [
        f"        {_quoted(entry.path)})",
        f"            gptoss_commands=({_list(_with_colon(entry.commands))}) gptoss_hidden=({_list(entry.hidden)})",
        f"            gptoss_flags=({_list(_with_colon(entry.flags))})",
        f"            gptoss_values=({_list(_values(entry))})",
        f"            gptoss_arguments=({_list(entry.arguments)}) ;;",
    ]


def _fish(entry: Entry) -> list[str]:
    kinds = {
        "commands": [f"{word}\t{told}" for word, told in entry.commands],
        "hidden": entry.hidden,
        "flags": [f"{word}\t{told}" for word, told in entry.flags],
        "values": _values(entry),
        "arguments": entry.arguments,
    }
    lines: list[str] = []
    for kind, found in kinds.items():
        if found:
            quoted = " ".join("'" + each.replace("\\", "\\\\").replace("'", "\\'") + "'" for each in found)
            lines += [f"        case '{kind}{entry.path}'", rf"            printf '%s\n' {quoted}"]
    return lines


def _powershell(entry: Entry) -> list[str]:
    def word(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    def pairs(found: Sequence[Told]) -> str:
        return "@(" + ", ".join(f"@({word(name)}, {word(told)})" for name, told in found) + ")"

    def nested(found: Sequence[Told]) -> str:  # of one pair @(@(a, b)) would be (a, b)
        return pairs(found) if len(found) != 1 else f"@(,{pairs(found)[2:-1]})"

    values = "; ".join(f"{word(flag)} = {word(source)}" for flag, source in entry.values)
    return [
        f"        {word(entry.path)} = @{{",
        f"            commands = {nested(entry.commands)}",
        f"            flags = {nested(entry.flags)}",
        f"            values = @{{ {values} }}",
        f"            arguments = @({', '.join(map(word, entry.arguments))})",
        "        }",
    ]


SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish, "powershell": _powershell}


def _quoted(text: str) -> str:
    """A word of bash or zsh that nothing in it can end or expand."""
    return "'" + text.replace("'", "'\\''") + "'"


def _list(words: Iterable[str]) -> str:
    return " ".join(map(_quoted, words))


def _words(found: Iterable[Told]) -> str:
    return " ".join(word for word, _ in found)


def _values(entry: Entry) -> list[str]:
    return [f"{flag}={source}" for flag, source in entry.values]


def _with_colon(found: Iterable[Told]) -> list[str]:
    """As zsh's _describe reads them."""
    return [f"{word.replace(':', chr(92) + ':')}:{told}" for word, told in found]
