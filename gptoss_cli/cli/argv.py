"""Arguments as people know them from Ollama and llama.cpp, rewritten to ours before Typer sees them."""

import re
from collections.abc import Sequence

from gptoss_cli.engine.shape import MOST_LAYERS

# `--think` alone is on; its value comes after `=` only, so that `--think tiny hi` keeps its model
REPLACED = {"--think": "--reasoning=medium", "--hidethinking": "--hide-thinking", "--nowordwrap": None}


COLOUR = ("--color", "--colour")
CPU_MOE = "--cpu-moe"  # as in llama.cpp it may stand alone, for all layers


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
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == "--keepalive" or argument.startswith("--keepalive="):
            rewritten.append("--keep-alive" + argument.removeprefix("--keepalive"))
        elif argument.startswith("--think="):
            rewritten.append("--reasoning=" + argument.removeprefix("--think="))
        elif argument == CPU_MOE and not re.fullmatch(r"-?\d+", following):
            rewritten.append(f"{CPU_MOE}={MOST_LAYERS}")
        elif argument in REPLACED:
            replacement = REPLACED[argument]
            rewritten += [replacement] if replacement else []
        else:
            rewritten.append(argument)
    return rewritten
