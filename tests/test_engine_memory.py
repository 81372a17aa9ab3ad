"""Where a model goes: the decisions for machines that are not here, with the shapes of the real models."""

import pytest

from gptoss_cli.engine import memory
from gptoss_cli.engine.memory import Gpu, Machine, Plan
from gptoss_cli.engine.shape import PUBLISHED

GIB = 2**30
UBATCH = 512
SMALL, LARGE = PUBLISHED["gpt-oss:20b"], PUBLISHED["gpt-oss:120b"]
BOTH = {"20b": SMALL, "120b": LARGE}


def machine(ram: float | None, *gpus: float, shared: bool = False) -> Machine:
    """Free GiB of RAM and of each GPU."""
    devices = tuple(Gpu(f"GPU{place}", int(free * GIB), int(free * GIB), shared) for place, free in enumerate(gpus))
    return Machine(None if ram is None else int(ram * GIB), devices)


def planned(model: str, on: Machine, n_ctx: int = 8192, **asked: int) -> Plan:
    return memory.plan(BOTH[model], on, n_ctx, UBATCH, **asked)


@pytest.mark.parametrize(
    ("model", "ram", "gpus", "fits", "gpu_layers", "cpu_moe"),
    [
        ("20b", 16, (), True, 0, 0),
        ("20b", 11, (), False, 0, 0),
        ("20b", None, (), True, 0, 0),
        ("20b", 16, (24,), True, 25, 0),
        ("20b", 4, (24,), True, 25, 0),  # what is on the GPU needs no RAM
        ("20b", 32, (12,), True, 25, 0),
        ("20b", 32, (11,), True, 25, 4),
        ("20b", 32, (8,), True, 25, 12),
        ("20b", 32, (4,), True, 25, 22),
        ("20b", 32, (2.5,), True, 13, 24),
        ("20b", 32, (1,), True, 0, 0),
        ("20b", 4, (8,), False, 25, 12),
        ("120b", 64, (), True, 0, 0),
        ("120b", 32, (), False, 0, 0),
        ("120b", 64, (24,), True, 37, 24),
        ("120b", 64, (80,), True, 37, 0),
        ("120b", 16, (24,), False, 37, 24),
    ],
)
def test_as_much_as_can_be_is_on_the_gpu(
    model: str, ram: float | None, gpus: tuple[float, ...], fits: bool, gpu_layers: int, cpu_moe: int
) -> None:
    made = planned(model, machine(ram, *gpus))
    assert (made.fits, made.placement.gpu_layers, made.placement.cpu_moe) == (fits, gpu_layers, cpu_moe)


@pytest.mark.parametrize("free", [2.2, 3, 5, 8, 11, 13, 16])
@pytest.mark.parametrize("n_ctx", [2048, 131072])
def test_one_layer_more_on_the_gpu_would_not_fit(free: float, n_ctx: int) -> None:
    on = machine(64, free)
    made = planned("20b", on, n_ctx)
    assert made.fits
    assert made.total.weight_bytes == SMALL.weight_bytes
    assert made.total.kv_bytes == sum(SMALL.kv_bytes(layer, n_ctx, UBATCH) for layer in SMALL.layers)
    layers, experts = made.placement.gpu_layers, made.placement.cpu_moe
    if layers == 25 and experts:
        assert not planned("20b", on, n_ctx, gpu_layers=25, cpu_moe=experts - 1).fits
    elif layers < 25:
        assert not planned("20b", on, n_ctx, gpu_layers=layers + 1, cpu_moe=24).fits


def test_what_is_asked_for_is_kept_to() -> None:
    on = machine(64, 24)
    made = planned("20b", on, cpu_moe=7)
    assert (made.placement.gpu_layers, made.placement.cpu_moe, made.experts_in_ram) == (25, 7, 7)
    made = planned("20b", on, gpu_layers=10)
    assert (made.placement.gpu_layers, made.placement.cpu_moe, made.layers_in_ram) == (10, 0, 15)
    assert planned("20b", on, gpu_layers=0).gpus[0].total_bytes == 0
    assert planned("20b", on, gpu_layers=99).placement.gpu_layers == 25
    assert not planned("20b", machine(64, 8), gpu_layers=25, cpu_moe=0).fits
    assert planned("20b", machine(64, 8), gpu_layers=20).placement.cpu_moe > 5  # the experts make room for them


