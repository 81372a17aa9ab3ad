"""Whether a model fits: `run` of one that does not, flags that place one, and what is known before a download."""

from pathlib import Path

import pytest
from conftest import Gptoss
from hollow_model import huge

from gptoss_cli.engine.memory import Machine
from gptoss_cli.library.fit import fit_of_build

GIB = 2**30


@pytest.mark.soak
def test_a_model_beyond_memory_is_refused_before_it_is_loaded(gptoss: Gptoss, tmp_path: Path) -> None:
    huge(tmp_path / "huge.gguf")
    refused = gptoss("run", "./huge.gguf", "hello")
    assert (refused.code, refused.out) == (4, "")
    assert "huge.gguf does not fit: it needs 18" in refused.err
    assert "free: " in refused.err
    assert "gpt-oss:20b; or --force" in refused.err


@pytest.mark.soak
def test_flags_that_place_a_model_leave_the_answer_alone(gptoss: Gptoss) -> None:
    plain = gptoss("run", "tiny", "hello").out
    assert plain
    assert gptoss("run", "--cpu-moe", "2", "--gpu-layers", "1", "tiny", "hello").out == plain
    assert gptoss("run", "--n-cpu-moe", "2", "tiny", "hello").out == plain
    assert gptoss("run", "--cpu-moe", "tiny", "hello").out == plain  # of all layers, as in llama.cpp
    assert gptoss("run", "--force", "--gpu-layers", "-1", "tiny", "hello").out == plain
    assert gptoss("run", "--cpu-moe", "-1", "tiny", "hello").code == 2


@pytest.mark.parametrize(
    ("name", "size_bytes", "ram", "verdict"),
    [
        ("gpt-oss", None, 16, "fits: 11.6 GiB"),
        ("gpt-oss:20b", 13_800_000_000, 16, "fits: 13.2 GiB"),
        ("gpt-oss:120b", None, 16, "does not fit: it needs 59.4 GiB"),
        (None, 11_600_000_000, 16, "fits: 11.1 GiB"),
        ("someone/else", 64_000_000_000, 70, "fits: 60."),
    ],
)
def test_what_is_not_here_yet_has_a_verdict(name: str | None, size_bytes: int | None, ram: int, verdict: str) -> None:
    told = fit_of_build(name, size_bytes, Machine(ram * GIB)).verdict
    assert told.startswith(verdict)
    assert told.endswith(f"free: {ram}.0 GiB RAM")
