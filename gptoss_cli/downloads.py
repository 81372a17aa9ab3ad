"""What gptoss has downloaded itself: one small file per blob, so that only our own weights are ever removed or listed.

`downloads/HASH-PLACE.json` below the data folder: the same bytes may lie in several repositories, and caches. Knows no
network and no cache.
"""

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from gptoss_cli.errors import GptossError
from gptoss_cli.files import write_whole

SCHEMA = 1


@dataclass(frozen=True)
class Download:
    """A blob that we fetched. path: of the blob; snapshot: where the cache shows it; hash: sha256, or git's own.

    pinned: it was asked for by its commit, so that no newer version replaces it.
    """

    repository: str
    file: str
    revision: str
    size_bytes: int
    hash: str
    path: Path
    snapshot: Path
    time: str = ""
    pinned: bool = False

    @property
    def name(self) -> str:
        """The reference that finds it again."""
        return f"hf:{self.repository}:{self.file}"


class Downloads:
    """The records in a folder, which need not exist yet. A record is replaced in one step; no lock is needed."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "downloads"

    def put(self, download: Download) -> None:
        """Raises GptossError."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        told = {"schema": SCHEMA, **asdict(download), "time": now}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GptossError(f"{self._folder} cannot be written: {error.strerror}") from error
        write_whole(self._path(download), json.dumps(told, default=str, ensure_ascii=False, indent=1) + "\n")

    def all(self) -> list[Download]:
        """In the order of their names; a record that cannot be read is left out."""
        return sorted(self._read(), key=lambda each: each.name.lower())

    def remove(self, download: Download) -> None:
        """Forget the record; the blob is not touched."""
        self._path(download).unlink(missing_ok=True)

    def _path(self, download: Download) -> Path:
        place = zlib.crc32(os.fsencode(download.path))
        return self._folder / f"{download.hash}-{place:08x}.json"

    def _read(self) -> Iterator[Download]:
        for path in self._folder.glob("*.json"):
            try:
                told = json.loads(path.read_bytes())
                known = told.pop("schema") == SCHEMA
                if known and all(isinstance(told[name], str) for name in ("repository", "file", "revision", "hash")):
                    found = Download(**{**told, "path": Path(told["path"]), "snapshot": Path(told["snapshot"])})
                    if self._path(found) == path:
                        yield found
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                continue
