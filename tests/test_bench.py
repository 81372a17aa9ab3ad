"""`gptoss bench` as a process: its table, its object, its errors, and Ctrl-C."""

import json
import os
import pty
import re
import signal
from pathlib import Path

import pytest
from conftest import Gptoss, process_environment
from hollow_model import HUGE, hollow
from on_terminal import on_terminal
from test_exit_codes import ended, started, wait_for

SHORT = ("-p", "16", "-n", "4", "-r", "2")


@pytest.mark.soak
def test_the_object_has_all_figures(gptoss: Gptoss) -> None:
    result = gptoss("bench", "tiny", *SHORT, "-d", "0", "-d", "200", "--n-cpu-moe", "1", "--json")
    assert (result.code, result.err) == (0, "")
    told = json.loads(result.out)
    assert set(told) == {
        *("model", "weights", "weight_bytes", "layers", "devices", "threads", "gpu_layers", "cpu_moe", "repack"),
        *("prompt_tokens", "answer_tokens", "repetitions", "load_s", "ram_bytes_per_s", "depths", "left_out"),
    }
    assert (told["model"], told["prompt_tokens"], told["answer_tokens"], told["repetitions"]) == ("tiny", 16, 4, 2)
    first, second = told["depths"]
    assert (first["depth"], second["depth"], told["left_out"]) == (0, 200, [])
    assert set(first) == {
        *("depth", "num_ctx", "prefill", "decode", "bytes_per_token", "ceiling_tokens_per_s"),
        *("resident_bytes", "anonymous_bytes", "kv_bytes", "compute_bytes"),
    }
    for rate in (first["prefill"], first["decode"]):
        assert 0 < rate["lowest"] <= rate["tokens_per_s"] <= rate["highest"]
        assert len(rate["runs"]) == 2
    assert first["bytes_per_token"] < second["bytes_per_token"] < told["weight_bytes"]


def test_in_a_pipe_there_are_numbers_with_tabs_between(gptoss: Gptoss) -> None:
    result = gptoss("bench", "tiny", *SHORT, "-d", "0")
    assert re.fullmatch(r"0\t\d+\.\d\d\t\d+\.\d\d\t\t\d*\t\d*\t\d+\n", result.out)
    assert re.fullmatch(
        r"gptoss: tiny: 5\.9 MB, 4 layers, on CPU, threads 1, loaded in [\d.]+ s, memory read at [\d.]+ .B/s\n",
        result.err,
    )


@pytest.mark.soak
def test_on_a_terminal_it_is_a_table(home: Path) -> None:
    code, screen = on_terminal(process_environment(home), "bench", "tiny", *SHORT, "-d", "0")
    assert code == 0
    assert "Measuring  decode at 0 1/2" in screen
    titles, row = screen.splitlines()[-2:]
    assert titles.split() == ["DEPTH", "PREFILL/s", "DECODE/s", "CEILING/s", "RESIDENT", "ANONYMOUS", "CONTEXT"]
    assert re.match(r"0 +[\d.]+ \([\d.]+-[\d.]+\) +[\d.]+ \([\d.]+-[\d.]+\)  - ", row)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("tiny", "-d", "131072"), 2, "depth 131072 and 512 tokens are more than the 131072 that the model can hold"),
        (("tiny", "-p", "0"), 2, "--n-prompt must be from 1 to 10000000, not 0"),
        (("none",), 3, "unknown model none"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], code: int, message: str, gptoss: Gptoss) -> None:
    result = gptoss("bench", *arguments)
    assert (result.code, result.out) == (code, "")
    assert message in result.err


@pytest.mark.soak
def test_ctrl_c_ends_it(home: Path) -> None:
    """It would read for minutes."""
    master, slave = pty.openpty()
    with started(home, "bench", "tiny", "-d", "100000", stderr=slave) as process, os.fdopen(master, "rb") as screen:
        os.close(slave)
        wait_for(process, screen, b"prefill at 100000")
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, None)


def test_its_usage_names_the_model_once(gptoss: Gptoss) -> None:
    for name in ("bench", "chat"):
        assert gptoss(name, "--help").out.splitlines()[0] == f"Usage: gptoss {name} [OPTIONS] [MODEL]"


@pytest.mark.soak
def test_what_does_not_fit_has_first_ended_the_idle_models(gptoss: Gptoss, runtime_base: Path, tmp_path: Path) -> None:
    own = {"XDG_RUNTIME_DIR": str(runtime_base), "GPTOSS_KEEP_ALIVE": "1m"}
    gptoss("run", "tiny", "hi", **own)
    assert gptoss("ps", "-q", **own).out == "tiny\n"
    done = gptoss("bench", str(hollow(tmp_path / "huge.gguf", HUGE)), **own)
    assert (done.code, gptoss("ps", "-q", **own).out) == (4, "")
