"""One chat on a terminal: the model, the session, how it is shown, and where it is kept. Its verbs read no commands."""

import datetime
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gptoss_cli.attachment import attachment, text_file
from gptoss_cli.config import Settings
from gptoss_cli.errors import BadInput, GptossError, ModelNotFound
from gptoss_cli.history import History, Saved
from gptoss_cli.history.export import is_shown
from gptoss_cli.history.journal import Journal
from gptoss_cli.language import translated
from gptoss_cli.library import Library
from gptoss_cli.library.model import Model
from gptoss_cli.messages import Done, Effort, Event, Message, Notice, Role
from gptoss_cli.repl.loading import Loading
from gptoss_cli.repl.wording import in_chat
from gptoss_cli.session import NEARLY_FULL, Session, is_summary
from gptoss_cli.session.record import Record
from gptoss_cli.terminal import Screen, Shown, Viewer
from gptoss_cli.terminal.page import Page

Resolve = Callable[[Model], Settings]

Statistics = Callable[[Shown], list[str]]


@dataclass
class View:
    """What the user wants to see of a reply."""

    thinking: str = "line"  # as terminal.Viewer has it
    verbose: bool = False
    wordwrap: bool = True
    markdown: bool = True
    history: bool = True  # what is typed is kept


@dataclass
class Talk:
    """The chat that goes on. resolve: the settings in force for a model; saves: whether it goes to `history`, too."""

    library: Library
    screen: Screen
    resolve: Resolve
    statistics: Statistics
    history: History
    model: Model
    saves: bool = True
    view: View = field(default_factory=View)
    system: str | None = None  # given by the user, in place of the preset's
    cpu_moe: int | None = None  # as Library.open has them
    force: bool = False
    redraw: Callable[[], None] = lambda: None  # what the prompt shows of this chat has changed
    agreed: Callable[[str], bool] = lambda _question: False  # what the user says to yes or no

    def __post_init__(self) -> None:
        self.shown = Shown()  # the last reply
        self.speed: float | None = None  # tokens/s of it
        self.used = 0  # tokens of the context after it
        self.attached: list[Path] = []
        self.saved: Saved | None = None
        self.unsaved = ""  # why it is not saved although it should be
        self.warned = False  # that the context is nearly full
        self._changed: dict[str, object] = {}  # by the user, for whatever model
        self._open(self.model, self.resolve(self.model))

    # the model and the session

    def _open(self, model: Model, settings: Settings) -> None:
        self.model, self._settings_of_model = model, settings
        self.options = settings.options.override(self._changed)
        self.loading = self._loading()
        self.new()

    def _loading(self) -> Loading:
        model, settings, num_ctx = self.model, self._settings_of_model, self.options.num_ctx
        opened = partial(
            self.library.open,
            model,
            num_ctx=num_ctx,
            gpu_layers=settings.gpu_layers,
            cpu_moe=self.cpu_moe,
            force=self.force,
            threads=settings.threads,
            keep_alive=settings.keep_alive_s,
            repack=None,
            prompt_cache=settings.prompt_cache and self.saves,
        )
        loading = Loading(opened, lambda: self._loaded(loading))
        return loading

    def _loaded(self, loading: Loading) -> None:
        """In the thread that loads: what a chat that goes on takes of the context already."""
        if loading is self.loading and loading.is_ready and self.session.turns and not self.used:
            self.used = loading.count(self.session.conversation)
        self.redraw()

    def _reopen(self) -> None:
        """The same model, loaded anew; the conversation goes on."""
        self.loading.close()
        self.loading = self.session.chat = self._loading()
        self.loading.start()

    def load(self, name: str) -> None:
        """Another model, and a new conversation with it; what the user has set stays set.

        Raises as Library.find and open; the present model and conversation stay then.
        """
        self._switch(self.library.find(name))

    def _switch(self, model: Model) -> None:
        settings = self.resolve(model)
        before = dict(vars(self))
        self.loading.close()  # there may not be room for two
        try:
            self._open(model, settings)
            Viewer(self.screen).show(self.loading.progress())
        except BaseException:
            self.loading.close()
            vars(self).update(before)
            self._reopen()
            raise

    def new(self) -> None:
        """A new conversation with the same model; what was said stays among the saved ones."""
        system = self.model.system if self.system is None else self.system
        self.saved, self.shown, self.used, self.speed, self.warned = None, Shown(), 0, None, False
        self.session = Session(
            self.loading,
            self.options,
            system=system,
            messages=self.model.messages,
            date=datetime.date.today().isoformat(),
        )

    def resume(self, saved: Saved, *, with_present: bool = False) -> None:
        """Go on with a saved session; flags go before the options it had.

        With the model that it had, or with_present: the one that is loaded, which also goes on where the other is not
        here any more. Raises GptossError when the session cannot be read.
        """
        turns = self.history.turns(saved.id)
        recorder = Journal(self.history, saved.id) if self.saves else None
        if with_present or (model := self._model_of(saved)) is None:
            self.new()
        else:
            self._switch(model)
        settings = saved.settings
        flags = {name for name, origin in self._settings_of_model.origin.items() if origin.startswith("--")}
        before = _mapping(settings.get("options"))
        self.options = self.options.override({name: before[name] for name in before if name not in flags})
        system, date = settings.get("system"), settings.get("date")
        self.session = Session(
            self.loading,
            self.options,
            system=system if isinstance(system, str) else None,
            messages=self.model.messages,
            date=date if isinstance(date, str) else None,
            turns=[turn.messages for turn in turns],
            recorder=recorder,
        )
        self.saved = saved if self.saves else None
        if self.saves and saved.model != self.model.reference:
            try:
                self.history.change(saved.id, model=self.model.reference)
            except GptossError as error:
                self._not_saved(error)

    def _model_of(self, saved: Saved) -> Model | None:
        """The model to load for it; None: the one that is loaded."""
        if saved.model == self.model.reference:
            return None
        try:
            return self.library.find(saved.model)
        except ModelNotFound:
            self.screen.say(
                translated("{model} is not here any more; {other} goes on", model=saved.model, other=self.model.name)
            )
            return None

    def attach(self, path: Path) -> int:
        """The text file at `path` goes along with the next message; how many lines it has. Raises BadInput."""
        content = text_file(path)
        if path not in self.attached:
            self.attached.append(path)
        return len(content.splitlines())

    def set_options(self, values: Mapping[str, object]) -> None:
        """Change options of the replies to come. Raises BadInput for a bad name or value."""
        self.options = self.session.options = self.options.override(values)
        self._changed |= values
        if "num_ctx" in values:
            self._reopen()
        self._remember()

    def set_system(self, text: str) -> None:
        """Put `text` in place of the system text, also in the middle of a chat; "" is none."""
        self.system = self.session.system = text
        self._remember()

    def close(self) -> None:
        if self.session.turns:
            self._begin()
        for notice in self.session.save():
            self.screen.say(notice.text)
        if saved := self.current():
            self.loading.keep(saved.id)
        self.loading.close()
        self.history.close()

    # asking

    def send(self, text: str) -> None:
        """Ask and show the reply."""
        self._begin()
        self.show(self.session.send(text))

    def with_attached(self, text: str) -> str:
        """`text` behind the attached files, which are attached no longer. Raises BadInput for one that is gone."""
        paths, self.attached = self.attached, []
        return "\n\n".join([*map(attachment, paths), text])

    def show(self, events: Iterator[Event], stopped: str | None = None) -> None:
        """Show a reply. Ctrl-C stops it and keeps the part; what else ends it is raised when the screen is tidy.

        stopped: what is said after Ctrl-C when no answer was stopped.
        """
        view = Viewer(
            self.screen,
            thinking=self.view.thinking,
            page=self.page(),
            started=time.monotonic(),
        )
        self.shown = view.shown
        try:
            with closing(events):  # type: ignore[type-var]
                view.show(map(_in_chat, events))
        except KeyboardInterrupt:
            self.screen.say(stopped or translated("stopped; /continue goes on with the answer, /retry asks again"))
        else:
            if (said := self.messages()) and said[-1].role is Role.ASSISTANT and not said[-1].complete:
                self.screen.say(translated("/continue goes on with the answer"))
        finally:
            self.options = self.session.options
            self._note(view.shown, warn=stopped is None)
            self.session.settle()
        if self.view.verbose:
            for line in self.statistics(view.shown):
                self.screen.dim(f"{line}\n")

    def page(self) -> Page | None:
        """Where an answer is drawn; None: it is written as it is."""
        if not self.view.markdown or not self.screen.renders:
            return None
        return Page(self.screen.out, self.screen.size, colour=self.screen.out_colour, wrap=self.view.wordwrap)

    def _note(self, shown: Shown, *, warn: bool) -> None:
        match shown.done:
            case Done(usage=usage, timings=timings):
                self.used = usage.prompt_tokens + usage.thinking_tokens + usage.answer_tokens
                sampled = usage.thinking_tokens + usage.answer_tokens
                self.speed = sampled / timings.answer_s if timings.answer_s > 0 else None
            case None:
                self.recount()
        if warn:
            self._warn_if_full()

    def recount(self) -> None:
        """What the conversation takes of the context as it stands now."""
        if self.loading.is_ready:
            self.used = self.loading.count(self.session.conversation) if self.session.turns else 0

    def _warn_if_full(self) -> None:
        if self.loading.is_ready and not self.warned and self.used > NEARLY_FULL * self.loading.limit():
            self.warned = True
            share = round(100 * self.used / self.loading.limit())
            self.screen.say(
                translated("the context is {share} % full: /compact summarizes, /new begins anew", share=share)
            )

    # saving

    def _begin(self) -> None:
        """A saved session as soon as there is something to save; what fails is tried again with each message."""
        if not self.saves:
            return
        if self.saved is not None:
            if self.unsaved:
                self._remember()
            return
        try:
            self.saved = self.history.begin(self.model.reference, self._settings())
            self.session.record = Record(Journal(self.history, self.saved.id))
        except GptossError as error:
            self._not_saved(error)
        else:
            if self.unsaved:
                self.screen.say(translated("saved again, with all that was said in between"))
            self.unsaved = ""

    def _not_saved(self, error: GptossError) -> None:
        if self.unsaved != str(error):
            self.screen.say(translated("this chat is not saved: {error}", error=error))
        self.unsaved = str(error)

    def _remember(self) -> None:
        if saved := self.current():
            try:
                self.history.change(saved.id, settings=self._settings())
            except GptossError as error:
                self._not_saved(error)
            else:
                self.unsaved = ""

    def current(self) -> Saved | None:
        """The saved session that this chat goes to: a copy, once somebody else goes on with it."""
        recorder = self.session.record.recorder
        if self.saved and isinstance(recorder, Journal) and recorder.id != self.saved.id:
            self.saved = self.history.find(recorder.id)
        return self.saved

    def _settings(self) -> dict[str, object]:
        return {
            "system": self.session.system,
            "date": self.session.date,
            "options": self.options.changed(),
        }

    # what is known of it

    def bar(self) -> str:
        """The row below the prompt: model, effort, context, speed."""
        parts = [self.model.name, str(self.options.reasoning)]
        if self.loading.is_ready:
            parts.append(f"{_short(self.used)}/{_short(self.loading.limit())}")
        else:
            parts.append(translated("not loaded") if self.loading.has_failed else translated("loading"))
        if self.speed:
            parts.append(f"{self.speed:.0f} tok/s")
        if self.attached:
            parts.append("+ " + ", ".join(path.name for path in self.attached))
        return (" · " if self.screen.fancy else " - ").join(parts)

    def last_answer(self) -> str:
        """Raises BadInput when nothing was answered yet."""
        answers = self.answers()
        if not answers:
            raise BadInput("nothing has been answered yet")
        return answers[-1]

    def answers(self) -> list[str]:
        return [message.text for message in self.messages() if message.role is Role.ASSISTANT]

    def messages(self) -> list[Message]:
        """What both sides said, without thoughts and calls; of a summary its text."""
        turns = (turn[:1] if is_summary(turn) else turn for turn in self.session.turns)
        return [message for turn in turns for message in turn if is_shown(message)]

    def with_effort(self, word: str) -> Effort:
        """The effort that `word` says. Raises BadInput."""
        return self.options.override({"reasoning": word}).reasoning


def _in_chat(event: Event) -> Event:
    return Notice(in_chat(event.text)) if isinstance(event, Notice) else event


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}


def _short(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1024:.1f}k" if count < 10240 else f"{count // 1024}k"
