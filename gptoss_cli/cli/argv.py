"""Arguments as people know them from Ollama, rewritten to ours before Typer sees them."""

from collections.abc import Sequence

# `--think` alone is on; its value comes after `=` only, so that `--think tiny hi` keeps its model
REPLACED = {"--think": "--reasoning=medium", "--hidethinking": "--hide-thinking", "--nowordwrap": None}


COLOUR = ("--color", "--colour")


def rewrite(arguments: Sequence[str]) -> list[str]:
    """`arguments` with Ollama's spellings replaced and --color put first; nothing after `--` is touched."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    colour, others = _colour_apart(arguments[:end])
    return [*colour, *_replaced(others), *arguments[end:]]


def _colour_apart(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """--color is an option of the program and may stand anywhere: every command has it."""
    colour: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name in COLOUR:
            colour = [f"--color={value if equals else next(rest, '')}"]
        else:
            others.append(argument)
    return colour, others


def _replaced(arguments: Sequence[str]) -> list[str]:
    rewritten: list[str] = []
    for argument in arguments:
        if argument == "--keepalive" or argument.startswith("--keepalive="):
            rewritten.append("--keep-alive" + argument.removeprefix("--keepalive"))
        elif argument.startswith("--think="):
            rewritten.append("--reasoning=" + argument.removeprefix("--think="))
        elif argument in REPLACED:
            replacement = REPLACED[argument]
            rewritten += [replacement] if replacement else []
        else:
            rewritten.append(argument)
    return rewritten
