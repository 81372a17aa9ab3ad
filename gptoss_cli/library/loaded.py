"""Models that are loaded: an engine for one, here or in a process of its own, and which processes a name means."""

import os
from collections.abc import Sequence
from pathlib import Path

from gptoss_cli.config import same_model
from gptoss_cli.engine import Engine, wire
from gptoss_cli.engine.running import Running, end, end_idle
from gptoss_cli.engine.start import engine_here
from gptoss_cli.engine.worker import WorkerEngine
from gptoss_cli.errors import ModelNotFound


def engine(load: wire.Load, name: str, runtime: Path | None, keep_alive: float) -> Engine:
    """An engine that is being loaded, or is loaded already; see Library.open."""
    if keep_alive and runtime and os.name != "nt":  # Python has no such sockets on Windows
        return WorkerEngine(load, runtime, name=name, keep_alive=keep_alive)
    return engine_here(load, lambda: relief(runtime))


def relief(runtime: Path | None) -> bool:
    """End the process in `runtime` that nobody has used for longest; False when none is idle."""
    return runtime is not None and end_idle(runtime)


def stop(found: Sequence[Running]) -> None:
    """Unload them, in the middle of a reply or not."""
    for each in found:
        end(each.place, wire.End(now=True))


def called(name: str, weights: Path | None, found: Sequence[Running]) -> list[Running]:
    """Those that are known by `name`, or else have these weights. Raises ModelNotFound when there are none."""
    named = [each for each in found if same_model(each.name, name)]
    if not named and weights:
        named = [each for each in found if each.status and each.status.model == str(weights.absolute())]
    if not named:
        loaded = ", ".join(each.name for each in found)
        raise ModelNotFound(f"{name} is not loaded", hint=f"loaded: {loaded}" if loaded else "no model is loaded now")
    return named
