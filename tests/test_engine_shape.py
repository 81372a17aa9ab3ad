"""What a model takes, against what the real llama.cpp reports for the same file."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import TINY
from hollow_model import BIG, hollow

from benchmarks.random_model import SMALL, write_random
from benchmarks.random_model import Shape as Dimensions
from gptoss_cli import weights
from gptoss_cli.engine import binding
from gptoss_cli.engine.shape import PUBLISHED, Shape, of_size
from gptoss_cli.errors import BadInput

UBATCH = 512
MIB = 2**20
CONTEXTS = (2048, 8192, 32768, 131072)


@dataclass
class Reported:
    """What llama.cpp says in its log, in MiB."""

    kv: float
    compute: float


def reported(path: Path, n_ctx: int, log: pytest.LogCaptureFixture) -> Reported:
    """A context of llama.cpp's that allocates nothing and tells its sizes."""
    api = binding.api()
    loading = api.llama_model_default_params()
    loading.no_alloc, loading.load_mode = True, binding.LOAD_MODE_NONE
    model = api.llama_model_load_from_file(bytes(path), loading)
    assert model
    parameters = api.llama_context_default_params()
    parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = n_ctx, UBATCH, UBATCH
    parameters.n_seq_max = parameters.n_outputs_max = 1
    parameters.swa_full = False
    log.clear()
    context = api.llama_init_from_model(model, parameters)
    assert context
    lines = [record.getMessage() for record in log.records]
    api.llama_free(context)
    api.llama_model_free(model)
    return Reported(
        sum(_figures(lines, r"kv_cache: size = +([\d.]+) MiB")),
        sum(_figures(lines, r"compute buffer size = +([\d.]+) MiB")),
    )


def _figures(lines: list[str], pattern: str) -> Iterator[float]:
    yield from (float(found[1]) for line in lines if (found := re.search(pattern, line)))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="gptoss_cli.engine.binding"):
        yield caplog


def kv_bytes(shape: Shape, n_ctx: int) -> int:
    return sum(shape.kv_bytes(layer, n_ctx, UBATCH) for layer in shape.layers)


@pytest.mark.parametrize("n_ctx", [300, *CONTEXTS])
@pytest.mark.parametrize("name", BIG)
def test_the_figures_of_the_real_shapes_are_llama_cpps(
    name: str, n_ctx: int, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    path = hollow(tmp_path / "model.gguf", BIG[name])
    shape = Shape.of(weights.headers(path))
    told = reported(path, n_ctx, log)
    assert kv_bytes(shape, n_ctx) / MIB == told.kv
    assert shape.compute_bytes(n_ctx, UBATCH) / MIB == pytest.approx(told.compute, rel=0.01)


@pytest.mark.parametrize("n_ctx", CONTEXTS)
@pytest.mark.parametrize(
    "dimensions",
    [
        SMALL,
        Dimensions(layers=1),
        Dimensions(layers=3, heads=32, kv_heads=4, window=1024),
        Dimensions(layers=2, hidden=1440, expert_width=1440),
    ],
)
def test_the_figures_of_other_shapes_are_llama_cpps(
    dimensions: Dimensions, n_ctx: int, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    path = hollow(tmp_path / "model.gguf", dimensions)
    shape = Shape.of(weights.headers(path))
    told = reported(path, n_ctx, log)
    assert kv_bytes(shape, n_ctx) / MIB == pytest.approx(told.kv, abs=0.011)  # two decimals, for each of two caches
    assert shape.compute_bytes(n_ctx, UBATCH) / MIB == pytest.approx(told.compute, rel=0.1)


@pytest.mark.parametrize("n_ctx", CONTEXTS)
def test_the_figures_of_tiny_are_llama_cpps(n_ctx: int, log: pytest.LogCaptureFixture) -> None:
    shape = Shape.of(weights.headers(TINY))
    told = reported(TINY, n_ctx, log)
    assert kv_bytes(shape, n_ctx) / MIB == pytest.approx(told.kv, abs=0.011)
    assert shape.compute_bytes(n_ctx, UBATCH) / MIB == pytest.approx(told.compute, rel=0.1)


def check_allocated(path: Path, log: pytest.LogCaptureFixture) -> None:
    """Load the model at `path`, make contexts, and compare what llama.cpp has allocated with the formulas."""
    shape = Shape.of(weights.headers(path))
    log.clear()
    model = binding.Model(str(path))
    lines = [record.getMessage() for record in log.records]
    assert shape.weight_bytes / MIB == pytest.approx(sum(_figures(lines, r"model buffer size = +([\d.]+)")), rel=0.01)
    for n_ctx in CONTEXTS:
        log.clear()
        context = binding.Context(model, n_ctx=n_ctx, n_ubatch=UBATCH, threads=1, abort=binding.Abort())
        lines = [record.getMessage() for record in log.records]
        context.close()
        kv, compute = (sum(_figures(lines, rf"{kind} buffer size = +([\d.]+)")) for kind in ("KV", "compute"))
        assert kv_bytes(shape, n_ctx) / MIB == pytest.approx(kv, abs=0.011)
        assert shape.compute_bytes(n_ctx, UBATCH) / MIB == pytest.approx(compute, rel=0.1)
    model.close()


def test_what_is_allocated_is_what_was_computed(random_model: Path, log: pytest.LogCaptureFixture) -> None:
    check_allocated(random_model, log)


@pytest.mark.soak
def test_what_is_allocated_for_the_widths_of_20b_is_what_was_computed(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "model.gguf"  # 2.1 GB
    write_random(path, Dimensions(layers=2))
    check_allocated(path, log)
    path.unlink()


@pytest.mark.parametrize("name", BIG)
def test_the_published_shapes_are_those_of_such_a_file(name: str, tmp_path: Path) -> None:
    assert Shape.of(weights.headers(hollow(tmp_path / "model.gguf", BIG[name]))) == PUBLISHED[f"gpt-oss:{name}"]


@pytest.mark.parametrize(("size", "layers"), [(12_109_566_560, 24), (13_800_000_000, 24), (63_387_346_464, 36)])
def test_a_size_alone_tells_which_model_it_is(size: int, layers: int) -> None:
    shape = of_size(size)
    assert len(shape.layers) == layers
    assert shape.weight_bytes == pytest.approx(size, rel=1e-6)


def test_the_parts_of_a_split_model_are_counted_together(tmp_path: Path) -> None:
    first, second = (tmp_path / f"m-0000{part}-of-00002.gguf" for part in (1, 2))
    hollow(first, replace(SMALL, layers=1), {"split.count": 2, "split.no": 0})
    hollow(second, SMALL, {"split.count": 2, "split.no": 1})
    whole = weights.headers(first)
    assert Shape.of(whole).weight_bytes > Shape.of(whole[:1]).weight_bytes


def test_a_pattern_of_windows_in_the_file_is_honoured(tmp_path: Path) -> None:
    key = "gpt-oss.attention.sliding_window_pattern"
    of_three = hollow(tmp_path / "3.gguf", replace(SMALL, layers=6), {key: 3})
    assert [each.windowed for each in Shape.of(weights.headers(of_three)).layers] == [True, True, False] * 2
    listed = hollow(tmp_path / "l.gguf", SMALL, {key: [0, 1]})
    assert [each.windowed for each in Shape.of(weights.headers(listed)).layers] == [False, True]


def test_a_number_of_layers_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = hollow(tmp_path / "m.gguf", SMALL, {"gpt-oss.block_count": 4_000_000_000})
    with pytest.raises(BadInput, match="4,000,000,000 layers"):
        Shape.of(weights.headers(path))
