"""What is measured, on the real engine; and the arithmetic beside it."""

import re

import pytest
from conftest import TINY

from gptoss_cli.engine import Step, memory
from gptoss_cli.engine.bench import (
    DEPTHS,
    Bandwidth,
    LeftOut,
    Rate,
    Setting,
    Speed,
    Task,
    estimate_s,
    measure,
    token_bytes,
)
from gptoss_cli.engine.footprint import Footprint
from gptoss_cli.engine.memory import Gpu, Load, Machine
from gptoss_cli.engine.room import Wanted
from gptoss_cli.engine.shape import PUBLISHED
from gptoss_cli.errors import BadInput

GIB = 2**30


@pytest.mark.parametrize(("name", "gigabytes"), [("gpt-oss:20b", 2.56), ("gpt-oss:120b", 3.53)])
def test_a_token_reads_the_chosen_experts_only(name: str, gigabytes: float) -> None:
    """All weights of the 20b are 12.1 GB, those of the 120b 63.4 GB."""
    made = memory.plan(PUBLISHED[name], Machine(200 * GIB), 8192, 512)
    in_ram, elsewhere = token_bytes(made, 0)
    # counted by hand without routers and biases, which are 0.06 GB of the 120b
    assert in_ram / 1e9 == pytest.approx(gigabytes, rel=0.02)
    assert elsewhere == 0


def test_a_token_reads_more_the_more_is_before_it() -> None:
    """Half of the layers look at all of it, the others at 128 tokens."""
    made = memory.plan(PUBLISHED["gpt-oss:20b"], Machine(200 * GIB), 65536, 512)
    fresh, short, long = (token_bytes(made, depth)[0] for depth in (0, 128, 32768))
    assert short - fresh == 24 * 128 * 2048
    assert long - short == 12 * (32768 - 128) * 2048


@pytest.mark.parametrize("cpu_moe", [0, 7, 24])
def test_what_is_on_a_gpu_is_counted_apart(cpu_moe: int) -> None:
    shape = PUBLISHED["gpt-oss:20b"]
    on = Machine(64 * GIB, (Gpu("CUDA0", 80 * GIB, 80 * GIB),))
    in_ram, elsewhere = token_bytes(memory.plan(shape, on, 8192, 512, cpu_moe=cpu_moe), 100)
    all_in_ram, _ = token_bytes(memory.plan(shape, Machine(64 * GIB), 8192, 512), 100)
    assert in_ram + elsewhere == all_in_ram
    assert in_ram == cpu_moe * shape.layers[0].expert_bytes // 8


def test_an_estimate_follows_the_line_of_what_was_measured() -> None:
    def speed(depth: int, rate: float) -> Speed:
        return Speed(depth, 8192, Rate((rate,)), Rate((rate,)), 0, None, Load(), Footprint(None, None))

    task = Task(prompt=0, answer=10, repetitions=2)
    assert estimate_s(task, 1000, [speed(0, 100)]) == pytest.approx(10 + 0.2)
    # 10 ms at the beginning, 20 after 1,000 tokens: 40 after 3,000, and 30 halfway
    assert estimate_s(task, 3000, [speed(0, 100), speed(1000, 50)]) == pytest.approx(60 + 0.8)
    assert estimate_s(task, 3000, [speed(0, 50), speed(1000, 100)]) == pytest.approx(20 + 0.2)


def test_the_bound_is_never_below_what_was_measured() -> None:
    def speed(ram_bytes: int | None, *rates: float) -> Speed:
        return Speed(0, 8192, Rate(rates), Rate(rates), 3, ram_bytes, Load(), Footprint(None, None))

    slow, fast, cached = speed(2, 30, 38, 36), speed(2, 40, 20, 41), speed(None, 900)
    quiet = Bandwidth.best((100, 110), [slow, fast, cached])
    assert (quiet.bytes_s, slow.ceiling(quiet), cached.ceiling(quiet)) == (110, 55, None)
    busy = Bandwidth.best((70, 60), [slow, fast, cached])
    assert (busy.bytes_s, slow.ceiling(busy), fast.ceiling(busy)) == (82, 41, 41)


@pytest.mark.soak
def test_every_depth_is_measured() -> None:
    task = Task(prompt=40, answer=6, repetitions=3, depths=(0, 900, 300))
    events = list(measure(TINY, task, Wanted(), threads=1, repack=False))
    (setting,) = (each for each in events if isinstance(each, Setting))
    assert (setting.layers, setting.threads, setting.plan.placement.gpu_layers) == (4, 1, 0)
    assert setting.load_s > 0
    assert [isinstance(each, Bandwidth) for each in events[-2:]] == [False, True]
    speeds = [each for each in events if isinstance(each, Speed)]
    assert [each.depth for each in speeds] == [0, 900, 300]
    for each in speeds:
        assert len(each.prefill.runs) == len(each.decode.runs) == 3
        assert min(each.prefill.runs + each.decode.runs) > 0
        assert each.ram_bytes is None  # all of it is in the caches
        assert each.n_ctx == 8192
        assert 2**20 < each.context.total_bytes < 2**26
    stages = {each.stage for each in events if isinstance(each, Step)}
    assert stages >= {"memory", "warm-up", "prefill at 900", "decode at 300"}


def test_a_depth_that_is_too_deep_is_refused() -> None:
    with pytest.raises(BadInput, match="depth 131000 and 512 tokens are more than the 131072 that the model can hold"):
        next(measure(TINY, Task(depths=(131000,)), Wanted(), threads=1, repack=False))


def test_depths_that_would_take_too_long_are_left_out() -> None:
    events = measure(TINY, Task(16, 4, 1, within_s=0.1), Wanted(), threads=1, repack=False)
    told = [each for each in events if isinstance(each, Speed | LeftOut)]
    assert [each.depth for each in told] == list(DEPTHS)
    assert [type(each) for each in told] == [Speed, LeftOut, LeftOut]
    assert isinstance(told[2], LeftOut)
    assert re.fullmatch(r"it would take about \d+m?\d*s; --depth 32768 measures it", told[2].reason)
