"""Text that streams without being redrawn, broken between words where the terminal would break it anywhere."""

from collections.abc import Callable

from gptoss_cli.markdown.wrap import units
from gptoss_cli.units import cells


class Flow:
    """The last word is held back until it is known to be whole. width: of the terminal now, in cells."""

    def __init__(self, width: Callable[[], int]) -> None:
        self._width = width
        self._held = self._blank = ""
        self._used = 0  # cells of the line that is being filled

    def feed(self, text: str) -> str:
        """What can be written of all that came."""
        text = self._held + text
        parts = [text[start:end] for start, end in units(text)]
        self._held = parts.pop() if parts else ""
        return "".join(map(self._placed, parts))

    def end(self) -> str:
        """The rest; the next text begins a line."""
        rest = "".join(self._placed(self._held[start:end]) for start, end in units(self._held))
        self._held = self._blank = ""
        self._used = 0
        return rest

    def _placed(self, part: str) -> str:
        if part == "\n":
            self._used, self._blank = 0, ""
            return part
        if part.isspace():
            self._blank += part
            return ""
        blank, self._blank, size = self._blank, "", cells(part)
        if self._used and self._used + cells(blank) + size > self._width():
            self._used = size
            return "\n" + part
        self._used += cells(blank) + size
        return blank + part
