"""How much memory this process holds just now. Linux tells what part of it is anonymous; other systems do not."""

import resource
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Footprint:
    """Bytes in RAM, and those of them that are no file's pages: what is mapped of a model's file is not among these.

    None where the system does not tell. On a Mac resident_bytes is the most that there has been.
    """

    resident_bytes: int | None
    anonymous_bytes: int | None


def now(status: Path = Path("/proc/self/status")) -> Footprint:
    """proc(5): VmRSS and RssAnon, in kB."""
    try:
        lines = status.read_text().splitlines()
    except OSError:
        # getrusage(2): bytes on a Mac, kB elsewhere
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Footprint(most if sys.platform == "darwin" else most * 1024, None)
    told = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    return Footprint(_bytes(told.get("VmRSS")), _bytes(told.get("RssAnon")))


def _bytes(words: list[str] | None) -> int | None:
    return int(words[0]) * 1024 if words else None
