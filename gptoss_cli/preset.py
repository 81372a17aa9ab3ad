"""What a Modelfile asks for: typed options, system text, messages; and how one builds on another. Opens no file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from gptoss_cli.errors import BadInput
from gptoss_cli.modelfile import Command, Modelfile, Remark
from gptoss_cli.options import NAMES, NO_LIMIT, typed

# Ollama's parameters (api/types.go, Options and Runner) by what they are here
SAME_THING = {"num_predict": "max_tokens"}
LOADING = {"num_gpu": "gpu_layers", "num_thread": "threads"}
WITHOUT_EFFECT = {
    "num_batch": int,
    "main_gpu": int,
    "num_keep": int,
    "draft_num_predict": int,
    "typical_p": float,
    "use_mmap": bool,
}
DEPRECATED = frozenset(
    (
        *("penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock"),
        *("mirostat", "mirostat_tau", "mirostat_eta", "numa", "num_gqa"),
    )
)
NO_PARAMETERS = frozenset(("header_guard", "logprobs"))  # of one reply, not of a model
KNOWN = sorted((NAMES - NO_PARAMETERS) | {*SAME_THING, *LOADING, *WITHOUT_EFFECT} - {"max_tokens"})

VERSION = re.compile(r"v?\d+(\.\d+){0,2}([-+][\w.-]+)?")  # REQUIRES

# the order in which a model is written
ORDER = ("from", "adapter", "draft", "template", "system", "renderer", "parser", "parameter", "requires", "license")


@dataclass(frozen=True)
class Preset:
    """What is set on top of a model. system: "" clears one that is inherited, None says nothing about it."""

    options: Mapping[str, object] = field(default_factory=dict)
    system: str | None = None
    messages: tuple[tuple[str, str], ...] = ()
    gpu_layers: int | None = None
    threads: int | None = None


def read(file: Modelfile) -> tuple[Preset, tuple[Remark, ...]]:
    """The preset of `file`, and what may not have been meant. Raises ModelfileError with the place of a bad value."""
    options: dict[str, object] = {}
    loading: dict[str, int] = {}
    remarks = list(file.remarks)
    last = [command for command in file.commands if command.name == "from"][-1]
    for command in file.commands:
        match command.name:
            case "parameter":
                remark = _parameter(file, command, options, loading)
            case "from" if not command.value.strip():
                raise file.error(command, "FROM has no value")
            case "from" if command is not last:
                remark = "another FROM follows, and the last one counts"
            case "requires" if not VERSION.fullmatch(command.value):
                raise file.error(command, f"REQUIRES is a version such as 0.14.0, not {command.value!r}")
            case "template" if command.value.strip():
                remark = "TEMPLATE is kept and has no effect: gpt-oss speaks Harmony, which is built in"
            case "draft" | "renderer" | "parser":
                remark = f"{command.name.upper()} is kept and has no effect here"
            case _:
                remark = None
        if remark:
            remarks.append(Remark(*file.position(command), remark))
    return Preset(options, file.last("system"), file.messages, **loading), tuple(remarks)


def _parameter(file: Modelfile, command: Command, options: dict[str, object], loading: dict[str, int]) -> str | None:
    """Take one PARAMETER; a remark when it has no effect. Raises ModelfileError."""
    name, value = command.argument, command.value
    try:
        if name in WITHOUT_EFFECT:
            _checked(name, value, WITHOUT_EFFECT[name])
            return f"parameter {name} is kept and has no effect here"
        if name in LOADING:
            loading[LOADING[name]] = int(_checked(name, value, int))
            return None
        name = SAME_THING.get(name, name)
        if name == "stop":
            options["stop"] = (*options.get("stop", ()), *typed("stop", value))  # type: ignore[misc]
        elif name in KNOWN or name == "max_tokens":
            options[name] = typed(name, value)
        elif name in DEPRECATED:
            return f"parameter {name} is deprecated and has no effect"
        else:
            return _unknown(name)
    except BadInput as error:
        hint = "a comment has a line of its own" if re.search(r"\s#", value) else error.hint
        raise file.error(command, str(error), hint) from None
    return None


def _checked(name: str, value: str, kind: type) -> float | str:
    """`value` where `kind` can be read from it; booleans as Go's strconv.ParseBool has them."""
    if kind is bool:
        if value not in ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"):
            raise BadInput(f"{name} must be true or false, not {value!r}")
        return value
    try:
        number: float = kind(value)
    except ValueError:
        raise BadInput(f"{name} must be a {'whole ' if kind is int else ''}number, not {value!r}") from None
    return number


def parameters(file: Modelfile) -> dict[str, object]:
    """The PARAMETERs of a file that `read` has taken, by the names that they have there: typed, `stop` a list.

    Those without an effect are among them.
    """
    found: dict[str, object] = {}
    for name, value in file.parameters:
        if name == "stop":
            found[name] = [*found.get(name, []), value]  # type: ignore[misc]
        elif name in WITHOUT_EFFECT:
            checked = _checked(name, value, WITHOUT_EFFECT[name])
            found[name] = value.lower() in ("1", "t", "true") if WITHOUT_EFFECT[name] is bool else checked
        elif name in LOADING:
            found[name] = _checked(name, value, int)
        elif SAME_THING.get(name, name) in NAMES:
            own = SAME_THING.get(name, name)
            found[name] = int(value) if own == "max_tokens" and value.strip() in NO_LIMIT else typed(own, value)
    return found


def _unknown(name: str) -> str:
    close = get_close_matches(name.lower(), KNOWN, 1)
    meant = f"did you mean {close[0]}?" if close else "known: " + ", ".join(KNOWN)
    return f"unknown parameter {name} is left out; {meant}"


def merged(base: Modelfile | None, own: Modelfile, source: str) -> Modelfile:
    """`own` on top of `base`, in a fixed order, FROM `source`; what has no effect anywhere is left out.

    As Ollama does (server/create.go): own parameters win one by one, `stop` as a whole; a template or a system text
    replaces, messages replace all there are, licenses add up. Unlike there, SYSTEM "" clears.
    """
    below = base.commands if base else ()
    commands = {"from": [Command("from", source)]}
    for name in ("adapter", "draft", "template", "renderer", "parser", "requires"):
        mine = [each for each in own.commands if each.name == name and each.value]
        commands[name] = (mine or [each for each in below if each.name == name])[-1:]
    systems = [each for each in (*below, *own.commands) if each.name == "system"][-1:]
    commands["system"] = [each for each in systems if each.value]
    commands["parameter"] = _parameters(below, own.commands)
    commands["license"] = list(dict.fromkeys(each for each in (*below, *own.commands) if each.name == "license"))
    mine = [each for each in own.commands if each.name == "message"]
    messages = mine or [each for each in below if each.name == "message"]
    return Modelfile((*(each for name in ORDER for each in commands[name]), *messages))


def _parameters(below: tuple[Command, ...], own: tuple[Command, ...]) -> list[Command]:
    found: dict[str, list[Command]] = {}
    for commands in (below, own):
        given: dict[str, list[Command]] = {}
        for command in commands:
            if command.name == "parameter" and _is_parameter(command.argument):
                before = given.get(command.argument, []) if command.argument == "stop" else []
                given[command.argument] = [*before, command]
        found |= given
    return [command for name in sorted(found) for command in found[name]]


def _is_parameter(name: str) -> bool:
    return name in KNOWN or name in ("max_tokens", *NO_PARAMETERS)
