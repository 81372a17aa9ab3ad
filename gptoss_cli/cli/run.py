"""`gptoss run`: one prompt, one answer."""

import json
import os
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gptoss_cli.cli import offer, output, prompts
from gptoss_cli.cli.asking import can_chat
from gptoss_cli.cli.chat import KEEP_ALIVE, Opened
from gptoss_cli.cli.each import Asking, answer_each, lines_of_input
from gptoss_cli.cli.numbers import CpuMoe
from gptoss_cli.cli.saving import Saving
from gptoss_cli.config import Places, Settings, read_file
from gptoss_cli.errors import BadInput, GptossError, ModelNotFound
from gptoss_cli.files import check_writable, write_whole
from gptoss_cli.history import History
from gptoss_cli.library import Library
from gptoss_cli.library.model import Model
from gptoss_cli.messages import Done, Event
from gptoss_cli.session import Session
from gptoss_cli.terminal import Screen, Shown, Viewer, safe

Text = str | None  # numbers too: options.typed reads them, and says with the value what is wrong
File = Path | None


def run(
    words: Annotated[list[str] | None, typer.Argument(metavar="PROMPT", hidden=True)] = None,
    model: Annotated[
        Text, typer.Option("-m", "--model", metavar="NAME", help="The model; all words are the prompt then.")
    ] = None,
    system: Annotated[Text, typer.Option("-s", "--system", metavar="TEXT|@FILE", help="System text.")] = None,
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="Attach a text file (repeatable).")
    ] = None,
    no_stdin: Annotated[bool, typer.Option("-n", "--no-stdin", help="Leave standard input alone.")] = False,
    reasoning: Annotated[
        Text, typer.Option("--reasoning", metavar="LEVEL", help="low, medium, high or off; --think=LEVEL too.")
    ] = None,
    show_thinking: Annotated[bool, typer.Option("--show-thinking", help="Show the thoughts, on stderr.")] = False,
    hide_thinking: Annotated[bool, typer.Option("--hide-thinking", help="No sign of thoughts at all.")] = False,
    max_thinking: Annotated[Text, typer.Option(metavar="N", help="Answer after N tokens of thoughts.")] = None,
    max_tokens: Annotated[Text, typer.Option(metavar="N", help="At most N tokens of answer.")] = None,
    temperature: Annotated[Text, typer.Option(metavar="X", help="0: always the likeliest token. [1.0]")] = None,
    top_p: Annotated[Text, typer.Option(metavar="X", help="Only the likeliest tokens up to this mass. [1.0]")] = None,
    top_k: Annotated[Text, typer.Option(metavar="N", help="Only the N likeliest tokens. [0: all]")] = None,
    min_p: Annotated[Text, typer.Option(metavar="X", help="Only tokens this likely beside the best. [0]")] = None,
    seed: Annotated[Text, typer.Option(metavar="N", help="Draw the same random numbers.")] = None,
    stop: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="End the answer here (repeatable).")] = None,
    num_ctx: Annotated[Text, typer.Option(metavar="N", help="Length of the context. [as needed]")] = None,
    gpu_layers: Annotated[Text, typer.Option(metavar="N", help="Layers on the GPU. [as fit]")] = None,
    cpu_moe: CpuMoe = None,
    force: Annotated[bool, typer.Option("--force", help="Try it even if memory is too small for it.")] = False,
    threads: Annotated[Text, typer.Option(metavar="N", help="Threads. [usable cores]")] = None,
    keep_alive: Annotated[Text, typer.Option(metavar="TIME", help=KEEP_ALIVE)] = None,
    header_guard: Annotated[bool, typer.Option(help="Keep Harmony headers well formed.")] = True,
    out: Annotated[File, typer.Option("-o", "--output", metavar="FILE", help="Write the answer here, whole.")] = None,
    each: Annotated[
        bool, typer.Option("--each", help="One prompt per line of standard input, one answer per line.")
    ] = False,
    last: Annotated[bool, typer.Option("-c", "--continue", help="Go on with the last saved chat, and save.")] = False,
    save: Annotated[bool, typer.Option("--save", help="Save question and answer as a chat.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON event per line.")] = False,
    markdown: Annotated[
        str, typer.Option(metavar="WHEN", help="auto (on a terminal), always or never: draw the answer as Markdown.")
    ] = "auto",
    verbose: Annotated[bool, typer.Option("--verbose", help="Statistics, on stderr.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on stderr but errors.")] = False,
) -> None:
    """Answer one prompt: from the words, from standard input (which comes first), and from files.

    The first word is the model when there is no blank in it: a name, tiny, or the path of a .gguf. Without one the
    default answers. A lone - is another place for standard input. The answer goes to stdout, all else to stderr.
    With -c the model is that of the chat, and all words are the prompt. Without a prompt, a terminal gets a chat.

    With --each every line is a prompt of its own, the words go along with each, and line breaks in answers become
    blanks; --jsonl keeps them. A line that fails is answered by an empty one, and the exit code is 1 then.
    """
    places = Places.of(os.environ)
    defaults = read_file(places.config_file)
    thinking = "hide" if hide_thinking else "show" if show_thinking else None
    form = _Form(out, as_json, as_jsonl, markdown, verbose, _seen({"thinking": thinking}, defaults).thinking)
    form.check()
    screen = Screen(sys.stdout, sys.stderr, os.environ, quiet)
    flags = {
        "reasoning": reasoning,
        "max_thinking": max_thinking,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "min_p": min_p,
        "seed": seed,
        "stop": stop or None,
        "num_ctx": num_ctx,
        "gpu_layers": gpu_layers,
        "threads": threads,
        "keep_alive": keep_alive,
        "header_guard": None if header_guard else False,
    }
    library = Library(places.data, places.cache, places.runtimes)
    name, rest = _model_and_words(model, words or [])
    if each and (last or save or no_stdin or as_json or out):
        raise BadInput("--each goes without -c, --save, -n, --json and -o")
    is_asked = rest or file or no_stdin or each or last or save or quiet or form.is_for_programs
    if not is_asked and can_chat():  # as in Ollama
        here = Opened(places, screen, flags, cpu_moe=cpu_moe, force=force)
        chosen = here.model(None) if name is None else _choose(library, name, defaults, screen)
        here.talk(chosen, form.view, History(places.sessions), system=prompts.system_text(system))
        return
    saving = Saving.opened(History(places.sessions), last=last, save=save)
    if last and model is None:
        name, rest = saving.model, words or []
    chosen = _choose(library, name, defaults, screen)
    preset = {**chosen.settings, **saving.options}
    settings = Settings.resolve(flags=flags, environment=os.environ, preset=preset, file=defaults, model=chosen.name)
    instructions = saving.system(chosen.system) if system is None else prompts.system_text(system)
    started = time.monotonic()
    opened = library.open(
        chosen,
        num_ctx=settings.options.num_ctx,
        gpu_layers=settings.gpu_layers,
        cpu_moe=cpu_moe,
        force=force,
        threads=settings.threads,
        keep_alive=settings.keep_alive_s,
        prompt_cache=settings.prompt_cache,
    )
    if each:
        with closing(opened):
            _tell_about(chosen, screen)
            asking = Asking(
                lambda: Session(
                    opened, settings.options, system=instructions, messages=chosen.messages, date=saving.date
                ),
                screen,
                form.thinking,
                rest,
                file or [],
            )
            raise typer.Exit(answer_each(lines_of_input(), asking, as_jsonl=as_jsonl))
    with closing(opened), closing(saving):
        asked = time.monotonic()
        prompt = prompts.compose(rest, None if no_stdin else prompts.piped_text(quiet=quiet), file or [])
        started += time.monotonic() - asked  # whoever types or pipes slowly is not waiting for the answer
        if not prompt:
            raise BadInput("no prompt", hint='gptoss run [MODEL] "your question"; gptoss run --help lists the rest')
        _tell_about(chosen, screen)
        session = Session(
            opened,
            settings.options,
            system=instructions,
            messages=chosen.messages,
            date=saving.date,
            turns=saving.turns,
            recorder=saving.begin(chosen.reference, instructions, settings.options, screen),
        )
        view = form.viewer(screen, started)
        try:
            form.show(chosen.name, _counted_from(started, session.send(prompt)), view)
        finally:
            form.finish(chosen.name, view.shown, saving.session(session))


