"""Fixtures for engines in processes of their own; the processes end with the test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptoss_cli.engine import wire
from gptoss_cli.engine.link import places
from gptoss_cli.engine.running import end


@pytest.fixture
def runtime_base() -> Iterator[Path]:
    """A folder for XDG_RUNTIME_DIR, or TMPDIR. Not below tmp_path, where the path of a socket may be too long."""
    with tempfile.TemporaryDirectory(prefix="gptoss-") as base:
        yield Path(base)
        for folder in Path(base).glob("gptoss*/*"):
            for place in places(folder):
                end(place, wire.End(now=True))


@pytest.fixture
def runtime(runtime_base: Path) -> Path:
    """The private folder of one home's processes; not made yet."""
    return runtime_base / "gptoss" / "home"
