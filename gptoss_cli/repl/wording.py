"""What a chat tells in its own words: where other commands name a flag, it names the command that does the same."""

import re

from gptoss_cli import preset
from gptoss_cli.options import NAMES

FLAG = re.compile(r"--([a-z]+(?:-[a-z]+)*)")


def in_chat(text: str) -> str:
    """`text` with the flags that have a command named by it; `--reasoning low` is `/set reasoning low`."""
    return FLAG.sub(_command, text)


def _command(found: re.Match[str]) -> str:
    name = found[1].replace("-", "_")
    if name == "reasoning":
        return "/set reasoning"
    if name == "num_ctx":
        return "/set parameter num_ctx (/compact makes room, too)"
    return f"/set parameter {name}" if name in NAMES - preset.NO_PARAMETERS else found[0]
