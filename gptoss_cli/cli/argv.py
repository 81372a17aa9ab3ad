"""Arguments as people know them from Ollama, rewritten to ours before Typer sees them."""

from collections.abc import Sequence

# `--think` alone is on; its value comes after `=` only, so that `--think tiny hi` keeps its model
REPLACED = {"--think": "--reasoning=medium", "--hidethinking": "--hide-thinking", "--nowordwrap": None}


def rewrite(arguments: Sequence[str]) -> list[str]:
    """`arguments` with Ollama's spellings replaced; nothing after `--` is touched."""
    rewritten: list[str] = []
    for place, argument in enumerate(arguments):
        if argument == "--":
            return rewritten + list(arguments[place:])
        if argument.startswith("--think="):
            rewritten.append("--reasoning=" + argument.removeprefix("--think="))
        elif argument in REPLACED:
            replacement = REPLACED[argument]
            rewritten += [replacement] if replacement else []
        else:
            rewritten.append(argument)
    return rewritten
