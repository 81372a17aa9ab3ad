"""Styled text: spans of one style each, and lines of spans."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gptoss_cli.units import cells


@dataclass(frozen=True)
class Style:
    """How text looks. colour: one of the terminal's own eight by name (`cyan`), or `#rrggbb`."""

    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    dim: bool = False
    colour: str | None = None


PLAIN = Style()


class Span(NamedTuple):
    text: str
    style: Style = PLAIN


Line = tuple[Span, ...]


def line_cells(line: Line) -> int:
    return sum(cells(span.text) for span in line)


def plain(line: Line) -> str:
    return "".join(span.text for span in line)


def joined(spans: Iterable[Span]) -> Line:
    """`spans` as a line: neighbours of one style become one span, empty ones go."""
    line: list[Span] = []
    for span in spans:
        if not span.text:
            continue
        if line and line[-1].style == span.style:
            line[-1] = Span(line[-1].text + span.text, span.style)
        else:
            line.append(span)
    return tuple(line)
