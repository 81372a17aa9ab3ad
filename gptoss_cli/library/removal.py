"""What goes when a model is forgotten, and what may go anyway: only what gptoss wrote itself and nobody else uses."""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli import names, weights
from gptoss_cli.downloads import Download, Downloads
from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.hub import cache, part
from gptoss_cli.library.model import TINY, Model
from gptoss_cli.store import Manifest

COPIES = "weights"  # below the data folder: converted copies (library.adopt)
BLOB = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


@dataclass(frozen=True)
class Removal:
    """What forgetting `name` does. files: deleted with it; size_bytes: what that frees; stays: why weights are left."""

    name: str
    files: tuple[Path, ...] = ()
    size_bytes: int = 0
    stays: str | None = None


@dataclass(frozen=True)
class Leftover:
    """Something that takes room for nothing. paths: files to delete."""

    what: str
    reason: str
    paths: tuple[Path, ...]
    size_bytes: int
    partial: part.Partial | None = None


class Weights:
    """Who uses which weights. named: the manifests with the weights they find, or None; data: the store's folder."""

    def __init__(self, data: Path, downloads: Downloads, named: Iterable[tuple[Manifest, Path | None]]) -> None:
        self._copies = data / COPIES
        self._downloads = downloads
        self._named = [(manifest, path) for manifest, path in named if path is not None]

    def of_named(self, manifest: Manifest, path: Path | None, leaving: Sequence[str]) -> Removal:
        """leaving: names that are forgotten together with it."""
        name = str(manifest.name)
        if path is None or manifest.base == TINY:
            return Removal(name)
        others = [user for user in self._users(path) if user not in (name, *leaving)]
        if path.parent != self._copies:
            return Removal(name, stays=f"the weights stay: {_own_name(manifest.base) or path}")
        if others:
            return Removal(name, stays=f"{', '.join(others)} still uses the weights")
        return Removal(name, (path,), _freed([path]))

    def of_download(self, model: Model, leaving: Sequence[str]) -> Removal:
        """Weights in the cache by the name that they were fetched by. Raises BadInput when they have to stay."""
        users = [user for user in self._users(model.weights) if user not in leaving]
        if users:
            raise BadInput(f"{', '.join(users)} is made from {model.name}", hint=f"gptoss rm {' '.join(users)} first")
        parts = weights.parts(model.weights)
        ours = {each.path for each in self._downloads.all()}
        if strange := [each for each in parts if each.resolve() not in ours]:
            raise BadInput(
                f"{model.name} was put into the cache by another tool, which may still use it: {strange[0]}",
                hint="hf cache rm removes it",
            )
        blobs = [each.resolve() for each in parts]
        links = [link for each, blob in zip(parts, blobs, strict=True) for link in _links(each, blob)]
        return Removal(model.name, (*links, *blobs), _freed(blobs))

    def delete(self, files: Sequence[Path]) -> None:
        """Delete files of a Removal or a Leftover, and what records say of them. Raises GptossError."""
        records = {each.path: each.hash for each in self._downloads.all()}
        for path in files:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise GptossError(f"{path} cannot be deleted: {error.strerror}") from error
            if path in records:
                self._downloads.remove(records[path])
        for repository in {found for path in files if (found := _repository(path)) is not None}:
            _tidy(repository)

    def prune(self, leftover: Leftover, place: Path) -> bool:
        """Delete it; False when another process has begun to download it further. Raises GptossError."""
        if leftover.partial is None:
            self.delete(leftover.paths)
            return True
        lock = _lock(leftover.partial, place)
        if not lock.acquire(0):
            return False
        try:
            self.delete(leftover.paths)
        finally:
            lock.release()
        return True

    def leftovers(self, find: Callable[[str], Path | None], place: Path) -> Iterator[Leftover]:
        """What may go. find: the weights that a reference to the Hub means now; place: the Hugging Face cache."""
        yield from _partials(place)
        used = {part.resolve() for _, path in self._named for part in weights.parts(path)}
        for each in self._downloads.all():
            if not each.path.exists():
                self._downloads.remove(each.hash)
            elif each.path not in used and not _is_current(each, find):
                files = (*_links(each.snapshot, each.path), each.path)
                yield Leftover(each.name, "replaced by a newer version", files, _freed([each.path]))
        for path in sorted(self._copies.glob("*")) if self._copies.is_dir() else []:
            if path.suffix == ".gguf" and path.resolve() not in used:
                yield Leftover(path.name, "a converted copy without a name", (path,), _freed([path]))

    def _users(self, path: Path) -> list[str]:
        wanted = path.resolve()
        return [str(manifest.name) for manifest, used in self._named if used.resolve() == wanted]


def _own_name(base: str) -> str | None:
    return base if names.canonical(base) or names.is_hub_reference(base) else None


def _freed(files: Iterable[Path]) -> int:
    """Bytes that deleting them frees: none for a file that has another name elsewhere."""
    found = 0
    for path in files:
        with suppress(OSError):
            told = path.stat()
            found += told.st_size if told.st_nlink == 1 else 0
    return found


def _links(snapshot: Path, blob: Path) -> list[Path]:
    """All that leads to the blob from the snapshots of its repository; empty where the file itself is in one."""
    repository = _repository(snapshot)
    if repository is None or snapshot == blob:
        return []
    return [path for path in repository.glob("snapshots/*/**/*") if path.is_symlink() and path.resolve() == blob]


def _repository(path: Path) -> Path | None:
    return next((parent for parent in path.parents if parent.name.startswith("models--")), None)


def _tidy(repository: Path) -> None:
    """Forget a repository of the cache that has no file left; nothing else is touched."""
    if any(
        path.is_file() or path.is_symlink()
        for name in ("blobs", "snapshots")
        for path in (repository / name).rglob("*")
    ):
        return
    shutil.rmtree(repository, ignore_errors=True)


def _partials(place: Path) -> Iterator[Leftover]:
    for each in part.partials(place):
        lock = _lock(each, place)
        if lock.acquire(0):  # else it is being downloaded
            lock.release()
            on_disk = sum(path.stat().st_blocks * 512 for path in each.paths if path.exists())
            what = f"hf:{each.repository}:{each.file}"
            yield Leftover(what, "a download that was not finished", each.paths, on_disk, each)


def _lock(partial: part.Partial, place: Path) -> cache.BlobLock:
    return cache.BlobLock(partial.repository, partial.path.name.removesuffix(part.SUFFIX), place)


def _is_current(each: Download, find: Callable[[str], Path | None]) -> bool:
    path = find(each.name)
    return path is not None and each.path in [part.resolve() for part in weights.parts(path)]
