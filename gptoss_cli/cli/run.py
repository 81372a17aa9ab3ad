"""`gptoss run`: one prompt, one answer."""

import json
import os
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gptoss_cli.cli import offer, output, prompts
from gptoss_cli.cli.asking import can_ask
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
Whole = int | None
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
    gpu_layers: Annotated[Whole, typer.Option(metavar="N", min=-1, help="Layers on the GPU. [as fit]")] = None,
    cpu_moe: Annotated[
        Whole, typer.Option(metavar="N", min=0, help="Layers whose experts stay in RAM. [as few as fit]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Try it even if memory is too small for it.")] = False,
    threads: Annotated[Whole, typer.Option(metavar="N", min=1, help="Threads. [usable cores]")] = None,
    header_guard: Annotated[bool, typer.Option(help="Keep Harmony headers well formed.")] = True,
    out: Annotated[File, typer.Option("-o", "--output", metavar="FILE", help="Write the answer here, whole.")] = None,
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
    With -c the model is that of the chat, and all words are the prompt.
    """
    if as_json and as_jsonl:
        raise BadInput("--json and --jsonl exclude each other")
    if markdown not in ("auto", "always", "never"):
        raise BadInput(f"--markdown is auto, always or never, not {markdown!r}")
    if out:
        check_writable(out)
    screen = Screen(sys.stdout, sys.stderr, os.environ, quiet)
    places = Places.of(os.environ)
    library = Library(places.data, places.cache)
    defaults = read_file(places.config_file)
    saving = Saving.opened(History(places.sessions), last=last, save=save)
    name, rest = _model_and_words(saving.model if model is None else model, words or [])
    chosen = _choose(library, name, defaults, screen)
    if chosen.is_fallback and not rest and can_ask() and (fetched := offer.choose(library, screen)) is not None:
        screen.say(f'gptoss run {fetched} "..."')
        return
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
        "header_guard": None if header_guard else False,
    }
    settings = Settings.resolve(
        flags=flags,
        environment=os.environ,
        preset={**chosen.settings, **saving.options},
        file=defaults,
        model=chosen.name,
    )
    instructions = saving.system(chosen.system) if system is None else prompts.system_text(system)
    started = time.monotonic()
    with closing(
        library.open(
            chosen,
            num_ctx=settings.options.num_ctx,
            gpu_layers=settings.gpu_layers,
            cpu_moe=cpu_moe,
            force=force,
            threads=settings.threads,
        )
    ) as chat:
        asked = time.monotonic()
        prompt = prompts.compose(rest, None if no_stdin else prompts.piped_text(quiet=quiet), file or [])
        started += time.monotonic() - asked  # whoever types or pipes slowly is not waiting for the answer
        if not prompt:
            raise BadInput("no prompt", hint='gptoss run [MODEL] "your question"; gptoss run --help lists the rest')
        _tell_about(chosen, screen)
        session = Session(
            chat,
            settings.options,
            system=instructions,
            messages=chosen.messages,
            date=saving.date,
            turns=saving.turns,
            recorder=saving.begin(chosen.name, instructions, settings.options, screen),
        )
        events = _counted_from(started, session.send(prompt))
        view = Viewer(
            screen,
            show_thinking=show_thinking,
            hide_thinking=hide_thinking,
            show_answer=not (as_json or as_jsonl or out),
            page=None if as_json or as_jsonl or out else screen.page(markdown),
            started=started,
        )
        try:
            with closing(saving), closing(events):
                if as_jsonl:
                    _stream(chosen.name, events, view, out)
                else:
                    view.show(events)
        finally:
            told = output.reply_object(chosen.name, view.shown, saving.session(session)) if as_json else None
            _finish(view.shown, told, out=out, as_jsonl=as_jsonl, verbose=verbose)


def _model_and_words(model: str | None, words: list[str]) -> tuple[str | None, list[str]]:
    """The first word is the model when it has no blank in it and no -m was given."""
    if model is not None or not words or words[0] == "-" or any(map(str.isspace, words[0])):
        return model, words
    return words[0], words[1:]


def _choose(library: Library, name: str | None, defaults: dict[str, object], screen: Screen) -> Model:
    if name is None:
        name = os.environ.get("GPTOSS_MODEL") or None
    if name is None and isinstance(configured := defaults.get("model"), str):
        name = configured
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


def _finish(shown: Shown, told: dict[str, object] | None, *, out: Path | None, as_jsonl: bool, verbose: bool) -> None:
    """What comes after the reply, also when it has no answer: the object (told), the file, the statistics."""
    if shown.done is None:
        return
    if told is not None:
        text = json.dumps(told, ensure_ascii=False) + "\n"
    else:
        text = shown.answer if shown.answer.endswith("\n") else shown.answer + "\n"
    if out and not as_jsonl and (told is not None or shown.answer):
        write_whole(out, text)
    elif told is not None:
        _write(text)
    if verbose:
        for line in output.statistics(shown):
            print(line, file=sys.stderr)
