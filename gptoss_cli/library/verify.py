"""Whether weights are what they were: read whole, and compared with the hash by which they were fetched."""

import hashlib
import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli import gguf, weights
from gptoss_cli.errors import GptossError
from gptoss_cli.messages import Progress

BLOCK = 4 * 2**20
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Verified:
    """One file. status: `ok`, `unknown` (no hash to compare), `wrong` (another hash), `damaged` (no usable GGUF), or
    `missing`."""

    name: str
    path: Path
    size_bytes: int
    sha256: str
    status: str
    problem: str | None = None


Verifying = Generator[Progress | Verified, None, None]


def verify(models: Iterable[tuple[str, Path]], hashes: Mapping[Path, str]) -> Verifying:
    """The files of `models` (name, first part), each once. Progress is in bytes of the file that is being read.

    hashes: of files, by their real paths, that do not have it as their name as blobs of the cache do.
    """
    seen: set[Path] = set()
    for name, path in models:
        for part in weights.parts(path):
            if part.resolve() not in seen:
                seen.add(part.resolve())
                yield from _verify(name, part, _expected(part.resolve(), hashes), first=part == path)


def with_missing(verifying: Verifying, missing: Iterable[tuple[str, str, str]]) -> Verifying:
    """The same, and then the models that cannot be read: name, where they should be, and why."""
    yield from verifying
    for name, place, problem in missing:
        yield Verified(name, Path(place), 0, "", "missing", problem)


def _verify(name: str, path: Path, expected: str | None, *, first: bool) -> Verifying:
    size_bytes = path.stat().st_size
    sha256 = yield from _hash(path, size_bytes)
    status, problem = "ok" if expected else "unknown", None
    try:
        header = gguf.Header.read(path)
        if first:
            weights.check_usable(header)
    except GptossError as error:  # a missing part as well
        status, problem = "damaged", str(error)
    if expected and sha256 != expected:
        status, problem = "wrong", f"{path} has the hash {sha256}, not {expected}"
    yield Verified(name, path, size_bytes, sha256, status, problem)


def _expected(path: Path, hashes: Mapping[Path, str]) -> str | None:
    """The cache of Hugging Face names a blob by its hash; where there are no links, only the record has it."""
    found = path.name if path.parent.name == "blobs" else hashes.get(path, "")
    return found if SHA256.fullmatch(found) else None


def _hash(path: Path, size_bytes: int) -> Generator[Progress, None, str]:
    digest, done = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                done += len(block)
                yield Progress("verify", done, size_bytes)
    except OSError as error:
        raise GptossError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()
