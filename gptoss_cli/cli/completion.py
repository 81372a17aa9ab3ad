"""`gptoss completion`: a script that lets a shell complete commands, flags, models and saved chats."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from gptoss_cli import names
from gptoss_cli.cli.create import presets
from gptoss_cli.cli.debug import MODES
from gptoss_cli.cli.models import print_lines
from gptoss_cli.config import COLOURS, SETTINGS
from gptoss_cli.errors import BadInput
from gptoss_cli.finds import TOOLS
from gptoss_cli.history.export import FORMATS
from gptoss_cli.messages import Effort, Role
from gptoss_cli.shells import ANY_NUMBER, FILES, MODELS, NOTHING, SESSIONS, SHELLS, Entry, Told, script

Command = Any  # Typer vendors click privately, so its commands and parameters have no public type
Parameter = Any

HELP = ("Show this message and exit.", ("-h", "--help"))

# what may stand where an argument or a flag's value is called so in --help
SOURCES = {
    "FILE": FILES,
    "FILE|-": FILES,
    "ID|NAME": SESSIONS,
    "KEY": ",".join(SETTINGS),
    "LEVEL": ",".join(sorted(Effort, key=["low", "medium", "high", "off"].index)),
    "MODE": ",".join(MODES),
    "MODEL": MODELS,
    "NAME": MODELS,
    "PATH|lmstudio|llama.cpp|ollama": ",".join((*TOOLS, FILES)),
    "PREFIX": MODELS,
    "PRESET": "",  # read when it is asked for: files
    "PROMPT": MODELS,  # its first word is the model
    "ROLE": ",".join(Role),
    "SHELL": ",".join(SHELLS),
    "SOURCE": MODELS,
    "TIME": "0,5m,1h",
    "WHEN": ",".join(COLOURS),
    "md|json|html": ",".join(FORMATS),
    **dict.fromkeys(("N", "TARGET", "TEXT", "TEXT|@FILE", "VALUE", "WORDS", "X"), NOTHING),
}
# where the same word means another thing
OWN_SOURCES = {
    (" chat", "markdown"): "auto,never",
    (" create", "name"): NOTHING,
    (" import", "name"): NOTHING,
    (" pull", "names"): ",".join(names.BUILDS),
}
ONLY_FIRST = ("PROMPT",)


def completion(
    context: typer.Context, shell: Annotated[str | None, typer.Argument(metavar="SHELL", hidden=True)] = None
) -> None:
    """Print a script for SHELL (bash, zsh, fish or powershell) that completes commands, flags, models and saved chats.

    No file is changed. Put the line of your shell where it reads its settings:

    \b
      bash, ~/.bashrc             source <(gptoss completion bash)
      zsh, ~/.zshrc               source <(gptoss completion zsh)
      fish, config.fish           gptoss completion fish | source
      PowerShell, $PROFILE        gptoss completion powershell | Out-String | Invoke-Expression

    macOS's own bash (3.2) cannot source that: eval "$(gptoss completion bash)".
    """
    if shell not in SHELLS:
        *most, last = SHELLS
        known = f"{', '.join(most)} or {last}"
        raise BadInput(f"no completion for {shell}: it is {known}" if shell else f"which shell? {known}")
    print_lines(script(shell, entries(context.find_root().command)).rstrip("\n"))


def entries(command: Command, path: str = "") -> Iterator[Entry]:
    """What the program takes, and each of its commands."""
    below: dict[str, Command] = getattr(command, "commands", {})
    shown = [name for name, each in below.items() if not each.hidden]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    told, own_help = HELP
    yield Entry(
        path,
        commands=tuple((name, below[name].get_short_help_str(100)) for name in shown),
        hidden=tuple(name for name in below if name not in shown),
        flags=(*(pair for each in options for pair in _flags(each)), *((name, told) for name in own_help)),
        values=tuple((flag, source(path, each)) for each in options if not each.is_flag for flag in each.opts),
        arguments=tuple(_argument(path, each) for each in command.params if each.param_type_name == "argument"),
    )
    for name, each in below.items():
        yield from entries(each, f"{path} {name}")


def source(path: str, parameter: Parameter) -> str:
    """What may stand at the place of an argument or of a flag's value. KeyError: SOURCES lacks its metavar."""
    if (own := OWN_SOURCES.get((path, parameter.name))) is not None:
        return own
    return SOURCES[parameter.metavar] or ",".join(sorted(presets()))


def _flags(option: Parameter) -> Iterator[Told]:
    """Long ones first: a short one says the same."""
    for flag in sorted((*option.opts, *option.secondary_opts), key=lambda flag: not flag.startswith("--")):
        yield flag, " ".join((option.help or "").split())


def _argument(path: str, argument: Parameter) -> str:
    repeated = argument.nargs == -1 and argument.metavar not in ONLY_FIRST
    return source(path, argument) + (ANY_NUMBER if repeated else "")
