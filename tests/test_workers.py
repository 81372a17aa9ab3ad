"""`gptoss run` with a warm engine, `gptoss ps`, `gptoss stop`: whole programs and real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from chatting import Chat
from conftest import TINY, Gptoss, Result, process_environment

PATIENCE_S = 30.0
HELLO = "Hello! I am tiny, a small demo of gpt-oss. How can I help you?\n"
GPTOSS = [sys.executable, "-m", "gptoss_cli"]


@pytest.fixture
def environment(home: Path, runtime_base: Path) -> dict[str, str]:
    own = {"XDG_RUNTIME_DIR": str(runtime_base), "GPTOSS_KEEP_ALIVE": "1m"}
    return process_environment(home) | own


@pytest.fixture
def warm(gptoss: Gptoss, runtime_base: Path) -> Callable[..., Result]:
    """As `gptoss`, with a keep-alive."""

    def call(*arguments: str, stdin: str | None = None, **environment: str) -> Result:
        own = {"XDG_RUNTIME_DIR": str(runtime_base), "GPTOSS_KEEP_ALIVE": "1m"}
        return gptoss(*arguments, stdin=stdin, **(own | environment))

    return call


def test_the_second_run_uses_the_process_of_the_first(warm: Callable[..., Result]) -> None:
    assert warm("ps").out == ""
    assert warm("stop", "tiny").code == 3
    for _ in range(2):
        result = warm("run", "-q", "tiny", "hi")
        assert (result.code, result.out, result.err) == (0, HELLO, "")
    (told,) = json.loads(warm("ps", "--json").out)
    assert (told["name"], told["weights"], told["context"], told["busy"]) == ("tiny", str(TINY), 8192, False)
    assert json.loads(warm("run", "--json", "tiny", "hi").out)["usage"]["prompt_reused"] > 60
    result = warm("run", "-q", "tiny", "hi", "--keepalive", "-5m")
    assert result.out == HELLO
    name, weights, memory, context, until = warm("ps").out.rstrip("\n").split("\t")
    assert (name, weights, context, until) == ("tiny", "6.0 MB", "8192", "forever")
    assert memory.endswith(" MB")
    assert json.loads(warm("ps", "--json").out)[0]["pid"] == told["pid"]
    assert warm("ps", "-q").out == "tiny\n"
    # what it cannot find it says, with what there is
    missing = warm("stop", "gpt-oss:20b")
    assert (missing.code, missing.err) == (3, "gptoss: gpt-oss:20b is not loaded\n  loaded: tiny\n")
    stopped = warm("stop", str(TINY))
    assert (stopped.code, stopped.out, stopped.err) == (0, "", "stopped tiny\n")
    assert warm("ps").out == ""
    assert warm("stop", "--all").code == 0
    for arguments in (["stop"], ["stop", "--all", "tiny"], ["run", "tiny", "hi", "--keep-alive", "soon"]):
        assert warm(*arguments).code == 2


def test_without_keep_alive_nothing_stays(warm: Callable[..., Result], runtime_base: Path) -> None:
    assert warm("run", "-q", "tiny", "hi", "--keep-alive", "0").out == HELLO
    assert list(runtime_base.iterdir()) == []


def test_where_one_folder_cannot_be_used_the_next_one_is(warm: Callable[..., Result], runtime_base: Path) -> None:
    (runtime_base / "file").touch()
    for wrong in (runtime_base / "file", Path("/proc"), Path("here")):
        result = warm("run", "tiny", "hi", XDG_RUNTIME_DIR=str(wrong), TMPDIR=str(runtime_base))
        assert (result.code, result.out, result.err) == (0, HELLO, "")
    pids = [
        [each["pid"] for each in json.loads(warm("ps", "--json", **where, TMPDIR=str(runtime_base)).out)]
        for where in ({"XDG_RUNTIME_DIR": "/proc"}, {"XDG_RUNTIME_DIR": ""}, {})
    ]
    assert len(pids[0]) == 1
    assert pids == [pids[0]] * 3  # also when the other folder can be used again
    stopped = warm("stop", "tiny", XDG_RUNTIME_DIR=str(runtime_base / "missing"), TMPDIR=str(runtime_base))
    assert (stopped.code, stopped.err) == (0, "stopped tiny\n")
    assert warm("ps", TMPDIR=str(runtime_base)).out == ""


def test_where_no_folder_can_be_used_the_model_runs_all_the_same_and_that_is_told_once(
    warm: Callable[..., Result], runtime_base: Path
) -> None:
    (runtime_base / "file").touch()
    nowhere = {"XDG_RUNTIME_DIR": str(runtime_base / "file"), "TMPDIR": "/proc"}
    told = f"gptoss: the model does not stay loaded: {runtime_base}/file is not a folder; /proc/gptoss-"
    result = warm("run", "tiny", "hi", **nowhere)
    assert (result.code, result.out, len(result.err.splitlines())) == (0, HELLO, 1)
    assert result.err.startswith(told)
    assert "set XDG_RUNTIME_DIR to a private folder of yours" in result.err
    result = warm("run", "tiny", "--each", stdin="hi\nhi\n", **nowhere)
    assert (result.out, len(result.err.splitlines())) == (HELLO * 2, 1)
    for silent in (["--keep-alive", "0"], ["-q"]):
        result = warm("run", "tiny", "hi", *silent, **nowhere)
        assert (result.code, result.out, result.err) == (0, HELLO, "")
    assert (warm("ps", **nowhere).code, warm("stop", "--all", **nowhere).code) == (0, 0)


@pytest.mark.soak
def test_a_process_that_is_killed_in_mid_answer_is_8_and_the_next_run_works(
    warm: Callable[..., Result], environment: dict[str, str], random_model: Path
) -> None:
    for how in (signal.SIGKILL, signal.SIGABRT, signal.SIGTERM):
        run = subprocess.Popen(
            [*GPTOSS, "run", "-q", str(random_model), "hi", "--reasoning", "off"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert run.stdout is not None
        assert run.stdout.read(1)
        (told,) = json.loads(warm("ps", "--json").out)
        assert told["busy"]
        os.kill(told["pid"], how)
        _, said = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 8, said
        expected = b" was stopped" if how == signal.SIGTERM else b"the engine's process has ended"
        assert said.startswith(b"gptoss: ")
        assert expected in said
        assert warm("run", "-q", str(random_model), "hi", "--reasoning", "off", "--max-tokens", "2").code == 0


@pytest.mark.soak
def test_a_process_that_does_not_answer_is_listed_told_and_replaced(warm: Callable[..., Result]) -> None:
    assert warm("run", "-q", "tiny", "hi").code == 0
    (well,) = json.loads(warm("ps", "--json").out)
    assert (well["answers"], well["problem"]) == (True, None)
    os.kill(well["pid"], signal.SIGSTOP)
    assert warm("ps").out == "tiny\t-\t-\t-\tdoes not answer\n"
    (hanging,) = json.loads(warm("ps", "--json").out)
    assert set(hanging) == set(well)
    known = ("name", "weights", "pid")
    assert [hanging[each] for each in known] == [well[each] for each in known]
    assert (hanging["answers"], hanging["problem"], hanging["busy"]) == (False, "does not answer", None)
    result = warm("run", "tiny", "hi")
    told = "gptoss: the process that had the model loaded did not answer and was replaced\n"
    assert (result.code, result.out, result.err) == (0, HELLO, told)
    assert warm("run", "tiny", "hi").err == ""
    (after,) = json.loads(warm("ps", "--json").out)
    assert after["pid"] != well["pid"]
    os.kill(after["pid"], signal.SIGSTOP)
    assert warm("stop", "tiny").err == "stopped tiny\n"
    assert warm("ps").out == ""


@pytest.mark.soak
def test_whoever_is_interrupted_leaves_the_process_to_others(
    warm: Callable[..., Result], environment: dict[str, str], random_model: Path
) -> None:
    pids = set()
    for how, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        run = subprocess.Popen(
            [*GPTOSS, "run", "-q", str(random_model), "hi", "--reasoning", "off"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert run.stdout is not None
        assert run.stdout.read(1)
        run.send_signal(how)
        run.communicate(timeout=PATIENCE_S)
        assert run.returncode == code
        late = time.monotonic() + PATIENCE_S
        while (told := json.loads(warm("ps", "--json").out)[0])["busy"]:
            assert time.monotonic() < late
        pids.add(told["pid"])
    assert len(pids) == 1


@pytest.mark.soak
def test_a_pipe_or_a_terminal_is_not_held_open(environment: dict[str, str]) -> None:
    line = f"{sys.executable} -m gptoss_cli run -q tiny hi 3>&1 | cat; echo over"
    done = subprocess.run(
        ["sh", "-c", line], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S
    )
    assert (done.stdout.decode(), done.stderr) == (HELLO + "over\n", b"")


@pytest.mark.soak
def test_it_survives_the_end_of_the_session_and_ctrl_c(
    warm: Callable[..., Result], environment: dict[str, str]
) -> None:
    run = subprocess.Popen(
        [*GPTOSS, "run", "-q", "tiny", "hi"], env=environment, start_new_session=True, stdin=subprocess.DEVNULL
    )
    assert run.wait(PATIENCE_S) == 0
    (told,) = json.loads(warm("ps", "--json").out)
    for each in (signal.SIGINT, signal.SIGHUP):
        os.kill(told["pid"], each)
    assert os.getsid(told["pid"]) == told["pid"]
    assert os.readlink(f"/proc/{told['pid']}/cwd") == "/"
    assert json.loads(warm("ps", "--json").out)[0]["pid"] == told["pid"]
    os.kill(told["pid"], signal.SIGTERM)
    late = time.monotonic() + PATIENCE_S
    while warm("ps").out:
        assert time.monotonic() < late


@pytest.mark.soak
def test_two_runs_at_once_wait_for_each_other(environment: dict[str, str], random_model: Path) -> None:
    command = [*GPTOSS, "run", str(random_model), "hi", "--reasoning", "off", "--max-tokens"]
    runs = [
        subprocess.Popen([*command, count], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for count in ("1000", "1000")
    ]
    said = [each.communicate(timeout=PATIENCE_S)[1].decode() for each in runs]
    assert [each.returncode for each in runs] == [0, 0]
    assert sorted("another command uses this model; waiting" in each for each in said) == [False, True]


@pytest.mark.soak
def test_a_chat_goes_on_after_its_process_has_died(warm: Callable[..., Result], environment: dict[str, str]) -> None:
    with Chat(environment, "chat", "tiny") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        assert "How can I help you?" in chat.ask("hi")
        os.kill(json.loads(warm("ps", "--json").out)[0]["pid"], signal.SIGKILL)
        assert "create presets" in chat.ask("What can you do?")


@pytest.mark.soak
def test_hundreds_of_runs_leave_one_process_as_it_was(warm: Callable[..., Result], environment: dict[str, str]) -> None:
    assert warm("run", "-q", "tiny", "hi").out == HELLO
    (told,) = json.loads(warm("ps", "--json").out)
    before = len(os.listdir(f"/proc/{told['pid']}/fd"))
    for _ in range(200):
        assert warm("run", "-q", "tiny", "hi").out == HELLO
    (after,) = json.loads(warm("ps", "--json").out)
    assert after["pid"] == told["pid"]
    assert len(os.listdir(f"/proc/{told['pid']}/fd")) <= before + 1  # the connection that asked
    assert after["memory_bytes"] < told["memory_bytes"] + 10 * 2**20
    states = [Path(f"/proc/{each}/stat") for each in os.listdir("/proc") if each.isdecimal()]
    own = [text for each in states if each.exists() and f" {told['pid']} " in (text := each.read_text())]
    assert not [each for each in own if " Z " in each]