def test_several_gpus_share_by_what_they_have_free() -> None:
    made = planned("120b", machine(16, 49, 25))
    assert made.placement.cpu_moe == 0
    assert made.placement.split == (24, 13)
    assert made.fits
    uneven = planned("120b", machine(64, 24, 24))
    assert 0 < uneven.placement.cpu_moe < 25
    assert sum(uneven.placement.split) == 37
    # the first layers are light, since their experts are in RAM: the first GPU has more of them
    assert uneven.placement.split[0] > uneven.placement.split[1]
    first, second = (load.total_bytes for load in uneven.gpus)
    assert abs(first - second) < 2 * LARGE.layers[0].expert_bytes


def test_memory_that_both_share_is_counted_once() -> None:
    assert planned("20b", machine(16, 16, shared=True)).fits
    assert not planned("20b", machine(11, 16, shared=True)).fits
    limited = planned("20b", machine(14, 10.7, shared=True))  # what Metal lets a GPU use of 16 GB
    assert limited.fits
    assert limited.placement.cpu_moe == 5


@pytest.mark.parametrize(("ram", "longest"), [(11.4, 1024), (12, 22528), (14, 103680), (16, 131072), (11, 0)])
def test_the_longest_context_is_the_last_that_fits(ram: float, longest: int) -> None:
    on = machine(ram)
    found = memory.largest_context(SMALL, on, UBATCH)
    assert found == pytest.approx(longest, rel=0.2)
    assert not found or planned("20b", on, found).fits
    assert found == 131072 or not planned("20b", on, found + 256).fits


def test_a_long_context_moves_experts_to_make_room() -> None:
    on = machine(64, 14)
    assert planned("20b", on, 8192).placement.cpu_moe == 0
    assert planned("20b", on, 131072).placement.cpu_moe > 0
    assert memory.largest_context(SMALL, on, UBATCH) == 131072


def test_a_loaded_model_is_not_counted_twice() -> None:
    before = machine(32, 16)
    made = planned("20b", before)
    gpu = before.gpus[0]
    taken = made.gpus[0].weight_bytes
    after = Machine(before.ram_bytes, (Gpu(gpu.name, gpu.free_bytes - taken, gpu.total_bytes),))
    assert memory.without(after, made, copied=False) == before
    copied = Machine(after.ram_bytes - made.ram.weight_bytes, after.gpus)  # type: ignore[operator]
    assert memory.without(copied, made, copied=True) == before


def test_a_refusal_has_the_figures_and_what_to_try() -> None:
    on = machine(23, 4)
    error = memory.refusal("big.gguf", planned("120b", on), on, 0)
    assert str(error) == (
        "big.gguf does not fit: it needs 61.1 GiB (weights 59.0 GiB, KV cache of 8192 tokens 315 MiB, "
        "compute 1.8 GiB), free: 23.0 GiB RAM + 4.0 GiB GPU0"
    )
    assert error.hint == (
        "try a smaller model: gpt-oss:20b; or --force, which reads from disk again and again what memory cannot hold"
    )
    small = machine(12)
    long = memory.refusal("a context", planned("20b", small, 65536), small, 16384)
    assert long.hint is not None
    assert "--num-ctx 16384" in long.hint
    assert "gpt-oss:20b" not in long.hint
    asked = memory.refusal("it", planned("20b", machine(64, 8), gpu_layers=25, cpu_moe=0), machine(64, 8), 0)
    assert "GPU0 would hold 11." in str(asked)
    assert asked.hint is not None
    assert "--cpu-moe" in asked.hint


def test_a_size_alone_is_looked_at() -> None:
    assert memory.fits(12 * GIB, machine(16))
    assert not memory.fits(60 * GIB, machine(16, 24))
    assert memory.fits(60 * GIB, machine(40, 24))
    assert memory.fits(60 * GIB, machine(None))
