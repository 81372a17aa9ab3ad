"""What makes a build of llama.cpp slower than it could be, by its features and the machine's."""

from pathlib import Path

import pytest

from gptoss_cli.doctor import llama
from gptoss_cli.engine.build import Build, Device, features

SERVER = frozenset(["sse3", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq"])
LAPTOP = frozenset(["sse3", "avx", "avx2", "fma", "f16c"])
ARM = frozenset(["fp", "asimd", "asimddp", "i8mm"])
CPU = Device("CPU", "a processor", "CPU", 1, 1)
CUDA = Device("CUDA0", "a card", "GPU", 1, 1)


def build(told: str, backends: tuple[str, ...] = ("CPU",), devices: tuple[Device, ...] = (CPU,)) -> Build:
    return Build("0.3.36", "0.5.0-dev", "0.25.3", backends, tuple(told.split()), devices)


@pytest.mark.parametrize(
    ("told", "processor", "lacking"),
    [
        ("AVX AVX2 FMA F16C AVX512", SERVER, None),
        ("AVX AVX2 FMA F16C", SERVER, "AVX512"),
        ("AVX AVX2 FMA F16C", LAPTOP, None),
        ("SSE3", LAPTOP, "AVX, AVX2, FMA, F16C"),  # the wheel for ROCm
        ("NEON ARM_FMA", ARM, "DOTPROD, MATMUL_INT8"),  # the wheel for aarch64
        ("NEON ARM_FMA DOTPROD MATMUL_INT8", ARM, None),
        ("", frozenset(), None),
    ],
)
def test_features_that_were_left_out(told: str, processor: frozenset[str], lacking: str | None) -> None:
    found = llama.judged(build(told), processor, ())
    if lacking is None:
        assert found == []
        return
    (only,) = found
    assert f"without {lacking}, which this processor has" in only.what
    assert only.fix.startswith('CMAKE_ARGS="-DGGML_NATIVE=on" ')
    assert not only.prevents


@pytest.mark.parametrize(
    ("maker", "backends", "devices", "what", "fix"),
    [
        ("NVIDIA", ("CPU",), (CPU,), "a GPU of NVIDIA is not used", "-DGGML_CUDA=on"),
        ("NVIDIA", ("CUDA", "CPU"), (CPU,), "finds no GPU of NVIDIA", "nvidia-smi"),
        ("AMD", ("CPU",), (CPU,), "a GPU of AMD is not used", "-DGGML_HIP=on"),
        ("NVIDIA", ("CUDA", "CPU"), (CUDA, CPU), None, None),
    ],
)
def test_gpus_that_are_not_used(
    maker: str, backends: tuple[str, ...], devices: tuple[Device, ...], what: str | None, fix: str | None
) -> None:
    found = llama.judged(build("", backends, devices), frozenset(), (maker,))
    assert len(found) == (what is not None)
    for each in found:
        assert str(what) in each.what
        assert str(fix) in each.fix


def test_what_a_processor_has_is_read_from_linux(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nflags\t\t: fpu avx avx2\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert llama.processor_features(info) == {"fpu", "avx", "avx2"}
    info.write_text("processor\t: 0\nFeatures\t: fp asimddp\n")
    assert llama.processor_features(info) == {"fp", "asimddp"}
    assert llama.processor_features(tmp_path / "none") == frozenset()


def test_features_are_read_from_llama_cpps_line() -> None:
    told = "CUDA : ARCHS = 900 | USE_GRAPHS = 1 | CPU : SSE3 = 1 | AVX = 0 | REPACK = 1 | "
    assert features(told) == ("SSE3", "REPACK")
    assert features("CPU : NEON = 1 | ") == ("NEON",)
    assert features("") == ()
