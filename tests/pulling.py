"""What tests of downloads share: a running Hub, small weights that pass for gpt-oss, a pull with little patience."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

import pytest
from hub_server import HubServer, Repository

from gptoss_cli.hub.api import Source
from gptoss_cli.hub.download import Tuning
from gptoss_cli.library import Library
from gptoss_cli.library.pull import PullEvent
from gptoss_cli.messages import Notice
from training.gguf_writer import Tensor, TensorType, Value, write

CHUNK = 64 * 1024
TOKEN = "hf_secret"
NAME = "gpt-oss-20b-mxfp4.gguf"
FIRST, SECOND, THIRD = (f"{owner}/gpt-oss-20b-GGUF" for owner in ("ggml-org", "unsloth", "lmstudio-community"))
IMPATIENT = Tuning(chunk_bytes=CHUNK, connections=4, timeout_s=1.0, retries=4, wait_s=0.01)


def weights(seed: int, count: int = 600_000, **metadata: Value) -> bytes:
    """A GGUF of about `count` bytes, which nothing else has in it than its seed."""
    data = Tensor("w", (count // 4,), TensorType.F32, Random(seed).randbytes(count // 4 * 4))
    values: dict[str, Value] = {"general.architecture": "gpt-oss", **metadata}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        write(path, values, [data])
        return path.read_bytes()


def split_weights(count: int) -> dict[str, bytes]:
    """The parts of one model, named as gguf-split does."""
    return {
        f"gpt-oss-120b-mxfp4-{part + 1:05}-of-{count:05}.gguf": weights(
            100 + part, 200_000, **{"split.no": part, "split.count": count}
        )
        for part in range(count)
    }


@dataclass
class Place:
    """A Hub, a library and a cache of their own."""

    server: HubServer
    folder: Path
    tuning: Tuning = IMPATIENT
    token: str | Literal[False] | None = TOKEN
    library: Library = field(init=False)

    def __post_init__(self) -> None:
        self.library = Library(self.folder / "data")

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def source(self) -> Source:
        return Source(self.cache, self.server.endpoint, self.token)

    def pull(self, name: str = "gpt-oss:20b") -> list[PullEvent]:
        return list(self.library.pull(name, self.source, self.tuning))

    def notices(self, name: str = "gpt-oss:20b") -> list[str]:
        return [event.text for event in self.pull(name) if isinstance(event, Notice)]

    def files(self, kind: str) -> list[str]:
        """The names in `blobs` or below `snapshots`, of all repositories."""
        pattern = "models--*/blobs/*" if kind == "blobs" else "models--*/snapshots/*/**/*.gguf"
        return sorted(path.name for path in self.cache.glob(pattern))

    def content(self, path: str = NAME) -> bytes:
        (found,) = self.cache.glob(f"models--*/snapshots/*/{path}")
        return found.read_bytes()


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer({FIRST: Repository({NAME: weights(1), "README.md": b"# gpt-oss"})}).running() as started:
        yield started


@pytest.fixture
def place(server: HubServer, tmp_path: Path) -> Place:
    return Place(server, tmp_path)
