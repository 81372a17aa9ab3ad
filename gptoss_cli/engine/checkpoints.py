"""Sliding windows as they were at some lengths of what the context holds: what a rewind needs beside the context."""

from typing import Any

MOST, MOST_BYTES = 32, 256 << 20


class Checkpoints:
    """Windows by length. Bounded; the least recently used goes first."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._windows: dict[int, Any] = {}  # the last used at the end

    def __contains__(self, length: int) -> bool:
        return length in self._windows

    def __len__(self) -> int:
        return len(self._windows)

    def put(self, length: int, window: Any) -> None:
        self._windows.pop(length, None)
        self._windows[length] = window
        while len(self._windows) > self._most or sum(map(len, self._windows.values())) > self._most_bytes:
            del self._windows[next(iter(self._windows))]

    def best(self, most: int) -> int:
        """The greatest length up to `most`; 0 when there is none."""
        return max((length for length in self._windows if length <= most), default=0)

    def use(self, length: int) -> Any:
        """The window at `length`, which there is."""
        self._windows[length] = self._windows.pop(length)
        return self._windows[length]

    def lengths(self) -> list[int]:
        return sorted(self._windows)

    def last(self, count: int) -> list[tuple[int, Any]]:
        """The `count` longest, (length, window)."""
        return sorted(self._windows.items())[-count:]

    def cut(self, length: int) -> None:
        """Forget those beyond `length`: what they belong to is no longer there."""
        self._windows = {each: window for each, window in self._windows.items() if each <= length}

    def clear(self) -> None:
        self._windows.clear()
