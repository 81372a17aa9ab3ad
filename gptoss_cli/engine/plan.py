"""How many threads, and how long a context. Reads the machine's limits, changes nothing."""

import math
import os
import sys
from pathlib import Path

SMALLEST_CONTEXT = 8192  # creating a context zeroes its cache: 1.2 s at 131,072 tokens of four layers
REPACK_SPARE = 4 * 2**30  # bytes left free beside the weights and their copy
SMALL_WEIGHTS = 64 * 2**20  # tiny, 6 MB: 1,500 tokens/s with one thread, 20 to 600 with two


def context_length(needed: int, n_ctx_train: int) -> int:
    """The smallest of 8k, 16k, 32k, … tokens that holds `needed`, at most what the model was trained for."""
    length = SMALLEST_CONTEXT
    while length < needed:
        length *= 2
    return min(length, n_ctx_train)


def threads(weights: int) -> int:
    """Physical cores this process may use: its affinity and its cgroup's quota are honoured. At least 1.

    Two threads on one core are slower than one: every operation of llama.cpp ends in a barrier. For the same reason
    one thread is best for small `weights` (bytes), whose operations take less time than the barrier.
    """
    if weights < SMALL_WEIGHTS:
        return 1
    cores = _performance_cores() if sys.platform == "darwin" else physical_cores(usable_processors())
    quota = cgroup_quota(Path("/sys/fs/cgroup"), _own_cgroup())
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def repacks(weights: int, free: int | None) -> bool:
    """Whether a chat on the CPU should copy its `weights` into the layout of the CPU's kernels; free: bytes of RAM.

    benchmarks/README.md, "Settings": prompts are read 1.3 times as fast, which 500 tokens repay, and a chat loads while
    the user types. A single answer would wait for it, and the copy is no page of a file that others can push out.
    """
    return free is not None and weights >= SMALL_WEIGHTS and free >= 2 * weights + REPACK_SPARE


def usable_processors() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def physical_cores(logical: set[int], topology: Path = Path("/sys/devices/system/cpu")) -> int:
    """How many cores the logical processors belong to; all of them where the system does not tell."""
    cores = set()
    for number in logical:
        try:
            siblings = (topology / f"cpu{number}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            siblings = str(number)
        cores.add(siblings)
    return len(cores)


def _own_cgroup() -> str:
    """The path of this process below the mount of cgroup v2; "" where there is none."""
    lines = _lines(Path("/proc/self/cgroup"))
    return next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")


def cgroup_quota(mount: Path, group: str) -> float | None:
    """Processors' worth of time that the control group and those above it allow; None without a limit.

    Version 2 has `cpu.max` ("200000 100000" for two processors), version 1 `cpu/cpu.cfs_quota_us` and `_period_us`:
    the kernel's Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.
    """
    limits = []
    place = Path(group)
    for folder in [mount / place, *(mount / parent for parent in place.parents)] if group else [mount]:
        words = _words(folder / "cpu.max")
        if len(words) == 2 and words[0] != "max":
            limits.append(int(words[0]) / int(words[1]))
    quota, period = _words(mount / "cpu/cpu.cfs_quota_us"), _words(mount / "cpu/cpu.cfs_period_us")
    if quota and period and int(quota[0]) > 0:
        limits.append(int(quota[0]) / int(period[0]))
    return min(limits, default=None)


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _performance_cores() -> int:
    """The fast cores of a Mac; the slow ones would hold every barrier up."""
    import ctypes

    count, size = ctypes.c_int32(0), ctypes.c_size_t(4)
    library = ctypes.CDLL(None)
    for name in (b"hw.perflevel0.physicalcpu", b"hw.physicalcpu"):
        if library.sysctlbyname(name, ctypes.byref(count), ctypes.byref(size), None, 0) == 0 and count.value > 0:
            return count.value
    return os.cpu_count() or 1
