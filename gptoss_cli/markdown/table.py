"""Tables: columns as wide as their cells where there is room, and cells of several lines where there is not."""

from collections.abc import Sequence
from dataclasses import replace

from gptoss_cli.markdown.styled import PLAIN, Line, Span, Style, joined, line_cells
from gptoss_cli.markdown.wrap import wrap

BETWEEN = " │ "
NARROWEST = 3
DIM = Style(dim=True)

Cell = list[Span]


def table(rows: Sequence[Sequence[Cell]], sides: Sequence[str], width: int) -> list[Line]:
    """The lines of a table whose first row is its head. sides: `left`, `right` or `center` for each column."""
    count = len(sides)
    bold = [[Span(span.text, replace(span.style, bold=True)) for span in cell] for cell in rows[0]]
    full = [[*row, *[[] for _ in range(count - len(row))]][:count] for row in (bold, *rows[1:])]
    widths = _widths(full, count, width - len(BETWEEN) * (count - 1))
    head, *body = (_row(row, widths, sides) for row in full)
    rule = "─┼─".join("─" * width for width in widths)
    return [*head, (Span(rule, DIM),), *(line for lines in body for line in lines)]


def _widths(rows: Sequence[Sequence[Cell]], count: int, room: int) -> list[int]:
    """As wide as the widest cell; where that is too much, the widest columns give way first."""
    widths = [
        max(NARROWEST, *(line_cells(line) for row in rows for line in wrap(row[column], 10**6)))
        for column in range(count)
    ]
    while sum(widths) > max(room, NARROWEST * count):
        widest = max(range(count), key=lambda column: widths[column])
        others = [width for column, width in enumerate(widths) if column != widest]
        least = max([NARROWEST, *(width for width in others if width < widths[widest])])
        widths[widest] = max(least - 1, NARROWEST, widths[widest] - (sum(widths) - max(room, NARROWEST * count)))
    return widths


def _row(row: Sequence[Cell], widths: Sequence[int], sides: Sequence[str]) -> list[Line]:
    wrapped = [wrap(cell, width, hard=True) for cell, width in zip(row, widths, strict=True)]
    lines: list[Line] = []
    for number in range(max(map(len, wrapped))):
        spans: list[Span] = []
        for column, (cell, width, side) in enumerate(zip(wrapped, widths, sides, strict=True)):
            if column:
                spans.append(Span(BETWEEN, DIM))
            last = column == len(widths) - 1
            spans += _padded(cell[number] if number < len(cell) else (), width, side, last)
        lines.append(joined(spans))
    return lines


def _padded(line: Line, width: int, side: str, last: bool) -> list[Span]:
    """`line` as wide as its column; nothing behind the last one."""
    room = max(0, width - line_cells(line))
    before = {"right": room, "center": room // 2}.get(side, 0)
    after = 0 if last else room - before
    return [Span(" " * before, PLAIN), *line, Span(" " * after, PLAIN)]
