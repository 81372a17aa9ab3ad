"""An engine in a process of its own: shared, kept, replaced, and started again when it dies; with real processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import TINY

import gptoss_cli
from gptoss_cli.engine import Enough, Step, Timings, Token, wire, worker
from gptoss_cli.engine.link import Owner, Place, places
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.engine.running import end, end_idle, running
from gptoss_cli.engine.worker import WorkerEngine
from gptoss_cli.errors import BadInput, EngineError, NoAnswer
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Budget, Guide, Prompt, State

PATIENCE_S = 30.0
IMPORTS = """from pathlib import Path
from gptoss_cli.engine import wire
from gptoss_cli.engine.worker import WorkerEngine
"""
GREEDY = Sampling(temperature=0)
ONE = Guide((State(None, budget=0),), (Budget(1),))  # a reply of one token
IDS = (3, 1, 4, 1, 5, 9, 2, 6)
Engines = Callable[..., WorkerEngine]


@pytest.fixture
def engines(runtime: Path) -> Iterator[Engines]:
    """Makes engines whose processes are found in `runtime`."""
    made: list[WorkerEngine] = []

    def engine(model: Path = TINY, keep_alive: float = 60.0, **load: int | str) -> WorkerEngine:
        made.append(WorkerEngine(wire.Load(str(model), **load), runtime, name="m", keep_alive=keep_alive))  # type: ignore[arg-type]
        return made[-1]

    yield engine
    for each in made:
        each.close()


def tokens(engine: WorkerEngine | LlamaEngine, count: int, ids: tuple[int, ...] = IDS) -> tuple[list[Token], Timings]:
    """The first `count` tokens, ended by Enough at the last one."""
    found: list[Token] = []
    with closing(engine.generate(Prompt(ids, marks=(len(ids),)), GREEDY)) as generation:
        for each in generation:
            if isinstance(each, Token):
                found.append(each)
                if len(found) == count:
                    break
        with pytest.raises(StopIteration) as ended:
            generation.throw(Enough())
        timings: Timings = ended.value.value
        return found, timings


def pid(runtime: Path) -> int:
    """Of the one process there is."""
    (only,) = running(runtime)
    assert only.status is not None
    return only.status.pid


def until(true: Callable[[], object]) -> None:
    late = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < late
        time.sleep(0.01)


def test_all_share_one_process_and_get_what_an_engine_here_would_give(engines: Engines, runtime: Path) -> None:
    first = engines()
    given, timings = tokens(first, 40)
    own = LlamaEngine(TINY)
    assert given == tokens(own, 40)[0]
    own.close()
    assert (timings.evaluated, timings.reused) == (len(IDS), 0)
    second = engines()
    again, timings = tokens(second, 40)
    assert again == given
    assert (timings.evaluated, timings.reused) == (1, len(IDS) - 1)
    assert second.info == first.info
    assert second.info.n_ctx == 8192
    (only,) = running(runtime)
    assert only.status is not None
    assert (only.name, only.status.model, only.status.busy, only.status.n_ctx) == ("m", str(TINY), False, 8192)
    first.close()
    assert tokens(second, 1)[0] == given[:1]
    # a context that one user fixes is theirs alone
    with pytest.raises(NoAnswer, match="the prompt has 20 tokens and the context holds 16"):
        tokens(engines(num_ctx=16), 1, tuple(range(20)))
    assert tokens(second, 1, tuple(range(20)))[0]
    # what a chat wishes is no reason to load it anew; another way to load it replaces the process
    before = pid(runtime)
    tokens(engines(repack=None), 1)
    assert pid(runtime) == before
    tokens(engines(threads=2), 1)
    assert pid(runtime) != before
    # it ends when it is told to, and the next call starts another one
    (only,) = running(runtime)
    assert end(only.place, wire.End(now=True))
    assert list(running(runtime)) == []
    assert tokens(second, 40)[0] == given


@pytest.mark.soak
def test_those_who_come_later_wait_and_are_told(engines: Engines, runtime: Path, random_model: Path) -> None:
    first, second = (engines(random_model).generate(Prompt(IDS), GREEDY) for _ in range(2))
    assert any(isinstance(each, Token) for each in first)
    assert next(second) == Step("wait", 0, 0)
    (only,) = running(runtime)
    assert only.status is not None
    assert (only.status.busy, only.status.waiting, only.status.left_s is None) == (True, 1, False)
    assert not end(only.place, wire.End(only_idle=True))
    first.close()  # within a token, although nobody takes what is on the way
    assert any(isinstance(each, Token) for each in second)
    assert end(only.place, wire.End(now=True))
    with pytest.raises(EngineError, match="m was stopped"):
        for _ in second:
            pass


@pytest.mark.soak
def test_what_was_read_is_kept_under_a_name_for_whoever_has_asked_last(
    engines: Engines, runtime: Path, tmp_path: Path
) -> None:
    ids = tuple(range(100, 700))
    first, second = engines(states=str(tmp_path / "states")), engines(states=str(tmp_path / "states"))
    tokens(first, 1, ids)
    second.keep("second")  # it has not read it
    first.keep("first")
    until(lambda: list((tmp_path / "states").rglob("*first*")))
    assert not list((tmp_path / "states").rglob("*second*"))
    (only,) = running(runtime)
    assert end(only.place, wire.End(now=True))
    _, timings = tokens(second, 1, ids)
    assert (timings.evaluated, timings.restored) == (1, len(ids) - 1)


@pytest.mark.soak
def test_what_was_prepared_is_not_read_again(engines: Engines) -> None:
    engine = engines()
    tokens(engine, 1)
    for attempt in range(1, 10):  # what is asked too early stops the preparation
        ids = tuple(range(1000 * attempt, 1000 * attempt + 300))
        engine.prepare(Prompt(ids))
        time.sleep(0.2 * attempt)
        _, timings = tokens(engine, 1, (*ids, 5, 6))
        if timings.evaluated == 2:
            return
    pytest.fail(f"{timings.evaluated} ids were read")


@pytest.mark.soak
def test_the_one_that_nobody_has_used_for_longest_gives_way(engines: Engines, runtime: Path, tmp_path: Path) -> None:
    first, second = shutil.copy(TINY, tmp_path / "1.gguf"), shutil.copy(TINY, tmp_path / "2.gguf")
    for each in (first, second):
        tokens(engines(each), 1)
    own = Place.of(runtime, wire.Load(str(TINY)))
    assert end_idle(runtime, own)
    assert [each.status.model for each in running(runtime) if each.status] == [str(second)]
    assert not end_idle(runtime, Place.of(runtime, wire.Load(str(second))))
    assert end_idle(runtime, own)
    assert not end_idle(runtime, own)


def test_a_process_that_is_killed_is_an_error_and_the_next_call_starts_another(engines: Engines, runtime: Path) -> None:
    engine = engines()
    generation = engine.generate(Prompt(IDS), GREEDY)
    assert any(isinstance(each, Token) for each in generation)
    (only,) = places(runtime)
    only.log.write_text("a line\n\nggml.c:1: GGML_ASSERT(x) failed\n")
    os.kill(pid(runtime), signal.SIGKILL)
    with pytest.raises(
        EngineError, match=r"has ended: SIGKILL; .* a line; ggml\.c:1: GGML_ASSERT\(x\) failed"
    ) as error:
        for _ in generation:
            pass
    assert error.value.exit_code == 8
    assert tokens(engine, 1)[0]  # although its socket is still there
    assert only.log.read_text() == ""  # neither what the last one left, nor that a reply was stopped


@pytest.mark.soak
def test_it_ends_when_nobody_uses_it(engines: Engines, runtime: Path) -> None:
    engine = engines(keep_alive=0.05)
    tokens(engine, 1)
    (place,) = places(runtime) or (Place.of(runtime, wire.Load(str(TINY))),)
    until(lambda: place.owner() is None)
    assert not place.socket.exists()
    assert tokens(engine, 1)[0]


def test_what_cannot_be_loaded_is_the_same_error_as_here(engines: Engines, runtime: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.gguf"
    path.write_bytes(TINY.read_bytes()[:1_000_000])
    engine = engines(path)
    for _ in range(2):
        with pytest.raises(BadInput, match=r"half\.gguf is cut off"):
            tokens(engine, 1)
    with pytest.raises(BadInput, match=r"half\.gguf is cut off"):
        _ = engine.info
    until(lambda: list(running(runtime)) == [])


@pytest.mark.soak
def test_a_process_of_another_gptoss_is_replaced(engines: Engines, runtime: Path, tmp_path: Path) -> None:
    shutil.copytree(Path(gptoss_cli.__file__).parent, tmp_path / "gptoss_cli")
    load = wire.Load(str(TINY))
    program = f"{IMPORTS}WorkerEngine(wire.{load}, Path({str(runtime)!r}), name='old', keep_alive=60).info"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, check=True)
    before = pid(runtime)
    assert tokens(engines(), 1)[0]
    assert pid(runtime) != before


@pytest.mark.soak
def test_a_socket_that_was_left_is_no_process(engines: Engines, runtime: Path) -> None:
    runtime.mkdir(parents=True, mode=0o700)
    runtime.parent.chmod(0o700)
    place = Place.of(runtime, wire.Load(str(TINY)))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place.socket))
    assert list(running(runtime)) == []
    assert tokens(engines(), 1)[0]


@pytest.mark.soak
def test_a_process_that_does_not_answer_is_replaced(engines: Engines, runtime: Path) -> None:
    engine = engines()
    tokens(engine, 1)
    before = pid(runtime)
    engine.close()
    os.kill(before, signal.SIGSTOP)
    (only,) = running(runtime)
    assert (only.status, only.owner) == (None, Owner(before, "m", str(TINY)))
    assert (only.name, only.model) == ("m", str(TINY))
    second = engines()
    assert second.info.n_ctx_train  # whoever asks this first has told nobody
    told = [list(second.generate(Prompt(IDS), GREEDY, ONE)) for _ in range(2)]
    assert [each.count(Step("replaced", 0, 0)) for each in told] == [1, 0]
    assert pid(runtime) != before


@pytest.mark.soak
def test_a_process_that_hangs_in_a_reply_is_ended_and_a_slow_one_is_not(
    engines: Engines, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "QUIET_S", 0.001)  # asked all the time, it still gives every token
    monkeypatch.setattr(worker, "MOST_SILENT", 1)
    engine = engines()
    assert len(tokens(engine, 200)[0]) == 200
    hung = pid(runtime)
    reply = engine.generate(Prompt(IDS), GREEDY)
    next(each for each in reply if isinstance(each, Token))
    os.kill(hung, signal.SIGSTOP)
    with pytest.raises(EngineError, match="did not answer any more and was ended"):
        list(reply)
    assert tokens(engine, 1)[0]
    assert pid(runtime) != hung


@pytest.mark.soak
def test_of_two_processes_that_start_at_once_one_stays(runtime: Path) -> None:
    runtime.parent.mkdir(mode=0o700)
    program = (
        f"{IMPORTS}"
        f"print(WorkerEngine(wire.Load({str(TINY)!r}), Path({str(runtime)!r}), name='m', keep_alive=60).info.n_layer)\n"
        "import sys; print([name for name in ('llama_cpp', 'numpy') if name in sys.modules])"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(gptoss_cli.__file__).parent.parent)}
    users = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) for _ in range(6)
    ]
    assert [each.communicate(timeout=PATIENCE_S)[0] for each in users] == [b"4\n[]\n"] * 6
    assert pid(runtime)
