"""Models that are loaded: an engine for one, here or in a process of its own, and which processes a name means."""

import os
from collections.abc import Sequence
from pathlib import Path

from gptoss_cli.config import same_model
from gptoss_cli.engine import Engine, wire
from gptoss_cli.engine.private import private_folders, usable_folder
from gptoss_cli.engine.running import Running, end, end_idle, kill, running
from gptoss_cli.engine.start import engine_here
from gptoss_cli.engine.worker import WorkerEngine
from gptoss_cli.errors import EngineError, ModelNotFound
from gptoss_cli.language import translated

IN_HERE = (
    "the model does not stay loaded: {problem} "
    "(set XDG_RUNTIME_DIR to a private folder of yours; --keep-alive 0 says nothing)"
)


def engine(load: wire.Load, name: str, runtimes: Sequence[Path], keep_alive: float) -> tuple[Engine, str | None]:
    """An engine that is being loaded, or is loaded already, and what the user should know of it; see Library.open."""
    notice = None
    if keep_alive and runtimes and os.name != "nt":  # Python has no such sockets on Windows
        try:
            folder = usable_folder(runtimes)
        except EngineError as error:
            notice = translated(IN_HERE, problem=error)
        else:
            return WorkerEngine(load, folder, name=name, keep_alive=keep_alive), None
    return engine_here(load, lambda: relief(runtimes)), notice


def all_running(runtimes: Sequence[Path]) -> list[Running]:
    """Wherever `engine` has found a folder for them, now or when another one could be used."""
    found = (each for folder in private_folders(runtimes) for each in running(folder))
    return sorted(found, key=lambda each: each.name)


def relief(runtimes: Sequence[Path]) -> bool:
    """End a process in `runtimes`, the one that nobody has used for longest; False when none is idle."""
    return any(end_idle(folder) for folder in private_folders(runtimes))


def stop(found: Sequence[Running]) -> None:
    """Unload them, in the middle of a reply or not."""
    for each in found:
        if each.status is None:  # it was waited for when it was found
            kill(each.place)
        else:
            end(each.place, wire.End(now=True))


def called(name: str, weights: Path | None, found: Sequence[Running]) -> list[Running]:
    """Those that are known by `name`, or else have these weights. Raises ModelNotFound when there are none."""
    named = [each for each in found if same_model(each.name, name)]
    if not named and weights:
        named = [each for each in found if each.model == str(weights.absolute())]
    if not named:
        loaded = ", ".join(each.name for each in found)
        raise ModelNotFound(f"{name} is not loaded", hint=f"loaded: {loaded}" if loaded else "no model is loaded now")
    return named