@dataclass(frozen=True)
class _Form:
    """In which form the reply is given, and where."""

    out: Path | None
    as_json: bool
    as_jsonl: bool
    markdown: str
    verbose: bool
    thinking: str

    def check(self) -> None:
        """Raises BadInput for what does not go together, and a file that cannot be written."""
        if self.as_json and self.as_jsonl:
            raise BadInput("--json and --jsonl exclude each other")
        if self.markdown not in ("auto", "always", "never"):
            raise BadInput(f"--markdown is auto, always or never, not {self.markdown!r}")
        if self.out:
            check_writable(self.out)

    @property
    def is_for_programs(self) -> bool:
        return bool(self.as_json or self.as_jsonl or self.out)

    @property
    def view(self) -> dict[str, Any]:
        """The same for a chat."""
        return {"thinking": self.thinking, "verbose": self.verbose, "markdown": self.markdown != "never"}

    def viewer(self, screen: Screen, started: float) -> Viewer:
        return Viewer(
            screen,
            thinking=self.thinking,
            show_answer=not self.is_for_programs,
            page=None if self.is_for_programs else screen.page(self.markdown),
            started=started,
        )

    def show(self, name: str, events: Generator[Event, None, None], view: Viewer) -> None:
        with closing(events):
            if self.as_jsonl:
                _stream(name, events, view, self.out)
            else:
                view.show(events)

    def finish(self, name: str, shown: Shown, session: str | None) -> None:
        """What comes after the reply, also when it has no answer: the object, the file, the statistics."""
        if shown.done is None:
            return
        if self.as_json:
            text = json.dumps(output.reply_object(name, shown, session), ensure_ascii=False) + "\n"
        else:
            text = shown.answer if shown.answer.endswith("\n") else shown.answer + "\n"
        if self.out and not self.as_jsonl and (self.as_json or shown.answer):
            write_whole(self.out, text)
        elif self.as_json:
            _write(text)
        if self.verbose:
            for line in output.statistics(shown):
                print(line, file=sys.stderr)


