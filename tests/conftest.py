"""Fixtures that several test modules share."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from harmony_cases import o200k_pieces

from gptoss_cli import vocabulary
from gptoss_cli.harmony.tokenizer import O200K_HARMONY_SIZE, O200K_HARMONY_SPECIALS, Tokenizer

pytest_plugins = ["random_model"]

TINY = Path(__file__).parent.parent / "gptoss_cli/models/tiny.gguf"


@pytest.fixture(scope="session")
def o200k() -> Tokenizer:
    """The tokenizer of gpt-oss: 201,088 ids, read once per run."""
    return Tokenizer(o200k_pieces(), O200K_HARMONY_SPECIALS, O200K_HARMONY_SIZE)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    """The tokenizer of the built-in model, whose ids are others and whose words are often several tokens."""
    return vocabulary.load(TINY)


@dataclass(frozen=True)
class Result:
    """How a process ended and what it wrote."""

    code: int
    out: str
    err: str


Gptoss = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def gptoss(home: Path, tmp_path: Path) -> Gptoss:
    """Runs the program as a process of its own in tmp_path; stdin is nothing unless given."""

    def call(*arguments: str, stdin: str | bytes | None = None, **environment: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "gptoss_cli", *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=tmp_path,
            env=process_environment(home) | environment,
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


def process_environment(home: Path) -> dict[str, str]:
    """What a process of the program sees: a home of its own, and nothing of the caller's settings."""
    root = str(Path(__file__).parent.parent)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": root,
        "HOME": str(home),
        "GPTOSS_HOME": str(home),
        "HF_HOME": str(home / "huggingface"),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
    }
