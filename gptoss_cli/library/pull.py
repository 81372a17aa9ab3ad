"""Fetching a model: which files a name means, whether there is room, the download, and that it is a gpt-oss at last."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli import gguf, weights
from gptoss_cli.downloads import Download, Downloads
from gptoss_cli.engine import machine
from gptoss_cli.engine.memory import Machine
from gptoss_cli.errors import ModelNotFound, NetworkError
from gptoss_cli.hub import api, cache, choose, part
from gptoss_cli.hub.api import HubFile, NotGiven, Source, Unreachable
from gptoss_cli.hub.download import Tuning, download
from gptoss_cli.hub.fetch import Changed
from gptoss_cli.hub.part import Part
from gptoss_cli.library.fit import fit_of_build
from gptoss_cli.messages import Notice, Progress
from gptoss_cli.names import HubReference
from gptoss_cli.units import size

WAIT_S = 0.5
RESTARTS = 3


@dataclass(frozen=True)
class Fetching:
    """What is about to be fetched. files: paths in the repository with their bytes; missing_bytes: not here yet."""

    name: str
    repository: str
    revision: str
    files: tuple[tuple[str, int], ...]
    missing_bytes: int
    place: Path

    @property
    def size_bytes(self) -> int:
        return sum(count for _, count in self.files)


@dataclass(frozen=True)
class FileStarted:
    """One of the files is next; Progress is about it. kept_bytes: what an earlier attempt has left."""

    file: str
    size_bytes: int
    kept_bytes: int


@dataclass(frozen=True)
class Pulled:
    """The end: the model is here. fetched_bytes: 0 when it was here already."""

    name: str
    path: Path
    size_bytes: int
    fetched_bytes: int


PullEvent = Fetching | FileStarted | Progress | Notice | Pulled
Pulling = Generator[PullEvent, None, None]


def pull(
    name: str,
    references: Sequence[HubReference],
    downloads: Downloads,
    source: Source,
    tuning: Tuning | None = None,
) -> Pulling:
    """Fetch the first of `references` that can be had; several mean builds of the same model.

    Closing the generator early keeps what was fetched. Raises ModelNotFound, BadInput, NetworkError (no way, no room),
    GptossError (a wrong hash).
    """
    left = list(references)
    before: tuple[HubFile, ...] = ()
    for _ in range(RESTARTS + len(references)):
        try:
            reference, files = yield from _chosen(left, source, any_build=len(references) > 1)
        except Unreachable as error:
            yield from _offline(name, left, source, error)
            return
        if before == files:
            raise NetworkError(
                f"the server of {files[0].path} and the Hub's list disagree about it", hint="try again later"
            )
        try:
            yield from _fetch(name, reference, files, downloads, source, tuning)
            return
        except OSError as error:
            raise cache.disk_error(error, source.cache) from error
        except Changed as error:
            yield Notice(f"{error}: starting again")
            before = files
        except NotGiven as error:  # gated: its files are listed, and not given
            left = left[left.index(reference) + 1 :]
            if not left:
                raise
            yield _next(error, left[0])
    raise NetworkError(f"{name} changes on the Hub all the time", hint="try again later")


def kept_bytes(start: Fetching) -> int:
    """What is on disk of a pull that was stopped."""
    folder = cache.repository_folder(start.repository, start.place).name
    files = dict(start.files)
    return sum(each.kept_bytes for each in part.partials(start.place, folder) if each.file in files)


def _chosen(
    references: Sequence[HubReference], source: Source, *, any_build: bool
) -> Generator[Notice, None, tuple[HubReference, tuple[HubFile, ...]]]:
    first: ModelNotFound | NotGiven | None = None
    for number, reference in enumerate(references, start=1):
        try:
            listed = {file.path: file for file in api.listing(reference.repository, reference.revision, source)}
            paths = choose.choose(listed, reference, any_build=any_build)
            return reference, tuple(listed[path] for path in paths)
        except (ModelNotFound, NotGiven) as error:
            first = first or error
            if number < len(references):
                yield _next(error, references[number])
    raise first or ModelNotFound("nothing to fetch")


def _next(error: ModelNotFound | NotGiven, reference: HubReference) -> Notice:
    return Notice(f"{error}; trying {reference.repository}")


def _offline(name: str, references: Sequence[HubReference], source: Source, error: Unreachable) -> Pulling:
    """What is cached is as good."""
    for reference in references:
        if (path := cache.cached(reference, source.cache)) is not None:
            yield Notice(f"{error}; {name} is here already")
            yield Pulled(name, path, _size_of(path), 0)
            return
    raise error


def _fetch(
    name: str,
    reference: HubReference,
    files: tuple[HubFile, ...],
    downloads: Downloads,
    source: Source,
    tuning: Tuning | None,
) -> Pulling:
    missing = [file for file in files if not cache.is_there(file, source.cache)]
    missing_bytes = sum(_missing_bytes(file, source.cache) for file in missing)
    start = Fetching(
        name,
        reference.repository,
        files[0].commit,
        tuple((file.path, file.size_bytes) for file in files),
        missing_bytes,
        source.cache,
    )
    yield start
    if missing and (notice := _fit_notice(name, start.size_bytes)):
        yield Notice(notice)
    _check_room(name, missing_bytes, source.cache)
    fetched_bytes = 0
    for file in missing:
        fetched_bytes += yield from _fetch_one(
            file, downloads, source, tuning or Tuning(timeout_s=api.download_timeout_s()), reference.revision
        )
    cache.set_revision(reference.repository, reference.revision, files[0].commit, source.cache)
    path = cache.pointer(files[0], source.cache)
    weights.check_usable(gguf.Header.read(path))
    yield Pulled(name, path, start.size_bytes, fetched_bytes)


def _fetch_one(
    file: HubFile, downloads: Downloads, source: Source, tuning: Tuning, revision: str
) -> Generator[PullEvent, None, int]:
    """The bytes that were fetched: 0 when another program, which had begun it, has done it all."""
    cache.prepare(file, source.cache)
    begun = Path(f"{cache.blob(file, source.cache)}{part.SUFFIX}")
    lock = cache.BlobLock(file.repository, file.etag, source.cache)
    if not lock.acquire(0):
        yield Notice(f"another program downloads {file.path}; waiting for it")
        yield FileStarted(file.path, file.size_bytes, part.kept_bytes(begun))
        while not lock.acquire(WAIT_S):
            yield Progress("wait", part.kept_bytes(begun), file.size_bytes)
    try:
        if cache.has_blob(file, source.cache):
            cache.link(file, source.cache)
            return 0
        if cache.is_there(file, source.cache):  # where there are no links, the blob has moved there
            return 0
        yield from _forget_older(file, source.cache)
        kept = part.kept_bytes(begun)
        yield FileStarted(file.path, file.size_bytes, kept)
        yield from _download(file, source, tuning)
        downloads.put(_record(file, cache.link(file, source.cache), revision))
        return file.size_bytes - kept
    finally:
        lock.release()


def _record(file: HubFile, snapshot: Path, revision: str) -> Download:
    return Download(
        file.repository,
        file.path,
        file.commit,
        file.size_bytes,
        file.etag,
        snapshot.resolve(),
        snapshot,
        pinned=revision == file.commit,
    )


def _download(file: HubFile, source: Source, tuning: Tuning) -> Generator[Progress | Notice, None, None]:
    blob = cache.blob(file, source.cache)
    begun = Part(blob, file, tuning.chunk_bytes)
    try:
        yield from download(file, api.address(file, source), begun, tuning)
        begun.finish(blob)
    except Changed:
        begun.remove()
        raise
    finally:
        begun.close()


def _forget_older(file: HubFile, place: Path) -> Generator[Notice, None, None]:
    """Parts of what the same file was before it changed on the Hub are worth nothing any more."""
    folder = cache.repository_folder(file.repository, place).name
    for each in part.partials(place, folder):
        etag = each.path.name.removesuffix(part.SUFFIX)
        lock = cache.BlobLock(file.repository, etag, place)
        if each.file != file.path or etag == file.etag or not lock.acquire(0):
            continue
        yield Notice(
            f"{file.path} has changed on the Hub since {size(each.kept_bytes)} of it were fetched: starting again"
        )
        for path in each.paths:
            path.unlink(missing_ok=True)
        lock.release()


def _missing_bytes(file: HubFile, place: Path) -> int:
    if cache.has_blob(file, place):
        return 0
    return file.size_bytes - part.kept_bytes(Path(f"{cache.blob(file, place)}{part.SUFFIX}"))


def _check_room(name: str, missing_bytes: int, place: Path) -> None:
    free = cache.free_bytes(place)
    if missing_bytes > free:
        raise NetworkError(
            f"{name} needs {size(missing_bytes)}, and {size(free)} are free at {place}",
            hint="make room, or use another disk: HF_HUB_CACHE=FOLDER",
        )


def _fit_notice(name: str, size_bytes: int) -> str | None:
    """A warning when the model will not run on this machine, or hardly."""
    if fit_of_build(name, size_bytes, Machine(machine.available_memory())).plan.fits:
        return None  # without its GPUs, which only llama.cpp knows: 0.2 s
    fit = fit_of_build(name, size_bytes, machine.now())
    return None if fit.plan.fits else f"this machine is small for {name}, which {fit.verdict}"


def _size_of(path: Path) -> int:
    return sum(each.stat().st_size for each in weights.parts(path))
