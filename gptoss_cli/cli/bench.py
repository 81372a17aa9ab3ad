"""`gptoss bench`: how fast a model is on this machine."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from gptoss_cli import terminal
from gptoss_cli.cli import offer
from gptoss_cli.cli.models import Json, opened, print_lines
from gptoss_cli.cli.numbers import CpuMoe, whole
from gptoss_cli.config import Places, Settings, read_file
from gptoss_cli.engine import Step, bench
from gptoss_cli.engine.bench import Bandwidth, Event, LeftOut, Rate, Setting, Speed, Task
from gptoss_cli.engine.memory import size
from gptoss_cli.engine.room import Wanted
from gptoss_cli.language import translated
from gptoss_cli.library.fit import gpu_layers_of
from gptoss_cli.library.model import Model
from gptoss_cli.terminal import CLEAR_LINE, Screen
from gptoss_cli.units import size as file_size

USUAL = Task()
TITLES = ("DEPTH", "PREFILL/s", "DECODE/s", "CEILING/s", "RESIDENT", "ANONYMOUS", "CONTEXT")

Text = str | None  # numbers too: Settings.resolve reads them


def measure(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", hidden=True)] = None,
    prompt: Annotated[
        int, typer.Option("-p", "--n-prompt", metavar="N", parser=whole("--n-prompt", 1), help="Tokens of a prompt.")
    ] = USUAL.prompt,
    answer: Annotated[
        int, typer.Option("-n", "--n-gen", metavar="N", parser=whole("--n-gen", 1), help="Tokens of an answer.")
    ] = USUAL.answer,
    depth: Annotated[
        list[int] | None,
        typer.Option(
            "-d",
            "--depth",
            metavar="N",
            parser=whole("--depth", 0),
            help="Tokens before both (repeatable). [0, 4096, 32768]",
        ),
    ] = None,
    all_depths: Annotated[
        bool, typer.Option("--all-depths", help="The usual depths, also those that take more than a minute.")
    ] = False,
    repetitions: Annotated[
        int,
        typer.Option(
            "-r",
            "--repetitions",
            metavar="N",
            parser=whole("--repetitions", 1),
            help="Runs of which the median is told.",
        ),
    ] = USUAL.repetitions,
    threads: Annotated[Text, typer.Option("-t", "--threads", metavar="N", help="[usable cores]")] = None,
    gpu_layers: Annotated[Text, typer.Option(metavar="N", help="Layers on the GPU. [as fit]")] = None,
    cpu_moe: CpuMoe = None,
    repack: Annotated[bool, typer.Option("--repack", help="Weights copied into the layout of the CPU.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Try it even if memory is too small for it.")] = False,
    as_json: Json = False,
) -> None:
    """How fast a model is here: MODEL, or the default.

    Tokens per second of reading a prompt (prefill) and of answering (decode), the median of several runs with random
    tokens, each after DEPTH others; beside it the most that the memory of this machine allows for answers. Then the
    memory of the process, what of it is not the file's own pages, and the KV cache with compute buffers.
    """
    screen = Screen(sys.stdout, sys.stderr, os.environ)
    file = read_file(Places.of(os.environ).config_file)
    chosen = _chosen(model, file, screen)
    settings = Settings.resolve(
        flags={"gpu_layers": gpu_layers, "threads": threads},
        environment=os.environ,
        preset=chosen.settings,
        file=file,
        model=chosen.name,
    )
    within_s = math.inf if all_depths else USUAL.within_s
    task = Task(prompt, answer, repetitions, tuple(depth) if depth else None, within_s)
    events = bench.measure(
        chosen.weights,
        task,
        Wanted(None, gpu_layers_of(chosen, settings.gpu_layers), cpu_moe, force, opened().relief),
        threads=settings.threads,
        repack=repack,
        adapters=chosen.adapters,
    )
    with closing(events):
        results = list(_shown(events, screen))
    if as_json:
        print_lines(json.dumps(_object(chosen, task, repack, results), ensure_ascii=False))
        return
    (ram,) = (each for each in results if isinstance(each, Bandwidth))
    for result in results:
        match result:
            case Setting():
                screen.say(f"{chosen.name}: {_facts(result, ram)}")
            case LeftOut(depth=left, reason=reason):
                screen.say(translated("depth {depth} left out: {reason}", depth=left, reason=reason))
    plain = not sys.stdout.isatty()
    titles = TITLES if plain else [translated(title) for title in TITLES]
    rows = [_row(each, ram, plain) for each in results if isinstance(each, Speed)]
    print_lines(*terminal.table(titles, rows, plain=plain))


def _chosen(name: str | None, file: dict[str, object], screen: Screen) -> Model:
    name = offer.wanted(name, file)
    return opened().default() if name is None else offer.found(opened(), name, screen)


def _shown(events: Iterator[Event], screen: Screen) -> Iterator[Event]:
    """The results; on a terminal a line says what is being measured."""
    try:
        for event in events:
            if not isinstance(event, Step):
                yield event
            elif screen.live:
                share = f"{event.done}/{event.total}" if event.total < 1000 else f"{100 * event.done // event.total}%"
                screen.err.write(f"{CLEAR_LINE}{translated('Measuring')}  {event.stage} {share}")
                screen.err.flush()
    finally:
        if screen.live:
            screen.err.write(CLEAR_LINE)
            screen.err.flush()


def _facts(setting: Setting, ram: Bandwidth) -> str:
    return translated(
        "{size}, {layers} layers, on {devices}, threads {threads}, loaded in {load_s:.2f} s, memory read at {rate}/s",
        size=file_size(setting.weight_bytes),
        layers=setting.layers,
        threads=setting.threads,
        devices=", ".join(setting.devices),
        load_s=setting.load_s,
        rate=file_size(ram.bytes_s),
    )


def _row(speed: Speed, ram: Bandwidth, plain: bool) -> list[str]:
    """Plain: numbers alone, bytes as they are; an empty cell for what is not known."""
    used, context, most = speed.footprint, speed.context.total_bytes, speed.ceiling(ram)
    if plain:
        figures = (speed.prefill.median, speed.decode.median, most)
        amounts = (used.resident_bytes, used.anonymous_bytes, context)
        cells = [*("" if each is None else f"{each:.2f}" for each in figures)]
        return [str(speed.depth), *cells, *("" if each is None else str(each) for each in amounts)]
    ceiling = "-" if most is None else f"{most:.1f} ({speed.decode.median / most:.0%})"
    amounts_read = ("-" if each is None else size(each) for each in (used.resident_bytes, used.anonymous_bytes))
    return [str(speed.depth), _spread(speed.prefill), _spread(speed.decode), ceiling, *amounts_read, size(context)]


def _spread(rate: Rate) -> str:
    """The median, and between what the runs were."""
    return f"{rate.median:.1f} ({min(rate.runs):.1f}-{max(rate.runs):.1f})"


def _object(model: Model, task: Task, repack: bool, results: list[Event]) -> dict[str, object]:
    """What --json says; keys are added, never renamed. Null where nothing is known."""
    setting = next(each for each in results if isinstance(each, Setting))
    ram = next(each for each in results if isinstance(each, Bandwidth))
    return {
        "model": model.name,
        "weights": str(model.weights),
        "weight_bytes": setting.weight_bytes,
        "layers": setting.layers,
        "devices": list(setting.devices),
        "threads": setting.threads,
        "gpu_layers": setting.plan.placement.gpu_layers,
        "cpu_moe": setting.plan.experts_in_ram,
        "repack": repack,
        "prompt_tokens": task.prompt,
        "answer_tokens": task.answer,
        "repetitions": task.repetitions,
        "load_s": round(setting.load_s, 6),
        "ram_bytes_per_s": round(ram.bytes_s),
        "depths": [_speed_object(each, ram) for each in results if isinstance(each, Speed)],
        "left_out": [asdict(each) for each in results if isinstance(each, LeftOut)],
    }


def _speed_object(speed: Speed, ram: Bandwidth) -> dict[str, object]:
    most = speed.ceiling(ram)
    return {
        "depth": speed.depth,
        "num_ctx": speed.n_ctx,
        "prefill": _rate_object(speed.prefill),
        "decode": _rate_object(speed.decode),
        "bytes_per_token": speed.token_bytes,
        "ceiling_tokens_per_s": None if most is None else round(most, 3),
        "resident_bytes": speed.footprint.resident_bytes,
        "anonymous_bytes": speed.footprint.anonymous_bytes,
        "kv_bytes": speed.context.kv_bytes,
        "compute_bytes": speed.context.compute_bytes,
    }


def _rate_object(rate: Rate) -> dict[str, object]:
    runs = [round(each, 3) for each in rate.runs]
    return {"tokens_per_s": round(rate.median, 3), "lowest": min(runs), "highest": max(runs), "runs": runs}
