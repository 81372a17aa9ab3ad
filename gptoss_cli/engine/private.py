"""The private folder where engines' processes are found: the first that can be used, and nobody else's."""

import os
import shlex
import stat
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gptoss_cli.config import LONGEST_RUNTIME
from gptoss_cli.errors import EngineError

NOBODY = 65534  # what a container shows for a user it does not know: the owner of its host's /tmp
WITHOUT = "set XDG_RUNTIME_DIR to a private folder of yours, or use --keep-alive 0"


def usable_folder(folders: Iterable[Path]) -> Path:
    """The first of `folders` that can be used, made if need be. Raises EngineError with what is wrong with each."""
    problems = []
    for folder in folders:
        try:
            private_folder(folder)
            read_key(folder)
        except EngineError as error:
            problems.append(str(error))
        else:
            return folder
    raise EngineError("; ".join(dict.fromkeys(problems)), hint=WITHOUT)


def private_folders(folders: Iterable[Path]) -> Iterator[Path]:
    """Those of `folders` that are there and nobody else's; what is found in another one must not be believed."""
    for folder in folders:
        with suppress(EngineError):
            if os.path.isdir(folder):  # unlike Path's, False where one may not look
                _check(folder)
                yield folder


def private_folder(folder: Path) -> None:
    """Make `folder`, and the one above it, for this user alone. Raises EngineError when they cannot be that."""
    _check_base(folder.parent.parent)
    for each in (folder.parent, folder):
        try:
            each.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise EngineError(f"{each} cannot be used: {error.strerror}", hint=WITHOUT) from error
        _check_own(each)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EngineError(f"{folder} cannot be written to", hint=WITHOUT)


def check_folder(folder: Path) -> None:
    """As private_folder, but nothing is made, or left. The hint is a command when one mends it."""
    _check(folder)
    own = (folder, folder.parent, folder.parent.parent)
    there = next(each for each in own if os.path.isdir(each))
    try:
        tempfile.TemporaryFile(dir=there).close()  # root is allowed everything, but /proc has no room for files
    except OSError as error:
        raise EngineError(f"nothing can be made in {there}: {error.strerror}", hint=WITHOUT) from error


def _check(folder: Path) -> None:
    _check_base(folder.parent.parent)
    for each in (folder.parent, folder):
        if os.path.lexists(each):
            _check_own(each)


def _check_base(base: Path) -> None:
    """Whether a folder stays ours in `base`: its owner, and who may write there, can put another one in its place.

    The group may write: with the umask of most desktops it is a group of one.
    """
    if not base.is_absolute():  # no such value is valid: XDG Base Directory Specification
        raise EngineError(f"{base} is no absolute path", hint=WITHOUT)
    if len(str(base)) > LONGEST_RUNTIME:
        raise EngineError(f"{base} is longer than {LONGEST_RUNTIME} characters, too long for sockets", hint=WITHOUT)
    try:
        found = base.stat()
    except OSError as error:
        raise EngineError(f"{base} cannot be used: {error.strerror}", hint=WITHOUT) from error
    sticky = bool(found.st_mode & stat.S_ISVTX)
    if not stat.S_ISDIR(found.st_mode):
        raise EngineError(f"{base} is not a folder", hint=WITHOUT)
    if found.st_uid not in (os.geteuid(), 0) and not (sticky and found.st_uid == NOBODY):
        raise EngineError(f"{base} belongs to another user", hint=WITHOUT)
    if found.st_mode & stat.S_IWOTH and not sticky:
        raise EngineError(f"others may write to {base}", hint=_narrowed(base, found))


def _check_own(folder: Path) -> None:
    """Not through a link: that would be a folder that somebody else has chosen."""
    try:
        found = folder.lstat()
    except OSError as error:
        raise EngineError(f"{folder} cannot be used: {error.strerror}", hint=WITHOUT) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EngineError(f"{folder} is not a private folder of yours", hint=WITHOUT)
    if found.st_mode & 0o077:
        raise EngineError(f"{folder} is not a private folder of yours", hint=_narrowed(folder, found))


def _narrowed(folder: Path, found: os.stat_result) -> str:
    return f"chmod 700 {shlex.quote(str(folder))}" if found.st_uid == os.geteuid() else WITHOUT


def read_key(folder: Path) -> bytes:
    """The key of the processes in `folder`, made if there is none yet; both sides of a connection must know it.

    Raises EngineError when it cannot be read or written, on a full disk say.
    """
    path = folder / "key"
    try:
        with suppress(FileNotFoundError):
            return path.read_bytes()
        return _made_key(path)
    except OSError as error:
        raise EngineError(f"{path} cannot be used: {error.strerror}", hint=WITHOUT) from error


def _made_key(path: Path) -> bytes:
    own = path.with_name(f"key.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, os.urandom(32))
        os.close(descriptor)
        with suppress(FileExistsError):
            os.link(own, path)  # atomic: of two that make one, both read the first
    finally:
        os.unlink(own)
    return path.read_bytes()
