"""`gptoss chat`: the interactive chat."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from gptoss_cli.cli import offer, output, prompts
from gptoss_cli.cli.asking import can_ask
from gptoss_cli.config import Places, Settings, read_file
from gptoss_cli.errors import BadInput, ModelNotFound, SessionNotFound
from gptoss_cli.history import History, Saved
from gptoss_cli.library import Library
from gptoss_cli.library.model import Model
from gptoss_cli.terminal import Screen

Text = str | None
KEEP_ALIVE = "The model stays loaded: 5m, 1h30m, seconds; 0: not at all; negative: for ever. [5m]"


def chat(
    model: Annotated[Text, typer.Argument(metavar="MODEL", hidden=True)] = None,
    last: Annotated[bool, typer.Option("-c", "--continue", help="Go on with the last chat.")] = False,
    resume: Annotated[Text, typer.Option("-r", "--resume", metavar="ID|NAME", help="Go on with this chat.")] = None,
    system: Annotated[Text, typer.Option("-s", "--system", metavar="TEXT|@FILE", help="System text.")] = None,
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="Attach a text file (repeatable).")
    ] = None,
    reasoning: Annotated[Text, typer.Option("--reasoning", metavar="LEVEL", help="low, medium, high or off.")] = None,
    show_thinking: Annotated[bool, typer.Option("--show-thinking", help="Show the thoughts.")] = False,
    temperature: Annotated[Text, typer.Option(metavar="X", help="0: always the likeliest token. [1.0]")] = None,
    num_ctx: Annotated[Text, typer.Option(metavar="N", help="Length of the context. [as needed]")] = None,
    markdown: Annotated[str, typer.Option(metavar="WHEN", help="auto or never: draw answers as Markdown.")] = "auto",
    keep_alive: Annotated[Text, typer.Option(metavar="TIME", help=KEEP_ALIVE)] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Statistics after each answer.")] = False,
    no_save: Annotated[bool, typer.Option("--no-save", help="Keep nothing of this chat.")] = False,
) -> None:
    """Talk to a model: MODEL, or the default; a chat that goes on has its own. /? in the chat lists its commands.

    Every turn is saved as it streams; gptoss history lists what was saved.
    """
    if markdown not in ("auto", "never"):
        raise BadInput(f"--markdown is auto or never, not {markdown!r}")
    flags = {"reasoning": reasoning, "temperature": temperature, "num_ctx": num_ctx, "keep_alive": keep_alive}
    screen = Screen(sys.stdout, sys.stderr, os.environ)
    if not (sys.stdin.isatty() and screen.out_is_terminal):
        raise BadInput("a chat needs a terminal", hint='in a script: gptoss run [MODEL] "your question"')
    places = Places.of(os.environ)
    history = History(places.sessions)
    saved = _saved(history, last, resume)
    here = Opened(places, screen, flags, saves=not no_save)
    view = {"markdown": markdown == "auto", "verbose": verbose} | ({"thinking": "show"} if show_thinking else {})
    here.talk(
        here.going_on(saved, model) if saved else here.model(model),
        view,
        history,
        saved,
        prompts.system_text(system),
        file or [],
    )


def _saved(history: History, last: bool, resume: str | None) -> Saved | None:
    if last and resume:
        raise BadInput("--continue and --resume exclude each other")
    if resume is not None:
        return history.find(resume)
    if not last:
        return None
    if not (found := history.sessions(1)):
        raise SessionNotFound("there is no saved chat to continue yet", hint="gptoss chat begins one")
    return found[0]


class Opened:
    """What a chat on this machine needs; flags as Settings.resolve takes them, the rest as Library.open does."""

    def __init__(
        self,
        places: Places,
        screen: Screen,
        flags: Mapping[str, object],
        *,
        saves: bool = True,
        cpu_moe: int | None = None,
        force: bool = False,
    ) -> None:
        self._places, self._screen, self._flags = places, screen, flags
        self._cpu_moe, self._force = cpu_moe, force
        self._library = Library(places.data, places.cache, places.runtimes)
        self._file = read_file(places.config_file)
        self._general = Settings.resolve(flags={}, environment=os.environ, preset={}, file=self._file)
        self._saves = saves and self._general.save

    def talk(
        self,
        model: Model,
        view: Mapping[str, Any],
        history: History,
        saved: Saved | None = None,
        system: str | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        """The chat with `model`, until the user leaves.

        view: what the flags say of repl.talk.View; the rest is as the settings have it.
        """
        from gptoss_cli import repl  # 0.1 s, most of it prompt_toolkit
        from gptoss_cli.repl import talk as talking
        from gptoss_cli.repl.replay import replay

        talk = talking.Talk(
            self._library,
            self._screen,
            self._settings,
            output.statistics,
            history,
            model,
            self._saves,
            talking.View(
                **{"thinking": self._general.thinking, "history": self._saves and self._general.history, **view}
            ),
            system,
            self._cpu_moe,
            self._force,
        )
        with closing(talk), closing(history):
            if saved is not None:
                talk.resume(saved, with_present=True)
                replay(talk)
            for path in files:
                talk.attach(path)
            if model.notice:
                self._screen.say(model.notice)
            repl.Repl(talk, self._places.inputs).run()

    def going_on(self, saved: Saved, other: str | None) -> Model:
        """The model of a chat that goes on, or the `other` one that the user wants for it. Raises as `model`."""
        try:
            return self.model(other or saved.model)
        except ModelNotFound as error:
            hint = f"gptoss chat MODEL --resume {saved.id} goes on with another one"
            raise ModelNotFound(str(error), hint=hint) from error

    def model(self, name: str | None) -> Model:
        """The model `name`, or the default; what is not here is offered. Raises as Library.find and pull."""
        name = offer.wanted(name, self._file)
        if name is not None:
            return offer.found(self._library, name, self._screen)
        default = self._library.default()
        if default.is_fallback and can_ask() and (fetched := offer.choose(self._library, self._screen)) is not None:
            return self._library.find(fetched)
        return default

    def _settings(self, model: Model) -> Settings:
        return Settings.resolve(
            flags=self._flags, environment=os.environ, preset=model.settings, file=self._file, model=model.name
        )
