"""The blocks of a Markdown text as lines: CommonMark, with GitHub's tables and strike-through. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gptoss_cli.markdown.highlight import highlighted
from gptoss_cli.markdown.styled import PLAIN, Line, Span, Style, joined
from gptoss_cli.markdown.table import table
from gptoss_cli.markdown.wrap import is_wide, wrap

if TYPE_CHECKING:
    from markdown_it.tree import SyntaxTreeNode

NARROWEST = 10  # cells that a nested block gets however deep it is
LONGEST_RULE = 60
BULLETS = "•◦▪"
DIM = Style(dim=True)


def render(nodes: "Sequence[SyntaxTreeNode]", width: int) -> list[Line]:
    """The lines of some blocks, an empty one between two of them. Code is as wide as it is."""
    return _blocks(nodes, width, tight=False, depth=0)


def _blocks(nodes: "Sequence[SyntaxTreeNode]", width: int, *, tight: bool, depth: int) -> list[Line]:
    lines: list[Line] = []
    for node in nodes:
        block = BLOCKS[node.type](node, max(NARROWEST, width), depth)
        if lines and not tight:
            lines.append(())
        lines += block
    return lines


def _paragraph(node: "SyntaxTreeNode", width: int, _depth: int) -> list[Line]:
    return wrap(inline(node.children[0].children, PLAIN), width) if node.children else [()]


def _heading(node: "SyntaxTreeNode", width: int, _depth: int) -> list[Line]:
    style = Style(bold=True, underline=node.tag == "h1", colour="blue" if node.tag in ("h1", "h2") else None)
    return wrap(inline(node.children[0].children, style), width) if node.children else [()]


def _fence(node: "SyntaxTreeNode", _width: int, _depth: int) -> list[Line]:
    """The code as it stands, so that its lines can be copied, between its fences."""
    name = node.info.strip().split()[0] if node.info.strip() else ""
    mark = node.markup or "```"
    return [(Span(mark + name, DIM),), *highlighted(node.content, name), (Span(mark, DIM),)]


def _indented_code(node: "SyntaxTreeNode", _width: int, _depth: int) -> list[Line]:
    return [joined([Span("    "), *line]) if line else () for line in highlighted(node.content, "")]


def _html(node: "SyntaxTreeNode", width: int, _depth: int) -> list[Line]:
    return wrap([Span(node.content.rstrip("\n"), DIM)], width)


def _rule(_node: "SyntaxTreeNode", width: int, _depth: int) -> list[Line]:
    return [(Span("─" * min(width, LONGEST_RULE), DIM),)]


def _quote(node: "SyntaxTreeNode", width: int, depth: int) -> list[Line]:
    lines = _blocks(node.children, width - 2, tight=False, depth=depth)
    return [joined([Span("│ ", DIM), *line]) for line in lines] or [(Span("│", DIM),)]


def _bullets(node: "SyntaxTreeNode", width: int, depth: int) -> list[Line]:
    mark = BULLETS[min(depth, len(BULLETS) - 1)]
    return _items(node, [f"{mark} "] * len(node.children), width, depth)


def _numbers(node: "SyntaxTreeNode", width: int, depth: int) -> list[Line]:
    start = int(node.attrs.get("start", 1))
    marks = [f"{number}. " for number in range(start, start + len(node.children))]
    widest = max(map(len, marks), default=0)
    return _items(node, [mark.rjust(widest) for mark in marks], width, depth)


def _items(node: "SyntaxTreeNode", marks: Sequence[str], width: int, depth: int) -> list[Line]:
    """The items of a list, those of a loose one apart."""
    tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
    lines: list[Line] = []
    for item, mark in zip(node.children, marks, strict=True):
        if lines and not tight:
            lines.append(())
        inner = _blocks(item.children, width - len(mark), tight=tight, depth=depth + 1) or [()]
        lines.append(joined([Span(mark, DIM), *inner[0]]))
        lines += [joined([Span(" " * len(mark)), *line]) if line else () for line in inner[1:]]
    return lines


def _table(node: "SyntaxTreeNode", width: int, _depth: int) -> list[Line]:
    rows = [
        [inline(cell.children[0].children if cell.children else [], PLAIN) for cell in row.children]
        for part in node.children
        for row in part.children
    ]
    head = node.children[0].children[0].children
    sides = [str(cell.attrs.get("style", "")).removeprefix("text-align:") or "left" for cell in head]
    return table(rows, sides, width)


Block = Callable[[Any, int, int], list[Line]]
BLOCKS: dict[str, Block] = {
    "paragraph": _paragraph,
    "heading": _heading,
    "fence": _fence,
    "code_block": _indented_code,
    "html_block": _html,
    "hr": _rule,
    "blockquote": _quote,
    "bullet_list": _bullets,
    "ordered_list": _numbers,
    "table": _table,
}


def inline(nodes: "Sequence[SyntaxTreeNode]", style: Style) -> list[Span]:
    """The spans of a paragraph; a line break that counts is a newline, another one a blank where a script has them."""
    spans = [span for node in nodes for span in _inline(node, style)]
    text = "".join(span.text for span in spans)
    found, place = [], 0
    for span in spans:
        place += len(span.text)
        found.append(Span(_soft_break(text, place - 1), span.style) if span.text == SOFT else span)
    return found


def _soft_break(text: str, place: int) -> str:
    around = text[place - 1 : place] + text[place + 1 : place + 2]
    return "" if len(around) == 2 and all(map(is_wide, around)) else " "


def _inline(node: "SyntaxTreeNode", style: Style) -> list[Span]:
    match node.type:
        case "text" | "text_special" | "html_inline":
            return [Span(node.content.replace("\n", " ").replace("\r", " "), style)]
        case "softbreak":
            return [Span(SOFT, style)]
        case "hardbreak":
            return [Span("\n", style)]
        case "code_inline":
            return [Span(node.content, replace(style, colour="cyan"))]
        case "link":
            return _link(_inner(node, replace(style, underline=True)), str(node.attrs.get("href", "")), style)
        case "image":
            return _link(_inner(node, style), str(node.attrs.get("src", "")), style)
        case _:
            return _inner(node, EMPHASIS.get(node.type, replace)(style))


SOFT = "\r"  # the end of a source line inside a paragraph
EMPHASIS: dict[str, Callable[[Style], Style]] = {
    "strong": lambda style: replace(style, bold=True),
    "em": lambda style: replace(style, italic=True),
    "s": lambda style: replace(style, strike=True),
}


def _inner(node: "SyntaxTreeNode", style: Style) -> list[Span]:
    return [span for child in node.children for span in _inline(child, style)]


def _link(spans: list[Span], address: str, style: Style) -> list[Span]:
    """The text and, where it does not say it itself, the address: what is shown is where it leads."""
    text = "".join(span.text for span in spans)
    if not address or address.removeprefix("mailto:") == text:
        return spans
    return [*spans, Span(f" ({address})", replace(style, dim=True))]
