"""A file that is not all there yet: its bytes beside the blob it will be, and a journal of the chunks that are whole.

`blobs/ETAG.gptoss-part` is written in any order. `blobs/ETAG.gptoss-part.journal` has a line of JSON that says which
file it is, then a line `INDEX CRC32` per chunk, added after the chunk's bytes were written, and at a stop that is no
crash `INDEX CRC32 LENGTH` for a chunk that is not whole. After kill -9 both are as
they were. After a power loss the journal may know of chunks that never reached the disk: their CRC does not match, and
they are fetched again. So no chunk waits for the disk, and what is there is read once, which the hash needs anyway.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gptoss_cli.hub.api import HubFile

SUFFIX = ".gptoss-part"
JOURNAL = ".journal"
SCHEMA = 1
LINE = re.compile(r"^(\d{1,9}) ([0-9a-f]{8})(?: (\d{1,12}))?$", re.MULTILINE)


@dataclass(frozen=True)
class Partial:
    """A download that was not finished: which file, and how much of it is on disk."""

    path: Path
    repository: str
    file: str
    size_bytes: int
    kept_bytes: int

    @property
    def paths(self) -> tuple[Path, Path]:
        """What to remove to forget it."""
        return self.path, Path(f"{self.path}{JOURNAL}")


class Part:
    """The part of one file. Chunks may be written by any thread, each by one at a time; hold the blob's lock.

    known: the CRC of the chunks that the journal has; begun: CRC and length of what there is of others. To be checked
    before they are believed.
    """

    def __init__(self, blob: Path, file: HubFile, chunk_bytes: int) -> None:
        """Continue what is there, with its own chunk_bytes; else begin. Raises OSError."""
        self.path = Path(f"{blob}{SUFFIX}")
        self.journal = Path(f"{self.path}{JOURNAL}")
        told = _header(self.journal)
        fresh = told is None or told.size_bytes != file.size_bytes or not self.path.is_file()
        self.chunk_bytes = chunk_bytes if fresh or told is None else told.chunk_bytes
        self.known, self.begun = ({}, {}) if fresh else _chunks(self.journal)
        create = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(self.path, create | (os.O_TRUNC if fresh else 0), 0o666)
        self._log = os.open(self.journal, create | os.O_APPEND | (os.O_TRUNC if fresh else 0), 0o666)
        if fresh:
            header = _Header(SCHEMA, file.repository, file.path, file.commit, file.size_bytes, chunk_bytes)
            os.write(self._log, json.dumps(asdict(header)).encode() + b"\n")
            os.fsync(self._log)  # once: without this line the chunks below it are worth nothing
        else:
            os.write(self._log, b"\n")  # a line that was cut stays alone

    def write(self, data: memoryview, offset: int) -> None:
        """Raises OSError: no space left, say."""
        while data:
            written = os.pwrite(self._file, data, offset)
            data, offset = data[written:], offset + written

    def read(self, length: int, offset: int) -> bytes:
        return os.pread(self._file, length, offset)

    def flush(self) -> None:
        """Have what is written so far on the disk itself. Takes as long as the disk needs."""
        (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self._file)

    def complete(self, index: int, crc: int) -> None:
        """All bytes of the chunk are written."""
        os.write(self._log, f"{index} {crc:08x}\n".encode())

    def keep(self, index: int, crc: int, length: int) -> None:
        """The first bytes of the chunk are written, and no more will be for now."""
        with suppress(OSError):  # a full disk, perhaps; it can be fetched again
            os.write(self._log, f"{index} {crc:08x} {length}\n".encode())

    def finish(self, blob: Path) -> None:
        """Put the whole file at `blob`, in one step and for good, whatever happens to the power."""
        os.fsync(self._file)
        self.close()
        os.replace(self.path, blob)
        self.journal.unlink(missing_ok=True)

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)

    def close(self) -> None:
        for descriptor in (self._file, self._log):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._log = -1


def partials(cache: Path, repository_folder: str = "models--*") -> Iterator[Partial]:
    """The unfinished downloads in the cache; another process may be busy with one (see cache.BlobLock)."""
    for journal in sorted(cache.glob(f"{repository_folder}/blobs/*{SUFFIX}{JOURNAL}")):
        path = journal.with_name(journal.name.removesuffix(JOURNAL))
        told = _header(journal)
        if told is not None and path.exists():
            yield Partial(path, told.repository, told.file, told.size_bytes, kept_bytes(path))


def kept_bytes(part: Path) -> int:
    """Bytes that are on disk; 0 when there is none."""
    journal = Path(f"{part}{JOURNAL}")
    told = _header(journal)
    if told is None or not part.is_file():
        return 0
    known, begun = _chunks(journal)
    lengths = (min(told.chunk_bytes, told.size_bytes - index * told.chunk_bytes) for index in known)
    return sum(max(0, length) for length in lengths) + sum(length for _, length in begun.values())


@dataclass(frozen=True)
class _Header:
    """The first line of a journal."""

    schema: int
    repository: str
    file: str
    commit: str
    size_bytes: int
    chunk_bytes: int


def _header(journal: Path) -> _Header | None:
    """None when there is none or it is not ours."""
    try:
        with journal.open("rb") as file:
            told = _Header(**json.loads(file.readline()))
    except (OSError, ValueError, TypeError):
        return None
    numbers = (told.schema, told.size_bytes, told.chunk_bytes)
    texts = (told.repository, told.file, told.commit)
    if not all(isinstance(each, str) for each in texts):
        return None
    if not all(isinstance(each, int) for each in numbers) or told.schema != SCHEMA or told.chunk_bytes < 1:
        return None
    return told


def _chunks(journal: Path) -> tuple[dict[int, int], dict[int, tuple[int, int]]]:
    """The chunks that are said to be whole, and those that are not; of two lines for one the later counts."""
    known: dict[int, int] = {}
    begun: dict[int, tuple[int, int]] = {}
    for found in LINE.finditer(journal.read_bytes().decode("ascii", errors="replace")):
        index, crc, length = int(found[1]), int(found[2], 16), found[3]
        if length is None:
            known[index] = crc
            begun.pop(index, None)
        elif index not in known:
            begun[index] = crc, int(length)
    return known, begun
