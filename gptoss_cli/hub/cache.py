"""The shared Hugging Face cache: what is in it, whichever tool put it there, and a new file's place. Asks no server.

The layout is huggingface_hub's: `models--OWNER--NAME/` has `blobs/ETAG`, `snapshots/COMMIT/FILE` that link to them, and
`refs/REVISION` with a commit; `.locks/` has a lock for each blob.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from gptoss_cli.errors import GptossError, NetworkError
from gptoss_cli.hub import choose
from gptoss_cli.hub.api import HubFile
from gptoss_cli.names import HubReference

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# a cache; backups may leave it out (bford.info/cachedir)\n"


def folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where the cache is: HF_HUB_CACHE, else HF_HOME/hub, else below XDG_CACHE_HOME or ~/.cache.

    Read as huggingface_hub/constants.py does (a test compares them), because that takes 0.1 s to import and
    `gptoss list` needs to know.
    """
    given = os.environ if environment is None else environment
    base = given.get("XDG_CACHE_HOME", os.path.join(os.path.expanduser("~"), ".cache"))
    home = _expanded(given.get("HF_HOME", os.path.join(base, "huggingface")))
    hub = given.get("HUGGINGFACE_HUB_CACHE", os.path.join(home, "hub"))
    return Path(_expanded(given.get("HF_HUB_CACHE", hub)))


def cached(reference: HubReference, cache: Path | None = None) -> Path | None:
    """The file in the cache that `reference` means, of a split model its first part; None if it is not all there.

    For a reference without quantisation it is the one that a pull takes; failing that, whatever is there, the newest
    first.
    """
    repository = repository_folder(reference.repository, cache or folder())
    for snapshot in _snapshots(repository, reference.revision):
        files = {path.relative_to(snapshot).as_posix(): path for path in _weights(snapshot)}
        found = [each for each in choose.candidates(files) if each.complete]
        if reference.file or reference.quant:
            with contextlib.suppress(GptossError):
                return files[choose.choose(files, reference)[0]]
        elif found:
            best = min(found, key=lambda each: (choose.rank(each.label), -files[each.name].stat().st_mtime))
            return files[best.name]
    return None


def repository_folder(repository: str, cache: Path) -> Path:
    return cache / f"models--{repository.replace('/', '--')}"


def blob(file: HubFile, cache: Path) -> Path:
    return repository_folder(file.repository, cache) / "blobs" / file.etag


def pointer(file: HubFile, cache: Path) -> Path:
    """Where a reader of the cache finds the file: a link to the blob, or the file itself where there are no links."""
    return repository_folder(file.repository, cache) / "snapshots" / file.commit / PurePosixPath(file.path)


def is_there(file: HubFile, cache: Path) -> bool:
    """Whether the cache has the file at this commit, whole."""
    return _has_size(pointer(file, cache), file.size_bytes)


def has_blob(file: HubFile, cache: Path) -> bool:
    return _has_size(blob(file, cache), file.size_bytes)


def link(file: HubFile, cache: Path) -> Path:
    """Make the blob visible in its snapshot; where no links can be made it moves there, as huggingface_hub has it."""
    source, target = blob(file, cache), pointer(file, cache)
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        if target.exists() and os.path.samefile(source, target):
            return target
        target.unlink()
    if os.environ.get("HF_HUB_DISABLE_SYMLINKS", "").upper() not in ("1", "ON", "YES", "TRUE"):
        try:
            target.symlink_to(os.path.relpath(source, target.parent))
        except FileExistsError:  # another process was quicker
            return target
        except OSError:  # no links on this file system, or not for this user
            pass
        else:
            return target
    shutil.move(source, target)
    return target


def set_revision(repository: str, revision: str, commit: str, cache: Path) -> None:
    """Note that `revision`, a branch or a tag, is at `commit`: readers without a network go by that."""
    if revision == commit:
        return
    path = repository_folder(repository, cache) / "refs" / revision
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != commit:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(commit)
        os.replace(temporary, path)


def commits(repository: Path) -> set[str]:
    """The commits that a branch or a tag is at, as far as it has been asked for, by whichever tool."""
    found = (_commit(path) for path in (repository / "refs").rglob("*") if path.is_file())
    return {commit for commit in found if commit is not None}


def prepare(file: HubFile, cache: Path) -> None:
    """Make the folders that a blob needs. Raises OSError."""
    blob(file, cache).parent.mkdir(parents=True, exist_ok=True)
    pointer(file, cache).parent.mkdir(parents=True, exist_ok=True)  # without it `hf cache` calls the repository damaged
    tag = cache / "CACHEDIR.TAG"
    if not tag.exists():
        tag.write_text(TAG)


def disk_error(error: OSError, cache: Path) -> GptossError:
    """What the user should read when the cache cannot be written. A full disk is exit code 5, as a lost network is."""
    where = error.filename or cache
    if error.errno in DISK_FULL:
        return NetworkError(
            f"the disk is full: {where}: {error.strerror}; what was fetched is kept", hint="make room and pull again"
        )
    return GptossError(f"{where} cannot be written: {error.strerror}", hint="HF_HUB_CACHE=FOLDER is another place")


def free_bytes(cache: Path) -> int:
    """What the disk of the cache still holds."""
    place = next(each for each in (cache, *cache.absolute().parents) if each.exists())
    return shutil.disk_usage(place).free


class BlobLock:
    """The lock that huggingface_hub takes, too, while it downloads a blob: two never write one file."""

    def __init__(self, repository: str, etag: str, cache: Path) -> None:
        from filelock import FileLock

        place = cache / ".locks" / repository_folder(repository, cache).name
        place.mkdir(parents=True, exist_ok=True)
        self._path = place / f"{etag}.lock"
        # 0o664: other users of a shared cache may wait for it (huggingface_hub, utils/_fixes.py, WeakFileLock)
        self._lock = FileLock(self._path, mode=0o664)

    def acquire(self, within_s: float) -> bool:
        """False when another has it for so long. Raises OSError, and GptossError where the file system has no locks."""
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=within_s)
        except Timeout:
            return False
        except NotImplementedError as error:
            raise GptossError(f"{self._path} cannot be locked: {error}") from error
        return True

    def release(self) -> None:
        self._lock.release()


def _expanded(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))


def _snapshots(repository: Path, revision: str) -> Iterator[Path]:
    """The snapshot that `revision` is at; for main then all others, the newest first."""
    snapshots = repository / "snapshots"
    commit = _commit(repository / "refs" / revision) or revision
    first = snapshots / commit
    if first.is_dir():
        yield first
    if revision == "main":
        others = [path for path in snapshots.glob("*") if path.is_dir() and path != first]
        yield from sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)


def _commit(ref: Path) -> str | None:
    """What a ref says; None for one that is not there or says nothing that can be the name of a snapshot."""
    try:
        commit = ref.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if re.fullmatch(r"[A-Za-z0-9]+", commit) else None


def _weights(snapshot: Path) -> list[Path]:
    return [path for path in snapshot.rglob("*.gguf") if path.is_file()]


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False
