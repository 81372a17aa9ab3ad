"""What gptoss keeps on this machine: where, how much, and whether settings, models and chats can be read."""

import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli.config import RUNTIME_VARIABLE, Places, Settings, read_file
from gptoss_cli.doctor.finding import Finding
from gptoss_cli.engine.private import WITHOUT, check_folder
from gptoss_cli.errors import GptossError
from gptoss_cli.history import History
from gptoss_cli.hub import cache
from gptoss_cli.library import Library
from gptoss_cli.units import size

LOW_DISK_BYTES = 10**9  # a download wants more at once
OWN_RUNTIME = f"mkdir -p -m 700 ~/.gptoss-run && export {RUNTIME_VARIABLE}=~/.gptoss-run"


@dataclass(frozen=True)
class Place:
    """A file or folder of gptoss. size_bytes: of all in it that can be read; free_bytes: on its disk."""

    name: str
    path: Path
    exists: bool
    size_bytes: int
    free_bytes: int | None


def places(own: Places, environment: Mapping[str, str]) -> list[Place]:
    named = {
        "settings": own.config_file,
        "models": own.data / "models",
        "chats": own.sessions,
        "cache": own.cache,
        "Hub cache": cache.folder(environment),
    }
    return [Place(name, path, os.path.lexists(path), _size(path), _free(path)) for name, path in named.items()]


