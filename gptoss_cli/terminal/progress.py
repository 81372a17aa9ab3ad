"""How far a download is: one live line on a terminal, a plain line now and then elsewhere. On stderr."""

import shutil
import time
from collections import deque

from gptoss_cli.terminal import CLEAR_LINE, Screen, safe
from gptoss_cli.units import duration, size

REDRAW_S = 0.2
PLAIN_S = 5.0
RATE_OVER_S = 8.0  # a rate of the last seconds: it follows the line, and does not jump


class Bar:
    """Shows the progress of one file after the other: `begin` each, `at` while it goes on, `end` it."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._name = ""
        self._drawn_at = 0.0
        self._visible = False
        self._stage = ""
        self._seen: deque[tuple[float, int]] = deque()

    def begin(self, name: str) -> None:
        self._name = safe(name)
        self._stage = ""
        self._seen.clear()
        self._drawn_at = time.monotonic() - (PLAIN_S - 1.0)  # the first plain line after a second

    def at(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage = stage
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        if now - self._drawn_at >= (REDRAW_S if self._screen.live else PLAIN_S):
            self._drawn_at = now
            self._draw(self._parts(stage, done, total))

    def end(self, total: int, fetched: int, seconds: float) -> None:
        """The file is there: so many bytes, of which some were fetched just now."""
        rate = [f"{size(fetched / seconds)}/s"] if seconds > 0 and fetched else []
        self.clear()
        if not self._screen.quiet:
            self._screen.err.write(self._fitting([self._name, size(total), *rate, "sha256 is right"]) + "\n")
            self._screen.err.flush()

    def clear(self) -> None:
        if self._visible:
            self._screen.err.write(CLEAR_LINE)
            self._screen.err.flush()
            self._visible = False

    def _parts(self, stage: str, done: int, total: int) -> list[str]:
        share = f"{100 * done // total if total else 100}%"
        if stage != "download":
            return [self._name, "checking" if stage == "verify" else "waiting", share]
        parts = [self._name, share, f"{_of(done, total)}"]
        if (rate := self._rate()) > 0:
            parts += [f"{size(rate)}/s", duration((total - done) / rate)]
        return parts

    def _rate(self) -> float:
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - began) if now - began > 0.5 else 0.0

    def _draw(self, parts: list[str]) -> None:
        screen = self._screen
        if screen.quiet:
            return
        text = self._fitting(parts)
        if screen.live:
            screen.err.write(f"{CLEAR_LINE}{text}")
            self._visible = True
        else:
            screen.err.write(f"{text}\n")
        screen.err.flush()

    def _fitting(self, parts: list[str]) -> str:
        """One line: on a narrow terminal the name is cut, then what stands last is left out."""
        from rich.cells import cell_len, set_cell_size

        if not self._screen.live:
            return "  ".join(parts)
        width = max(8, shutil.get_terminal_size().columns - 1)  # the last column would wrap
        rest = "  ".join(parts[1:])
        room = width - cell_len(rest) - 2
        if cell_len(parts[0]) <= room:
            return "  ".join(parts)
        if room >= 12:
            mark = "…" if self._screen.fancy else "~"
            return f"{set_cell_size(parts[0], room - 1).rstrip()}{mark}  {rest}"
        while cell_len(rest) > width and len(parts) > 2:
            parts = parts[:-1]
            rest = "  ".join(parts[1:])
        return set_cell_size(rest, min(width, cell_len(rest)))


def _of(done: int, total: int) -> str:
    """`3.8/12.1 GB`, or with both units when they differ."""
    first, second = size(done), size(total)
    if first.split(" ")[-1] == second.split(" ")[-1]:
        first = first.split(" ")[0]
    return f"{first}/{second}"
