"""Whether llama.cpp works here: its build, asked in a process of its own, and a real answer of the built-in model."""

import contextlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli.doctor.finding import Finding
from gptoss_cli.engine.binding import VERSION
from gptoss_cli.engine.build import Build, from_object

PATIENCE_S = 120.0  # a driver that hangs is found out, too
_QUESTION = [
    *("-m", "gptoss_cli", "run", "--json", "--no-stdin", "--max-tokens", "64", "--temperature", "0"),
    *("tiny", "What can you do?"),
]
CPU_INFO = Path("/proc/cpuinfo")

# what llama.cpp calls a feature -> what Linux calls those of the processor that it takes (/proc/cpuinfo)
FEATURES = {
    "AVX": ("avx",),
    "AVX2": ("avx2",),
    "FMA": ("fma",),
    "F16C": ("f16c",),
    "AVX512": ("avx512f", "avx512bw", "avx512vl", "avx512dq"),
    "DOTPROD": ("asimddp",),
    "MATMUL_INT8": ("i8mm",),
}


@dataclass(frozen=True)
class Ended:
    """How a process ended: its code, negative for a signal, None when it was too slow; what it wrote; seconds."""

    code: int | None
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Tried:
    """What came of one question to the built-in model."""

    answer: str
    seconds: float


def probed(environment: Mapping[str, str]) -> tuple[Build | None, list[Finding]]:
    """The build, or what is wrong with it."""
    done = _run(["-m", "gptoss_cli.engine.build"], environment)
    told = _object(done.out)
    if done.code == 0 and "devices" in told:
        return from_object(told), []
    said = told.get("error") or _how(done)
    return None, [Finding(f"llama.cpp cannot be used: {said}", reinstall(), prevents=True)]


def judged(build: Build, processor: frozenset[str], gpus: Sequence[str]) -> list[Finding]:
    """What makes this build slower than it could be here. gpus: makers whose driver is here, NVIDIA or AMD."""
    found = []
    if lacking := [name for name, needs in FEATURES.items() if processor >= set(needs) and name not in build.features]:
        what = f"llama.cpp was built without {', '.join(lacking)}, which this processor has: it computes slower"
        found.append(Finding(what, reinstall("-DGGML_NATIVE=on")))
    if not any("GPU" in device.type for device in build.devices):
        for maker in gpus:
            backend, flag = ("CUDA", "-DGGML_CUDA=on") if maker == "NVIDIA" else ("ROCm", "-DGGML_HIP=on")
            if backend in build.backends:
                look = "nvidia-smi" if maker == "NVIDIA" else "rocminfo"
                found.append(Finding(f"llama.cpp has {backend} and finds no GPU of {maker}", f"{look} tells why"))
            else:
                what = f"a GPU of {maker} is not used: llama.cpp was built without {backend}"
                found.append(Finding(what, reinstall(flag)))
    return found


def processor_features(path: Path = CPU_INFO) -> frozenset[str]:
    """What Linux says that the processor has; nothing elsewhere."""
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                return frozenset(value.split())
    return frozenset()


def gpu_makers() -> list[str]:
    """Whose drivers are here, whether or not llama.cpp knows them."""
    there = {
        "NVIDIA": Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None,
        "AMD": Path("/dev/kfd").exists(),
    }
    return [maker for maker, here in there.items() if here]


def tried(environment: Mapping[str, str]) -> tuple[Tried | None, list[Finding]]:
    """One answer of `tiny`, by the program itself in an empty home, or why there was none."""
    try:
        with tempfile.TemporaryDirectory(prefix="gptoss-doctor-") as home:
            own = {name: value for name, value in environment.items() if not name.startswith("GPTOSS_")}
            done = _run(_QUESTION, own | {"GPTOSS_HOME": home, "GPTOSS_KEEP_ALIVE": "0"})
    except OSError as error:
        return None, [Finding(f"there is no temporary folder for a self-test: {error}", "set TMPDIR to a folder")]
    told = _object(done.out)
    answer = told.get("response")
    if done.code != 0:
        return None, [Finding(f"the built-in model does not answer: {_how(done)}", reinstall(), prevents=True)]
    if not isinstance(answer, str) or not answer.strip() or "<|" in answer or told.get("finish_reason") != "stop":
        what = f"the built-in model answers wrongly: {done.out.strip()[:200] or 'nothing'}"
        return None, [Finding(what, reinstall(), prevents=True)]
    return Tried(answer.strip(), done.seconds), []


def reinstall(flags: str = "") -> str:
    """The command that builds llama.cpp anew for this machine."""
    python, wanted = shlex.quote(sys.executable), f"llama-cpp-python=={VERSION}"
    if importlib.util.find_spec("pip"):
        command = f"{python} -m pip install --force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python"
    else:  # an environment of uv
        command = f"uv pip install --python {python} --reinstall --no-deps --no-cache --no-binary llama-cpp-python"
    return f'CMAKE_ARGS="{flags}" {command} {wanted}' if flags else f"{command} {wanted}"


def _run(arguments: list[str], environment: Mapping[str, str]) -> Ended:
    """This Python on `arguments`, which finds the modules that this process finds, and none in the current folder."""
    import subprocess  # 5 ms: every command imports this module

    path = os.pathsep.join(each for each in sys.path if each)
    own = {**environment, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-P", *arguments],
            env=own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ended(None, "", "", time.perf_counter() - started)
    except OSError as error:
        return Ended(1, "", f"{sys.executable}: {error.strerror}", time.perf_counter() - started)
    out, err = (each.decode(errors="replace") for each in (done.stdout, done.stderr))
    return Ended(done.returncode, out, err, time.perf_counter() - started)


def _object(text: str) -> dict[str, object]:
    """The JSON object in the last line of `text`; an empty one when there is none."""
    lines = text.strip().splitlines()
    with contextlib.suppress(ValueError, IndexError):
        told = json.loads(lines[-1])
        if isinstance(told, dict):
            return told
    return {}


def _how(done: Ended) -> str:
    """Why it did not end well, in one line."""
    if done.code is None:
        return f"nothing came within {PATIENCE_S:.0f} s"
    lines = [line.strip() for line in done.err.splitlines() if line.strip()]
    told = _object(done.err).get("error")
    if isinstance(told, dict):  # what gptoss --json says
        return str(told.get("message"))
    said = lines[-1] if lines else "it said nothing"
    if done.code >= 0:
        return f"{said} (exit code {done.code})"
    name = signal.Signals(-done.code).name
    if name == "SIGILL":
        said = f"it has instructions that this {platform.machine()} processor does not know"
    return f"the process was ended by {name}: {said}"
