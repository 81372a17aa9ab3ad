"""What memory this machine has left for a model: RAM within the limits of its control groups, and GPUs."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from gptoss_cli.engine import binding
from gptoss_cli.engine.memory import Machine

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
# of XNU, bsd/vm/vm_unix.c: what can be had without compressing or swapping. Speculative pages are among the external
MAC_PAGES = (b"vm.page_free_count", b"vm.page_pageable_external_count", b"vm.page_purgeable_count")


def now() -> Machine:
    """The memory that can be had at this moment; asks llama.cpp for the GPUs. Raises EngineError."""
    return Machine(ram(), binding.gpus())


def ram() -> int | None:
    """Bytes of RAM that can be had without swapping; None where the system does not tell."""
    return _mac_memory() if sys.platform == "darwin" else available_memory()


def available_memory(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """Bytes that can be had without swapping, page cache included; None where the system does not tell.

    That is MemAvailable (proc(5)), or less where a control group leaves less.
    """
    found = [int(line.split()[1]) * 1024 for line in _lines(proc / "meminfo") if line.startswith("MemAvailable:")]
    if not found:
        return None
    return max(0, min([*found, *_left_by_groups(proc / "self/cgroup", cgroups)]))


def _left_by_groups(own: Path, cgroups: Path) -> Iterator[int]:
    """What every control group of memory that this process is in leaves, those above it and the root included.

    Version 2 (cgroup-v2.rst): memory.max, memory.current; version 1 (cgroup-v1/memory.rst): memory.limit_in_bytes,
    memory.usage_in_bytes. In a container the path named in /proc may not exist and the mount is the group itself.
    """
    for line in _lines(own):
        number, controllers, group = line.split(":", 2)
        if number == "0":
            mount, most, used = cgroups, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            mount, most, used = cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        place = Path(group.strip("/"))
        for folder in (mount / place, *(mount / parent for parent in place.parents)):
            limit, usage = _number(folder / most), _number(folder / used)
            if limit is not None and usage is not None:
                yield limit - usage + _file_pages(folder)


def _file_pages(folder: Path) -> int:
    """Bytes of page cache that are charged to a group: they are given up when others need them."""
    pages = dict(line.split() for line in _lines(folder / "memory.stat"))
    # version 1 counts groups below in the keys that begin with total_
    prefix = "total_" if "total_inactive_file" in pages else ""
    return sum(int(pages.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))


def _number(path: Path) -> int | None:
    """The number in a file; None for `max` and where there is no such file."""
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _mac_memory() -> int | None:
    import ctypes

    library = ctypes.CDLL(None)
    pages = 0
    for name in MAC_PAGES:
        count, size = ctypes.c_uint32(0), ctypes.c_size_t(4)
        if library.sysctlbyname(name, ctypes.byref(count), ctypes.byref(size), None, 0) != 0:
            return None
        pages += count.value
    return pages * os.sysconf("SC_PAGE_SIZE")
