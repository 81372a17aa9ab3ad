"""Files written whole: a reader sees the old content or the new one, never half; and a lock for their writers."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gptoss_cli.errors import BadInput, GptossError, NetworkError

LOCK_WITHIN_S = 10.0  # a writer holds it for milliseconds


def check_writable(path: Path) -> None:
    """Raise BadInput now, before minutes of work, when nothing can be written at `path`."""
    folder = path.parent
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file")
    if not folder.is_dir():
        raise BadInput(f"no folder {folder} to write {path.name} in")
    if path.exists() and not path.is_file():
        return  # a device or a pipe
    if not os.access(folder, os.W_OK):
        raise BadInput(f"{path} cannot be written: the folder {folder} does not allow it")


def check_new(path: Path, hint: str) -> None:
    """Raise BadInput with `hint`, the way to replace it, when writing at `path` would lose a file that is there.

    Devices, pipes and open streams are no such files.
    """
    if path.is_file() and not _is_stream(path):
        raise BadInput(f"{path} is there already", hint=hint)


def write_whole(path: Path, text: str) -> None:
    """`text` as UTF-8 at `path`, replacing what is there; a device, a pipe or an open stream is written to as it is.

    Raises BadInput, also for lone surrogates, or NetworkError when the disk is full; nothing half-written is left.
    """
    target = Path(os.path.realpath(path))  # a link goes on pointing where it does
    try:
        if _is_stream(path) or (target.exists() and not target.is_file()):
            with path.open("a", encoding="utf-8", newline="") as stream:
                stream.write(text)
        else:
            _replace(target, text)
    except UnicodeEncodeError as error:  # a path with bytes that are no UTF-8, which Python has as lone surrogates
        what = error.object[error.start : error.end]
        raise BadInput(
            f"{path} cannot be written: {what!r} in it is no UTF-8", hint="rename the file or folder that is called so"
        ) from None
    except OSError as error:
        kind = NetworkError if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else BadInput
        raise kind(f"{path} cannot be written: {error.strerror}") from error


def _is_stream(path: Path) -> bool:
    """/dev/stdout and its like may stand for a file that others are writing to: it must not be replaced."""
    return str(path.absolute()).startswith(("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/"))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path`, in a folder that exists; other processes of gptoss wait. Raises GptossError."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(path, timeout=LOCK_WITHIN_S):
            yield
    except Timeout:
        raise GptossError(
            f"another gptoss holds {path} for more than {LOCK_WITHIN_S:.0f} s", hint="wait until it has ended"
        ) from None
    except OSError as error:
        raise GptossError(f"{error.filename or path} cannot be written: {error.strerror}") from error


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".gptoss-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