def _size(path: Path) -> int:
    """Bytes of the file, or of all files below the folder; what links lead to is counted where it is."""
    if not os.path.isdir(path):
        return _file_size(str(path))
    return sum(_file_size(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def _file_size(path: str) -> int:
    try:
        told = os.lstat(path)
    except OSError:
        return 0
    return told.st_size if stat.S_ISREG(told.st_mode) else 0


def _free(path: Path) -> int | None:
    try:
        usage = shutil.disk_usage(_nearest(path))
    except OSError:
        return None
    return usage.free if usage.total else None  # of /proc, or of a network, which does not tell


def _nearest(path: Path) -> Path:
    """The path, or what is there of the folders above it."""
    return next((each for each in (path, *path.parents) if os.path.exists(each)), Path("/"))


def examined(own: Places, environment: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with any of it."""
    folders = {"data": own.data, "models": own.data / "models", "cache": own.cache, "Hub": cache.folder(environment)}
    wrong: dict[Path, Finding] = {}  # by what is in the way: one of them may be in the way of several
    for name, path in folders.items():
        for finding in _folder(name, path, environment):
            wrong.setdefault(_nearest(path), finding)
    yield from wrong.values()
    yield from _disk(own, environment)
    if os.name != "nt":
        yield from _runtimes(own.runtimes)
    yield from _chats(own.sessions)
    yield from _models(Library(own.data, own.cache))
    yield from _settings(own, environment)


def _folder(name: str, path: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the folder can be used, or made."""
    there = _nearest(path)
    variable = _misled(name, there, environment)
    if not os.path.isdir(there):
        fix = f"unset {variable}" if variable else _aside(there)
        yield Finding(f"{there} is a file, and the {name} folder should be there", fix, True)
    elif not os.access(there, os.R_OK | os.X_OK):
        yield Finding(f"{there} ({name} folder) cannot be read", _opened_up(path, there, variable), True)
    elif problem := _unwritable(there):
        what = f"{path} ({name} folder) cannot be " + ("written to" if there == path else f"made in {there}")
        yield Finding(f"{what}: {problem}", _opened_up(path, there, variable))


def _unwritable(folder: Path) -> str | None:
    """Why nothing can be made in it. Tried: root is allowed everything, but /proc has no room for files."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except FileNotFoundError:
        return "it takes no files"
    except OSError as error:
        return error.strerror or str(error)
    return None


def _misled(name: str, there: Path, environment: Mapping[str, str]) -> str | None:
    """The variable that leads to `there` or below it. Within the folder that it names, something else is wrong."""
    for variable in ("HF_HUB_CACHE", "HF_HOME") if name == "Hub" else ("GPTOSS_HOME",):
        if value := environment.get(variable):
            return None if Path(os.path.expanduser(value)).absolute() in there.absolute().parents else variable
    return None


def _opened_up(path: Path, there: Path, variable: str | None) -> str:
    quoted, user = shlex.quote(str(there)), getattr(os, "geteuid", lambda: 0)()
    ours = there.stat().st_uid == user
    if ours and not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return f"chmod -R u+rwX {quoted}" if there == path else f"chmod u+rwx {quoted}"
    if variable:
        return f"unset {variable}"
    if ours:  # not for its mode: a disk that is read-only, say
        return f"df {quoted} tells which disk it is on"
    return f"sudo chown -R {user} {quoted}" if there == path else f"sudo install -d -o {user} {shlex.quote(str(path))}"


def _disk(own: Places, environment: Mapping[str, str]) -> Iterator[Finding]:
    full = {}
    for path in (own.data, own.cache, cache.folder(environment)):
        free = _free(path)
        if free is not None and free < LOW_DISK_BYTES:
            full[os.stat(_nearest(path)).st_dev] = (path, free)
    for path, free in full.values():
        yield Finding(f"the disk of {path} has {size(free)} left", "gptoss prune, and gptoss rm NAME")


def _runtimes(folders: tuple[Path, ...]) -> Iterator[Finding]:
    """Whether models can stay loaded, and in the folder that the user has named."""
    *named, shared = folders
    problem = next(map(_unusable, named), None)
    if named and problem is None:
        return
    lacking = _unusable(shared)
    if problem is not None:
        what = f"{RUNTIME_VARIABLE} cannot be used: {problem}"
        if lacking is None:
            what += f"; {shared.parent} is used instead"
        yield Finding(what, _mending(problem) or (OWN_RUNTIME if lacking else f"unset {RUNTIME_VARIABLE}"))
    if lacking is not None:
        yield Finding(f"models do not stay loaded: {lacking}", _mending(lacking) or OWN_RUNTIME)


def _unusable(folder: Path) -> GptossError | None:
    try:
        check_folder(folder)
    except GptossError as error:
        return error
    return None


def _mending(problem: GptossError) -> str | None:
    return problem.hint if problem.hint != WITHOUT else None


def _chats(path: Path) -> Iterator[Finding]:
    try:
        with closing(History(path)) as history:
            history.sessions(1)
    except (GptossError, OSError) as error:
        yield Finding(f"the saved chats cannot be read: {error}", _aside(path))


def _models(library: Library) -> Iterator[Finding]:
    try:
        listed = library.all()
    except (GptossError, OSError) as error:
        yield Finding(f"the models cannot be listed: {error}", _hint(error) or "gptoss list", True)
        return
    for each in listed:
        if each.problem:
            yield Finding(f"{each.name} cannot be used: {each.problem}", f"gptoss rm {shlex.quote(each.name)}")


def _settings(own: Places, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether a run without a model's name would begin."""
    try:
        file = read_file(own.config_file)
        settings = Settings.resolve(flags={}, environment=environment, preset={}, file=file)
    except GptossError as error:
        yield Finding(str(error), _hint(error) or _way_out(str(error)), True)
        return
    library = Library(own.data, own.cache)
    try:
        if settings.model is not None:
            library.find(settings.model)
        elif library.default().is_fallback:
            yield Finding(
                "there is no gpt-oss model on this machine, so the built-in one answers", "gptoss pull gpt-oss:20b"
            )
    except (GptossError, OSError) as error:
        what = f"the default model ({settings.origin.get('model', 'default')}) cannot be used: {error}"
        yield Finding(what, _hint(error) or "gptoss config set model NAME", True)


def _aside(path: Path) -> str:
    return shlex.join(["mv", str(path), f"{path}.old"])


def _hint(error: Exception) -> str | None:
    return error.hint if isinstance(error, GptossError) else None


def _way_out(message: str) -> str:
    """Whose mistake it is stands first in the message: a variable, or the file."""
    source = message.split()[0].rstrip(":")
    return f"unset {source}" if source.isupper() else "gptoss config edit"
