"""Calls of the real llama.cpp that place weights: on a build for CPUs they must change nothing."""

import logging
from pathlib import Path

import pytest
from conftest import TINY

from gptoss_cli.engine import binding

IDS = (17, 1428, 3, 325, 200, 17, 9)


def logits(path: Path, **placement: object) -> bytes:
    """The logits after IDS, as they are in memory."""
    model = binding.Model(str(path), **placement)  # type: ignore[arg-type]
    context = binding.Context(model, n_ctx=512, n_ubatch=64, threads=1, abort=binding.Abort())
    assert context.decode(IDS)
    row = bytes(context.logits().tobytes())
    context.close()
    model.close()
    return row


@pytest.fixture(scope="module")
def plain() -> bytes:
    return logits(TINY)


@pytest.mark.parametrize(
    "placement",
    [
        {"cpu_moe": 1},
        {"cpu_moe": 2, "copied": True},
        {"cpu_moe": 100},
        {"gpu_layers": 2, "cpu_moe": 1, "split": (1, 1)},
        {"gpu_layers": 0},
        {"gpu_layers": 99, "split": (3, 0, 2), "copied": True},
    ],
)
def test_where_weights_go_does_not_change_what_comes_out(placement: dict[str, object], plain: bytes) -> None:
    assert logits(TINY, **placement) == plain


def test_the_experts_of_the_first_layers_and_nothing_else_stay_in_ram(
    random_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="gptoss_cli.engine.binding"):
        binding.Model(str(random_model), cpu_moe=1).close()
    moved = [
        line.getMessage().split()[1]
        for line in caplog.records
        if "buffer type overridden to CPU" in line.msg % line.args
    ]
    assert sorted(moved) == sorted(
        f"blk.0.ffn_{name}_exps.{kind}" for name in ("gate", "up", "down") for kind in ("weight", "bias")
    )


def test_a_build_for_cpus_has_no_gpus() -> None:
    assert (len(binding.gpus()) == 0) == (binding.devices() == ("CPU",))