def _seen(flags: dict[str, object], file: dict[str, object]) -> Settings:
    """What is in force whatever the model is."""
    return Settings.resolve(flags=flags, environment=os.environ, preset={}, file=file)


def _model_and_words(model: str | None, words: list[str]) -> tuple[str | None, list[str]]:
    """The first word is the model when it has no blank in it and no -m was given."""
    if model is not None or not words or words[0] == "-" or any(map(str.isspace, words[0])):
        return model, words
    return words[0], words[1:]


def _choose(library: Library, name: str | None, defaults: dict[str, object], screen: Screen) -> Model:
    name = offer.wanted(name, defaults)
    if name is None:
        return library.default()
    try:
        return offer.found(library, name, screen)
    except ModelNotFound as error:
        if library.known(name):
            raise
        hint = f"{error.hint}; if it is the prompt: gptoss run -m NAME {name}"
        raise ModelNotFound(str(error), hint=hint) from error


def _tell_about(model: Model, screen: Screen) -> None:
    if model.notice and (screen.err_is_terminal or model.is_fallback):
        screen.say(model.notice)


def _counted_from(started: float, events: Generator[Event, None, None]) -> Generator[Event, None, None]:
    """`events`, the time to the first token counted from `started`: who asks once waits for the load as well."""
    before_s = time.monotonic() - started
    with closing(events):
        for event in events:
            match event:
                case Done(timings=timings) if timings.first_token_s:
                    yield replace(event, timings=replace(timings, first_token_s=before_s + timings.first_token_s))
                case _:
                    yield event


def _stream(name: str, events: Iterator[Event], view: Viewer, out: Path | None) -> None:
    lines = []
    try:
        for line, event in output.event_lines(name, events):
            if event is not None:
                view.see(event)
            lines.append(line)
            if not out and line:
                _write(line)
    except GptossError as error:
        lines.append(output.error_line(error.code, str(error), error.hint))
        if not out:
            _write(lines[-1])
        raise
    finally:
        view.finish()
    if out:
        write_whole(out, "".join(lines))


def _write(text: str) -> None:
    """JSON on stdout; JSON itself escapes ESC, not the controls above it."""
    sys.stdout.write(safe(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()
