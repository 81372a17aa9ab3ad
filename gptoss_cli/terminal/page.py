"""An answer in Markdown on a terminal: lines that are final, and below them the block that still grows, redrawn."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import TextIO

from gptoss_cli.markdown.stream import Growing
from gptoss_cli.markdown.styled import Line, Span, Style
from gptoss_cli.terminal.text import safe
from gptoss_cli.units import cells

REDRAW_S = 0.1
SHARE = 0.05  # of one core that drawing may take: decoding needs them all
ENDLESS = 10**6  # cells
CLEAR_BELOW = "\x1b[J"

# ECMA-48, 8.3.117 SGR
COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}
CUBE = (0, 95, 135, 175, 215, 255)  # the steps of each part in xterm's 256 colours

Size = Callable[[], tuple[int, int]]


class Page:
    """Takes the pieces of one answer; `finish` in every case.

    size: (columns, rows) of the terminal now. colour: whether colours may be used beside bold and the like. wrap: break
    lines between words; else they are as long as they are, and the terminal breaks them. every_s: between two drawings
    at least; 0 draws each piece.
    """

    def __init__(self, out: TextIO, size: Size, *, colour: bool, wrap: bool = True, every_s: float = REDRAW_S) -> None:
        self._out, self._size, self._colour, self._wrap, self._every_s = out, size, colour, wrap, every_s
        self._columns, self._rows = size()
        self._growing = Growing(self._columns if wrap else ENDLESS)
        self._live: list[str] = []  # the lines of the block that grows, as they stand on the screen
        self._live_cells: list[int] = []
        self._drawn_at = 0.0
        self._pause_s = every_s

    def feed(self, text: str) -> None:
        self._growing.feed(text)
        now = time.monotonic()
        if now - self._drawn_at >= self._pause_s:
            self._draw(final=False)
            self._drawn_at = time.monotonic()
            self._pause_s = max(self._every_s, (self._drawn_at - now) / SHARE) if self._every_s else 0.0

    def finish(self) -> None:
        """Show what is left; the cursor stands at the beginning of a line."""
        self._draw(final=True)

    def _draw(self, *, final: bool) -> None:
        up = self._rows_of_live()
        settled = self._growing.settled()
        if final:
            settled += self._growing.close()
        tail = [] if final else [row for line in self._growing.tail() for row in _rows(line, self._columns)]
        tail = tail[-max(1, self._rows - 1) :]
        live = [sgr(line, colour=self._colour) for line in tail]
        if settled or up is not None:
            self._rewrite(0, up, [sgr(line, colour=self._colour) for line in settled], live)
        elif live != self._live:
            same = _common(self._live, live)
            self._rewrite(same, None, [], live)
        self._live, self._live_cells = live, [sum(cells(span.text) for span in line) for line in tail]
        self._out.flush()

    def _rows_of_live(self) -> int | None:
        """After a change of the terminal's size: the rows that what was drawn takes now, where terminals reflow."""
        columns, rows = self._size()
        changed = columns != self._columns
        self._columns, self._rows = columns, rows
        self._growing.width = columns if self._wrap else ENDLESS
        if not changed:
            return None
        return min(rows - 1, sum(max(1, -(-each // columns)) for each in self._live_cells))

    def _rewrite(self, first: int, height: int | None, settled: Sequence[str], live: Sequence[str]) -> None:
        """Write from the live line number `first` on: the final lines, then the live ones; height: rows to go up."""
        count = len(self._live) - first if height is None else height
        start = ""
        if count > 0:
            start = "\r" + (f"\x1b[{count - 1}A" if count > 1 else "") + CLEAR_BELOW
        elif first:
            start = "\n"
        self._out.write(start + "".join(f"{line}\n" for line in settled) + "\n".join(live[first:]))


def sgr(line: Line, *, colour: bool) -> str:
    """`line` with the terminal's codes for its styles, and without anything else that a terminal obeys."""
    return "".join(_styled(span, colour) for span in line)


def _styled(span: Span, colour: bool) -> str:
    text, style = safe(span.text), span.style
    codes = [code for code, on in zip((1, 2, 3, 4, 9), _attributes(style), strict=True) if on]
    if colour and style.colour:
        codes += _colour_codes(style.colour)
    return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m" if codes and text else text


@cache
def _colour_codes(colour: str) -> tuple[int, ...]:
    """The foreground: one of eight, or the nearest in the 6 x 6 x 6 cube and the 24 greys that most terminals have."""
    if not colour.startswith("#"):
        return (COLOURS[colour],)
    rgb = tuple(bytes.fromhex(colour[1:]))
    cube = [min(range(6), key=lambda step: abs(CUBE[step] - part)) for part in rgb]
    grey = min(range(24), key=lambda step: abs(8 + 10 * step - sum(rgb) / 3))
    as_cube, as_grey = [CUBE[step] for step in cube], [8 + 10 * grey] * 3
    if _distance(as_grey, rgb) < _distance(as_cube, rgb):
        return 38, 5, 232 + grey
    return 38, 5, 16 + 36 * cube[0] + 6 * cube[1] + cube[2]


def _distance(one: Sequence[int], other: Sequence[int]) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _attributes(style: Style) -> tuple[bool, ...]:
    return style.bold, style.dim, style.italic, style.underline, style.strike


def _rows(line: Line, columns: int) -> list[Line]:
    """`line` as rows of the screen: while a block grows, no line of it may take two, or it could not be redrawn."""
    rows: list[list[Span]] = [[]]
    room = columns
    for span in line:
        text = safe(span.text).expandtabs(8)
        while cells(text) > room:
            length = min(len(text), room)
            while cells(text[:length]) > room:
                length -= 1
            rows[-1].append(Span(text[:length], span.style))
            rows.append([])
            text, room = text[length:], columns
        rows[-1].append(Span(text, span.style))
        room -= cells(text)
    return [tuple(row) for row in rows]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
