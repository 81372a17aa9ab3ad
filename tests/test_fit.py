"""`gptoss show --fit` as a process."""

import json
from pathlib import Path

import pytest
from conftest import Gptoss
from hollow_model import huge


def test_show_tells_what_a_model_takes(gptoss: Gptoss) -> None:
    result = gptoss("show", "tiny", "--fit")
    assert (result.code, result.err) == (0, "")
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert "Needed for 8192 tokens" in lines
    assert "weights 6 MiB" in lines
    assert "fits yes" in lines
    assert "longest context 131072 tokens" in lines


def test_the_object_has_all_figures(gptoss: Gptoss) -> None:
    told = json.loads(gptoss("show", "tiny", "--fit", "--json").out)
    assert set(told) == {
        *("name", "num_ctx", "weights_bytes", "kv_bytes", "compute_bytes", "total_bytes", "devices", "fits"),
        *("longest_context", "layers", "gpu_layers", "cpu_moe"),
    }
    assert told["weights_bytes"] + told["kv_bytes"] + told["compute_bytes"] == told["total_bytes"]
    assert sum(each["total_bytes"] for each in told["devices"]) == told["total_bytes"]
    assert told["devices"][0]["name"] == "RAM"
    longer = json.loads(gptoss("show", "tiny", "--fit", "--num-ctx", "131072", "--json").out)
    assert longer["num_ctx"] == 131072
    assert longer["kv_bytes"] > 10 * told["kv_bytes"]


def test_a_presets_context_is_the_one_that_is_planned(gptoss: Gptoss) -> None:
    gptoss("create", "mine", "-f", "-", stdin="FROM tiny\nPARAMETER num_ctx 65536\nPARAMETER num_gpu 0\n")
    told = json.loads(gptoss("show", "mine", "--fit", "--json").out)
    assert (told["name"], told["num_ctx"], told["gpu_layers"]) == ("mine", 65536, 0)
    assert json.loads(gptoss("show", "mine", "--fit", "--num-ctx", "300", "--json").out)["num_ctx"] == 300


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "tiny", "--num-ctx", "8192"), 2, "--num-ctx goes with --fit"),
        (("show", "tiny", "--fit", "--system"), 2, "--fit goes with --json and --num-ctx only"),
        (("show", "tiny", "--fit", "--num-ctx", "many"), 2, "num_ctx must be a whole number, not 'many'"),
        (("show", "tiny", "--fit", "--num-ctx", "5"), 2, "num_ctx must be from 16 to 131072, not 5"),
        (("show", "none", "--fit"), 3, "unknown model none"),
        (("show", "gpt-oss:20b", "--fit"), 3, "gpt-oss:20b is not on this machine"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], code: int, message: str, gptoss: Gptoss) -> None:
    result = gptoss(*arguments)
    assert (result.code, result.out) == (code, "")
    assert message in result.err


@pytest.mark.soak
def test_what_does_not_fit_is_told_too(gptoss: Gptoss, tmp_path: Path) -> None:
    huge(tmp_path / "huge.gguf")
    told = json.loads(gptoss("show", "./huge.gguf", "--fit", "--json").out)
    assert (told["fits"], told["longest_context"]) == (False, 0)
    assert "fits            no" in gptoss("show", "./huge.gguf", "--fit").out
