"""How fast the processors read memory: the bound on decoding, which reads all active weights for every token."""

import time
from pathlib import Path

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNKNOWN_CACHE_BYTES = 32 * 2**20
SMALLEST_BYTES, LARGEST_BYTES = 256 * 2**20, 2**30
PASSES = 7


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

    total = min(max(SMALLEST_BYTES, 8 * cache_bytes()), LARGEST_BYTES)
    # written to, since pages that are only reserved are all the same page of zeros
    parts = [numpy.full(total // threads // 8, index, dtype=numpy.uint64) for index in range(threads)]
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(PASSES):
            started = time.perf_counter()
            list(pool.map(numpy.bitwise_or.reduce, parts))  # ufuncs leave the interpreter lock
            best = max(best, sum(part.nbytes for part in parts) / (time.perf_counter() - started))
    return best
