"""States on disk: what a process has read need not be read by the next one. A cache: what is damaged or old is ignored.

A file has a line of JSON (how long all that follows is, with CRC-32s), the ids as little-endian uint32, llama.cpp's
state of them, and windows of checkpoints. Only the user may read it: ids are what was said. What is not a file is none
of ours, whatever it is called.
"""

import hashlib
import json
import os
import stat
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptoss_cli.engine.shelf import Whole, reach

MOST_BYTES = 2 << 30
PREFIX_LIVES_S = 24 * 3600  # it has the date in it
LONGEST_HEAD = 100_000  # bytes
FOLDER = "states"  # in the cache
SUFFIX = ".state"
PREFIX, SESSION = "prefix", "session"


@dataclass(frozen=True)
class Found:
    """A file whose state saves `reach` ids of what is wanted."""

    path: Path
    reach: int


class States:
    """The states in `folder` that belong to `key`: a text of all that a state depends on besides its ids."""

    def __init__(self, folder: Path, key: str, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._key = hashlib.sha256(key.encode()).hexdigest()[:16]

    def best(self, wanted: Sequence[int]) -> Found | None:
        """The one that saves most of `wanted`; only heads are read."""
        found = []
        for path in self._own():
            try:
                with path.open("rb") as file:
                    head = _head(file.readline(LONGEST_HEAD))
                    ids = _unpacked(file.read(4 * head["ids"]), head["ids"])
            except (OSError, ValueError, KeyError, TypeError, struct.error):
                continue
            found.append(Found(path, reach(ids, [length for length, _, _ in head["windows"]], wanted)))
        return max(found, key=lambda each: each.reach, default=None)

    def load(self, found: Found) -> Whole | None:
        """What is in it; None, and the file is gone, when it is damaged."""
        try:
            with found.path.open("rb") as file:
                head = _head(file.readline(LONGEST_HEAD))
                ids = _unpacked(_checked(file.read(4 * head["ids"]), head["ids_crc"]), head["ids"])
                state = _checked(file.read(head["state"][0]), head["state"][1])
                windows = tuple((length, _checked(file.read(size), crc)) for length, size, crc in head["windows"])
                if file.read(1):
                    raise ValueError("longer than it says")
        except OSError:
            return None
        except (ValueError, KeyError, TypeError, struct.error):
            _remove(found.path)
            return None
        if f"-{SESSION}-" in found.path.name:
            _touch(found.path)
        return Whole(ids, _buffer(state), tuple((length, _buffer(window)) for length, window in windows))

    def put(self, whole: Whole, kind: str, name: str = "") -> None:
        """Keep `whole`: a PREFIX, or a SESSION, of which there is one by its name. A failure is not told."""
        packed = struct.pack(f"<{len(whole.ids)}I", *whole.ids)
        name = name or hashlib.sha256(packed).hexdigest()[:16]
        head = {
            "ids": len(whole.ids),
            "ids_crc": zlib.crc32(packed),
            "state": [len(whole.state), zlib.crc32(whole.state)],
            "windows": [[length, len(window), zlib.crc32(window)] for length, window in whole.windows],
        }
        parts = [json.dumps(head).encode() + b"\n", packed, whole.state, *(window for _, window in whole.windows)]
        size = sum(map(len, parts))
        if size > self._most_bytes // 2:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_private(self._folder)
            self._make_room(size)
            self._write(f"{self._key}-{kind}-{name}{SUFFIX}", parts)
        except OSError:
            return

    def _write(self, name: str, parts: Sequence[Any]) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, suffix=".tmp")  # 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(parts)
            if (self._folder / name).is_dir():
                self._put_aside(name)
            os.replace(temporary, self._folder / name)
        except BaseException:
            _remove(Path(temporary))
            raise

    def _put_aside(self, name: str) -> None:
        """What is in a folder may be of worth to somebody: it is moved, and nothing in it is touched."""
        os.rename(self._folder / name, Path(tempfile.mkdtemp(dir=self._folder, prefix="not-a-state-")) / name)

    def _own(self) -> Iterator[Path]:
        _make_private(self._folder)
        now = time.time()
        for path, modified, _ in _files(self._folder):
            if f"-{PREFIX}-" in path.name and now - modified > PREFIX_LIVES_S:
                _remove(path)
            elif path.name.startswith(f"{self._key}-"):
                yield path

    def _make_room(self, size: int) -> None:
        files = sorted(_files(self._folder), key=lambda each: each[1])
        total = sum(each for _, _, each in files)
        for path, _, each in files:
            if total + size <= self._most_bytes:
                return
            _remove(path)
            total -= each


def key_of(files: Sequence[Path], *others: object) -> str:
    """A key of the model in `files`, which are known by place, size and time, and of what else a state depends on."""
    known = [[str(path.resolve()), status.st_size, status.st_mtime_ns] for path in files for status in [path.stat()]]
    return json.dumps([known, *others])


def forget_session(folder: Path, name: str) -> None:
    """Remove what is kept of the session `name`, whatever the model was."""
    for path, _, _ in _files(folder):
        if path.name.endswith(f"-{SESSION}-{name}{SUFFIX}"):
            _remove(path)


def _files(folder: Path) -> list[tuple[Path, float, int]]:
    """(path, when it was last used, size) of the states, and of what a writer that died has left."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((SUFFIX, ".tmp")):
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode):
                    continue
                found.append((Path(entry.path), status.st_mtime, status.st_size))
    return found


def _make_private(folder: Path) -> None:
    """Set back what somebody has opened to others: a folder of this user, and then the states in it."""
    if os.name == "nt":
        return
    with suppress(OSError):
        found = folder.lstat()  # what a link leads to is for something else, too
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or not found.st_mode & 0o077:
            return
        folder.chmod(0o700)  # first: then nobody else can put a link in the place of a file
        for path, _, _ in _files(folder):
            with suppress(OSError):
                path.chmod(0o600)


def _head(line: bytes) -> dict[str, Any]:
    head = json.loads(line)
    if not isinstance(head, dict):
        raise ValueError("no head")
    return head


def _checked(data: bytes, crc: int) -> bytes:
    if zlib.crc32(data) != crc:
        raise ValueError("damaged")
    return data


def _unpacked(data: bytes, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}I", data)


def _buffer(data: bytes) -> Any:
    """As ctypes hands it on without a copy."""
    import ctypes

    return (ctypes.c_uint8 * len(data)).from_buffer_copy(data)


def _touch(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
