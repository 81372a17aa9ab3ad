"""/set and /show: what can be changed and looked at in a chat."""

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from gptoss_cli import preset
from gptoss_cli.errors import BadInput
from gptoss_cli.language import translated
from gptoss_cli.library import describe
from gptoss_cli.library.model import described
from gptoss_cli.messages import Effort
from gptoss_cli.options import NAMES
from gptoss_cli.repl.slash import Command, no_more, unquoted
from gptoss_cli.repl.talk import Talk

THINKING = {
    "show": "thoughts are shown",
    "line": "thoughts are one line; /thoughts unfolds them",
    "hide": "there is no sign of thoughts; /thoughts shows them",
}
PARAMETERS = sorted(NAMES - preset.NO_PARAMETERS - {"reasoning"} | set(preset.SAME_THING))


def _set(talk: Talk, text: str) -> None:
    word, _, rest = text.partition(" ")
    word, _, more = word.partition("\n")
    rest = (more + rest if more else rest).strip(" ")
    if word not in SETTINGS:
        close = get_close_matches(word, SETTINGS, 1)
        known = "known: " + ", ".join(SETTINGS)
        problem = f"/set has no {word}" if word else "/set needs what to set"
        raise BadInput(problem, hint=f"did you mean {close[0]}?" if close and word else known)
    SETTINGS[word](talk, rest)


def _reasoning(talk: Talk, text: str) -> None:
    if not text:
        talk.screen.say(translated("{name} is {value}", name="reasoning", value=talk.options.reasoning))
        talk.screen.say("/set reasoning " + "|".join(map(str, Effort)))
        return
    level = talk.with_effort(text)
    talk.set_options({"reasoning": level})
    talk.screen.say(translated("{name} is {value}", name="reasoning", value=level))


def _think(talk: Talk, text: str) -> None:
    """Without a level as in Ollama: thoughts, whatever there was before."""
    _reasoning(talk, text or str(Effort.MEDIUM if talk.options.reasoning is Effort.OFF else talk.options.reasoning))


def _no_thinking(talk: Talk, text: str) -> None:
    no_more(text, "/set nothink")
    _reasoning(talk, "off")


def _parameter(talk: Talk, text: str) -> None:
    name, *values = text.split(maxsplit=1) or [""]
    if not values:
        raise BadInput("/set parameter needs a name and a value", hint="known: " + ", ".join(PARAMETERS))
    values = _texts(values[0]) if name == "stop" else values
    name = preset.SAME_THING.get(name, name)
    if name in preset.WITHOUT_EFFECT:
        talk.screen.say(f"{name} has no effect here")
        return
    if name in preset.LOADING:
        raise BadInput(f"{name} is set when a model is loaded", hint=f"gptoss config set {preset.LOADING[name]} N")
    if name not in NAMES:
        close = get_close_matches(name, PARAMETERS, 1)
        raise BadInput(
            f"unknown parameter {name}",
            hint=f"did you mean {close[0]}?" if close else "known: " + ", ".join(PARAMETERS),
        )
    talk.set_options({name: values if name == "stop" else values[0]})
    again = "; " + translated("the model is loaded anew") if name == "num_ctx" else ""
    told = " ".join(map(json.dumps, values)) if name == "stop" else values[0]
    talk.screen.say(translated("{name} is {value}", name=name, value=told) + again)


def _texts(text: str) -> list[str]:
    """The words of `text`; quotes hold one with blanks together, as in a shell."""
    try:
        return [each for each in shlex.split(text) if each] or text.split()
    except ValueError:  # a quote that is itself a stop text
        return text.split()


def _system(talk: Talk, text: str) -> None:
    if not text:
        raise BadInput("/set system needs a text", hint='/show system shows it, /set system "" removes it')
    text = "" if text in ('""', "''") else unquoted(text)
    talk.set_system(text)
    talk.screen.say(translated("the system text is set") if text else translated("there is no system text now"))


def _thinking(talk: Talk, text: str) -> None:
    if text not in THINKING:
        raise BadInput(f"/set thinking is show, line or hide, not {text!r}")
    talk.view.thinking = text
    talk.screen.say(THINKING[text])


def _switch(name: str, command: str, value: bool, said: str) -> Callable[[Talk, str], None]:
    def run(talk: Talk, text: str) -> None:
        no_more(text, f"/set {command}")
        setattr(talk.view, name, value)
        talk.screen.say(said)

    return run


def _format(_talk: Talk, _text: str) -> None:
    raise BadInput("an answer cannot be forced into a format yet", hint="ask for JSON in the message")


SETTINGS: dict[str, Callable[[Talk, str], None]] = {
    "reasoning": _reasoning,
    "think": _think,
    "nothink": _no_thinking,
    "parameter": _parameter,
    "system": _system,
    "thinking": _thinking,
    "format": _format,
    "noformat": lambda talk, _text: talk.screen.say("answers have no fixed format"),
    "history": _switch("history", "history", True, "what you type is kept for later"),
    "nohistory": _switch("history", "nohistory", False, "what you type is not kept"),
    "wordwrap": _switch("wordwrap", "wordwrap", True, "lines are broken between words"),
    "nowordwrap": _switch("wordwrap", "nowordwrap", False, "lines are as long as they are"),
    "verbose": _switch("verbose", "verbose", True, "statistics follow each answer"),
    "quiet": _switch("verbose", "quiet", False, "no statistics"),
}


def _set_words(_talk: Talk, given: Sequence[str]) -> Iterable[str]:
    match list(given):
        case []:
            return SETTINGS
        case ["reasoning" | "think"]:
            return [str(effort) for effort in Effort]
        case ["parameter"]:
            return PARAMETERS
        case ["thinking"]:
            return THINKING
    return ()


def _show(talk: Talk, text: str) -> None:
    if text not in SHOWN:
        problem = f"/show has no {text}" if text else "/show needs what to show"
        raise BadInput(problem, hint="known: " + ", ".join(SHOWN))
    for line in SHOWN[text](talk):
        talk.screen.tell(line)


def _told(talk: Talk) -> dict[str, Any]:
    return describe.model_object(talk.model)


def _shown_info(talk: Talk) -> list[str]:
    return describe.summary(_told(talk), described(talk.model), translated)


def _shown_parameters(talk: Talk) -> list[str]:
    lines = [f"{'reasoning':<18} {talk.options.reasoning}"]
    for name in sorted(NAMES - {"reasoning", "header_guard", "logprobs", "sampling"}):
        value = (
            getattr(talk.options, name, None) if hasattr(talk.options, name) else getattr(talk.options.sampling, name)
        )
        if value not in (None, ()):
            lines.append(f"{name:<18} {', '.join(value) if isinstance(value, tuple) else value}")
    return lines


SHOWN: dict[str, Callable[[Talk], list[str]]] = {
    "info": _shown_info,
    "license": lambda talk: str(_told(talk)["license"] or "no license was given").splitlines(),
    "modelfile": lambda talk: str(described(talk.model)).splitlines(),
    "parameters": _shown_parameters,
    "system": lambda talk: (talk.session.system or "no system text").splitlines(),
    "template": lambda talk: str(_told(talk)["template"] or "no template: Harmony is built in").splitlines(),
}

COMMANDS = (
    Command("/set", "/set WHAT [VALUE]", "change a setting; /? set lists them", _set, _set_words),
    Command(
        "/show", "/show WHAT", "look at the model; /? show lists what there is", _show, lambda _talk, _given: SHOWN
    ),
)
