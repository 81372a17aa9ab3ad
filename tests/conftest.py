"""Fixtures that several test modules share."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from forking import Forker
from harmony_cases import o200k_pieces

from gptoss_cli import vocabulary
from gptoss_cli.harmony.tokenizer import O200K_HARMONY_SIZE, O200K_HARMONY_SPECIALS, Tokenizer

pytest_plugins = ["pulling", "random_model", "warming"]

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # a shell starts what it puts in the background (`make test &` in a script) with Ctrl-C ignored, and the programs
    # that the tests start would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture(scope="session")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    started = Forker(process_environment(tmp_path_factory.mktemp("forker")))
    yield started
    started.close()


@pytest.fixture
def gptoss(home: Path, tmp_path: Path, forker: Forker) -> Gptoss:
    """Runs the program as a process of its own in tmp_path; stdin is nothing unless given."""

    def call(*arguments: str, stdin: str | bytes | None = None, **environment: str) -> Result:
        streams = tmp_path / "streams"
        streams.mkdir(exist_ok=True)
        out, err, given = streams / "out", streams / "err", streams / "in"
        out.write_bytes(b"")
        err.write_bytes(b"")
        if stdin is None:
            given = Path(os.devnull)
        else:
            given.write_bytes(stdin.encode() if isinstance(stdin, str) else stdin)
        code = forker.run(arguments, tmp_path, process_environment(home) | environment, (given, out, err))
        return Result(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

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
        "GPTOSS_KEEP_ALIVE": "0",  # no process outlives a test, unless the test is about that
    }
