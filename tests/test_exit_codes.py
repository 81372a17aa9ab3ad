"""How the program ends: interrupted at any moment, terminated, its reader gone."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import process_environment
from on_terminal import on_terminal

PATIENCE_S = 30


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: the large vocabulary is read from its cache."""
    return tmp_path_factory.mktemp("home")


@contextmanager
def started(
    home: Path, *arguments: str, python: Sequence[str] = (), **streams: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The program running `arguments`, with options for Python; ended by force at the end should it still run."""
    process = subprocess.Popen(
        [sys.executable, *python, "-m", "gptoss_cli", *arguments],
        stdin=streams.get("stdin", subprocess.DEVNULL),
        stdout=streams.get("stdout", subprocess.PIPE),
        stderr=streams.get("stderr", subprocess.PIPE),
        env=process_environment(home),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[bytes], stream: object, text: bytes) -> bytes:
    """What `stream` brings until it contains `text`."""
    seen = b""
    until = time.monotonic() + PATIENCE_S
    descriptor = stream.fileno()  # type: ignore[attr-defined]
    while text not in seen:
        assert time.monotonic() < until, seen
        if select.select([descriptor], [], [], 0.1)[0]:
            piece = os.read(descriptor, 65536)
            assert piece or process.poll() is None, seen
            seen += piece
    return seen


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    _, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.soak)]
)
def test_while_it_answers(number: int, code: int, home: Path, random_model: Path) -> None:
    """The model never ends by itself; what it has said stays."""
    with started(home, "run", str(random_model), "--reasoning", "off", "hello") as process:
        assert process.stdout is not None
        wait_for(process, process.stdout, b" ")
        process.send_signal(number)
        assert ended(process) == (code, b"")


@pytest.mark.soak
def test_while_it_reads_a_long_prompt(home: Path, random_model: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("word " * 90_000)
    with started(home, "run", str(random_model), "-f", str(long), "hello") as process:
        time.sleep(2.0)  # reading takes far longer; where in it the signal comes does not matter
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, b"")


@pytest.mark.soak
@pytest.mark.parametrize("module", ["typer", "tiktoken", "llama_cpp.llama_cpp"])
def test_while_it_starts(module: str, home: Path, random_model: Path) -> None:
    """Python tells which module it has imported: the signal comes right after that one."""
    arguments = ("run", str(random_model), "hello")
    with started(home, *arguments, python=("-X", "importtime"), stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        wait_for(process, process.stderr, f" {module}\n".encode())
        process.send_signal(signal.SIGINT)
        code, err = ended(process)
    assert b"Traceback" not in err
    assert code == 130


@pytest.mark.soak
def test_a_reader_that_is_gone_ends_it_by_sigpipe(home: Path, random_model: Path) -> None:
    with started(home, "run", str(random_model), "--reasoning", "off", "hello") as process:
        assert process.stdout is not None
        wait_for(process, process.stdout, b" ")
        process.stdout.close()
        process.stdout = None
        assert ended(process) == (-signal.SIGPIPE, b"")


@pytest.mark.soak
def test_head_of_an_endless_answer_is_141(home: Path, random_model: Path) -> None:
    script = (
        f"'{sys.executable}' -m gptoss_cli run '{random_model}' --reasoning off hello | head -c 20 > /dev/null; "
        "echo ${PIPESTATUS[0]}"
    )
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        env=process_environment(home),
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.stdout == b"141\n"
    assert done.stderr == b""


@pytest.mark.soak
def test_an_answer_that_never_comes_is_6_with_the_limit(home: Path, random_model: Path) -> None:
    with started(home, "run", str(random_model), "--num-ctx", "256", "hello") as process:
        code, err = ended(process)
    assert code == 6
    assert b"no final answer: the context filled up after" in err
    assert b"raise --num-ctx" in err


def test_on_a_terminal_thoughts_are_a_line_that_collapses(home: Path) -> None:
    """A real pseudo-terminal: the answer and the line share it, and stdin is it, too."""
    code, text = on_terminal(process_environment(home), "run", "tiny", "--reasoning", "high", "hello")
    assert code == 0
    assert "gptoss: tiny is a toy" in text
    assert "Thought for" in text
    assert text.endswith("Hello! I am tiny, a small demo of gpt-oss. How can I help you?\n")
    assert "The user writes" not in text


def test_an_unknown_name_is_not_asked_about(home: Path) -> None:
    code, seen = on_terminal(process_environment(home), "rm", "nope")
    assert (code, "unknown model nope" in seen, "Remove" in seen) == (3, True, False)


def test_no_prompt_for_a_program_is_a_usage_error(home: Path) -> None:
    code, seen = on_terminal(process_environment(home), "run", "tiny", "--json")
    assert code == 2
    assert "no prompt" in seen


@pytest.mark.parametrize(
    ("arguments", "redirected", "code", "told"),
    [
        ("hello", "> /dev/full", 5, "gptoss: standard output cannot be written: No space left on device"),
        ("--json hello", "> /dev/full", 5, "gptoss: standard output cannot be written: No space left on device"),
        ("hello", ">&-", 0, ""),
        ("-o answer.txt hello", ">&- 2>&- <&-", 0, ""),
        ("--num-ctx 16 hello", "2>&-", 6, ""),
    ],
)
def test_streams_that_are_full_or_closed(
    arguments: str, redirected: str, code: int, told: str, home: Path, tmp_path: Path
) -> None:
    script = f"'{sys.executable}' -m gptoss_cli run tiny {arguments} {redirected}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        cwd=tmp_path,
        env=process_environment(home),
        timeout=PATIENCE_S,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (code, "", told)
    if "-o" in arguments:
        assert (tmp_path / "answer.txt").read_text().startswith("Hello!")


@pytest.mark.soak
def test_a_silent_pipe_is_told_after_two_seconds(home: Path) -> None:
    with started(home, "run", "tiny", "hello", stdin=subprocess.PIPE) as process:
        assert process.stderr is not None
        told = wait_for(process, process.stderr, b"\n")
        assert told == b"gptoss: waiting for standard input (-n leaves it alone)\n"
        out, _ = process.communicate(b"", timeout=PATIENCE_S)
        assert out.startswith(b"Hello!")
        assert process.returncode == 0
