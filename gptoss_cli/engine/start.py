"""Starting an engine: in this process, or in one of its own that holds nothing of whoever starts it."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import gptoss_cli
from gptoss_cli.engine import binding, wire
from gptoss_cli.engine.link import Place
from gptoss_cli.engine.llama import LlamaEngine

# a process of another build is replaced
BUILD = f"gptoss {gptoss_cli.__version__}, llama-cpp-python {binding.VERSION}, {Path(gptoss_cli.__file__).parent}"

# -P leaves the folder out in which the user happens to be: a json.py there would be imported. The package is the one
# that runs here, although another one may be installed
PROGRAM = """import sys
sys.path.insert(0, sys.argv.pop(1))
import gptoss_cli
del sys.path[0]
from gptoss_cli.engine.serving import main
main()"""


def engine_here(load: wire.Load, relief: Callable[[], bool] = lambda: False) -> LlamaEngine:
    """An engine in this process, loading already. relief: as engine.room.Wanted has it."""
    return LlamaEngine(
        Path(load.model),
        num_ctx=load.num_ctx,
        gpu_layers=load.gpu_layers,
        cpu_moe=load.cpu_moe,
        force=load.force,
        threads=load.threads,
        repack=load.repack,
        adapters=tuple(map(Path, load.adapters)),
        states=Path(load.states) if load.states else None,
        relief=relief,
    )


def start(order: wire.Start) -> int:
    """Start a process and return its id; it listens within a second. Not for Windows. Raises OSError."""
    root = str(Path(gptoss_cli.__file__).parent.parent)
    place = Place(Path(order.folder), order.place)
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    arguments = [sys.executable, "-P", "-c", PROGRAM, root, wire.as_json(order)]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(place.log), log, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    given = {"file_actions": actions, "setsigmask": [], "setsigdef": [signal.SIGTERM]}
    try:
        return os.posix_spawn(sys.executable, arguments, os.environ, setsid=True, **given)  # type: ignore[arg-type]
    except NotImplementedError:  # an old system: the process leaves the session as soon as it runs
        return os.posix_spawn(sys.executable, arguments, os.environ, **given)  # type: ignore[arg-type]


def detach() -> None:
    """Called in the new process: no terminal, no folder, no descriptor of the one that started it."""
    with suppress(PermissionError):  # done already
        os.setsid()
    os.chdir("/")
    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.closerange(3, _most_descriptors())


def _most_descriptors() -> int:
    with suppress(OSError, ValueError):  # the names are numbers, on Linux and on a Mac
        return max(map(int, os.listdir("/dev/fd"))) + 1
    return 1024


def reaped(pid: int) -> int | None:
    """How a process that this one has started ended, as subprocess has it; None while it runs, or is unknown."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None
