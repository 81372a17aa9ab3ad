"""How fast the processors read memory: the bound on decoding, which reads all active weights for every token."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNKNOWN_CACHE_BYTES = 32 * 2**20
SMALLEST_BYTES, LARGEST_BYTES = 256 * 2**20, 2**30
MEASURED_S, PASS_S = 0.25, 0.02


def cache_bytes(folder: Path = CACHES) -> int:
    """The largest cache of a processor; a plausible size where the system does not tell (sysfs-devices-system-cpu)."""
    sizes = [_size(path) for path in folder.glob("index*/size")]
    return max(sizes, default=0) or UNKNOWN_CACHE_BYTES


def _size(path: Path) -> int:
    """`32768K` in bytes; 0 for what is not so written."""
    try:
        text = path.read_text().strip()
    except OSError:
        return 0
    number = text.rstrip("KM")
    return int(number) * {"K": 2**10, "M": 2**20}.get(text[-1:], 1) if number.isdecimal() else 0


def measured(threads: int) -> float:
    """Bytes per second that so many threads read together, from memory larger than the caches; takes half a second.

    The best of several passes, as STREAM has it (cs.virginia.edu/stream): what else runs only takes away from it. The
    threads read as decoding does, they do not write: copying would give half of it or less.
    """
    from concurrent.futures import ThreadPoolExecutor  # with numpy 0.1 s: only when something is measured

    import numpy

    total = min(max(SMALLEST_BYTES, 4 * cache_bytes()), LARGEST_BYTES)
    best, sweeps = 0.0, 1
    with ThreadPoolExecutor(threads) as pool:
        # written to, since pages that are only reserved are all the same page of zeros; by the threads, so that each
        # socket has its share
        parts = list(pool.map(lambda each: numpy.full(total // threads // 8, each, dtype=numpy.uint64), range(threads)))
        ends = time.perf_counter() + MEASURED_S
        while not best or time.perf_counter() < ends:
            # many threads read a part in less time than it takes to tell them to
            started = time.perf_counter()
            list(pool.map(_read, parts, [sweeps] * threads))
            took = time.perf_counter() - started
            best = max(best, sweeps * sum(part.nbytes for part in parts) / took)
            sweeps = max(sweeps, math.ceil(PASS_S / took * sweeps))
    return best


def _read(part: "numpy.ndarray[Any, Any]", sweeps: int) -> None:
    import numpy

    for _ in range(sweeps):
        numpy.bitwise_or.reduce(part)  # ufuncs leave the interpreter lock
