"""What goes when a model is forgotten, and what may go anyway: only what gptoss wrote itself and nobody else uses."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli import conversion, gguf, names, weights
from gptoss_cli.downloads import Download, Downloads
from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.hub import cache, part
from gptoss_cli.library.model import TINY, Model
from gptoss_cli.names import HubReference
from gptoss_cli.store import Manifest

COPIES = "weights"  # below the data folder: converted copies (library.adopt)


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
    """Who uses which weights.

    named: the manifests with the weights they find, or None; unread: names of manifests that cannot be read, so that
    nobody knows what they use; data: the store's folder.
    """

    def __init__(
        self,
        data: Path,
        downloads: Downloads,
        named: Iterable[tuple[Manifest, Path | None]],
        unread: Sequence[str] = (),
    ) -> None:
        self._copies = data / COPIES
        self._downloads = downloads
        self._used = [(str(manifest.name), _used(manifest, path)) for manifest, path in named]
        self._unread = ", ".join(unread)

    def of_named(self, manifest: Manifest, path: Path | None) -> Removal:
        name = str(manifest.name)
        if path is None or manifest.base == TINY:
            return Removal(name)
        others = [user for user in self._users([path]) if user != name]
        if not self._is_copy(path):
            return Removal(name, stays=f"the weights stay: {_own_name(manifest.base) or path}")
        if others:
            return Removal(name, stays=f"{', '.join(others)} still uses the weights")
        if self._unread:
            return Removal(name, stays=f"{self._unread} cannot be read and may use the weights")
        return Removal(name, (path,), _freed([path]))

    def of_download(self, model: Model) -> Removal:
        """Weights in the cache by the name that they were fetched by. Raises BadInput when they have to stay."""
        parts = weights.parts(model.weights)
        if users := self._users(parts):
            are = "is" if len(users) == 1 else "are"
            raise BadInput(
                f"{', '.join(users)} {are} made from {model.name}", hint=f"gptoss rm {' '.join(users)} first"
            )
        if self._unread:
            raise BadInput(
                f"{self._unread} cannot be read and may be made from {model.name}",
                hint="gptoss list says why; mend it, or remove it first",
            )
        ours = {own for each in self._downloads.all() if (own := _own(each)) is not None}
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
        records = {own: each for each in self._downloads.all() if (own := _own(each)) is not None}
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

    def leftovers(self, place: Path) -> Iterator[Leftover]:
        """What may go. place: the Hugging Face cache; what was fetched into another one is told apart there."""
        yield from _partials(place)
        if self._unread:  # they may use any of the rest
            return
        for each in self._downloads.all():
            if _is_gone(each):
                self._downloads.remove(each)
            elif (own := _own(each)) is not None and not self._users([own]) and _is_replaced(each, own):
                files = (*_links(each.snapshot, own), own)
                yield Leftover(each.name, "replaced by a newer version", files, _freed([own]))
        for path in sorted(self._copies.glob("*.gguf")):
            if not self._users([path]) and self._is_copy(path):
                yield Leftover(path.name, "a converted copy without a name", (path,), _freed([path]))

    def _users(self, paths: Iterable[Path]) -> list[str]:
        wanted = {path.resolve() for path in paths}
        return [name for name, used in self._used if wanted & used]

    def _is_copy(self, path: Path) -> bool:
        """Whether we made it: users may keep files of their own in that folder, too."""
        if path.is_symlink() or path.parent.resolve() != self._copies.resolve():
            return False
        try:
            return bool(gguf.Header.read(path).text(conversion.ORIGIN))
        except GptossError:
            return False


def _used(manifest: Manifest, path: Path | None) -> set[Path]:
    files = [*(weights.parts(path) if path is not None else []), *map(Path, manifest.modelfile.values("adapter"))]
    return {each.resolve() for each in files}


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


def _own(each: Download) -> Path | None:
    """The file that we fetched, by its real path; None when there is none or the record leads to something else.

    A record may be old: the user may have put a link to a file of their own in the place of a blob since.
    """
    repository = _repository(each.path)
    if repository is None or each.path.is_symlink() or not each.path.is_file():
        return None
    ours = cache.repository_folder(each.repository, repository.parent)
    places = (ours / "blobs" / each.hash, ours / "snapshots" / each.revision / each.file)
    return each.path.resolve() if each.path in places else None


def _is_gone(each: Download) -> bool:
    """Whether somebody has removed it; not so when its disk is not there now."""
    repository = _repository(each.path)
    return repository is not None and not each.path.exists() and (repository.parent / "CACHEDIR.TAG").exists()


def _is_replaced(each: Download, own: Path) -> bool:
    """Whether its own cache has another version of the same file, whole, and nothing asks for this one."""
    repository = _repository(own)
    if repository is None or each.pinned:
        return False
    commits = {each.revision, *(link.relative_to(repository).parts[1] for link in _links(own, own))}
    current = cache.cached(HubReference(each.repository, file=each.file), repository.parent)
    if current is None or own in [part.resolve() for part in weights.parts(current)]:
        return False
    return commits.isdisjoint(cache.commits(repository))


def _links(snapshot: Path, blob: Path) -> list[Path]:
    """All that leads to the blob from the snapshots of its repository."""
    repository = _repository(snapshot)
    if repository is None:
        return []
    return [path for path in repository.glob("snapshots/*/**/*") if path.is_symlink() and path.resolve() == blob]


def _repository(path: Path) -> Path | None:
    """The folder of the cache that a blob or a file of a snapshot belongs to."""
    for parent in path.parents:
        if parent.name.startswith("models--") and path.relative_to(parent).parts[0] in ("blobs", "snapshots"):
            return parent
    return None


def _tidy(repository: Path) -> None:
    """Forget a repository of the cache that has no file left; nothing else is touched."""
    if any(
        path.is_file() or path.is_symlink()
        for name in ("blobs", "snapshots")
        for path in (repository / name).rglob("*")
    ):
        return
    for name in ("blobs", "snapshots", "refs", ".no_exist"):
        shutil.rmtree(repository / name, ignore_errors=True)
    with suppress(OSError):  # a file of somebody else's is in it
        repository.rmdir()


def _partials(place: Path) -> Iterator[Leftover]:
    for each in part.partials(place):
        lock = _lock(each, place)
        if lock.acquire(0):  # else it is being downloaded
            lock.release()
            on_disk = sum(path.stat().st_blocks * 512 for path in each.paths if path.exists())
            what = f"hf:{each.repository}:{each.file}"
            yield Leftover(what, "a download that was not finished", each.paths, on_disk, each)


def _lock(partial: part.Partial, place: Path) -> cache.BlobLock:
    """Of the folder that it lies in, whatever its journal says."""
    repository = partial.path.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
    return cache.BlobLock(repository, partial.path.name.removesuffix(part.SUFFIX), place)
