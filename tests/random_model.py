"""A fixture: a small gpt-oss model with random weights and the full vocabulary, whose replies never end."""

from pathlib import Path

import pytest

from benchmarks.random_model import SMALL, write_random


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two narrow layers, 201,088 tokens, 32 MB; written once per test run in about a second."""
    path = tmp_path_factory.mktemp("models") / "random.gguf"
    write_random(path, SMALL)
    return path
