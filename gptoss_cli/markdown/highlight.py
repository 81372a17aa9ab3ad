"""Code in colours, by pygments. Each line stays as it is."""

# The theme is one for the process, as the colour and the language are.

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gptoss_cli.markdown.styled import PLAIN, Line, Span, Style, joined

if TYPE_CHECKING:
    from pygments.lexer import Lexer

LONGEST = 50_000  # characters; a longer text is not worth the time

# the kinds of pygments.token that are told apart, the more general after the more special
STYLES = {
    "Token.Keyword": Style(colour="magenta"),
    "Token.Literal.String": Style(colour="green"),
    "Token.Literal.Number": Style(colour="yellow"),
    "Token.Comment": Style(dim=True),
    "Token.Name.Function": Style(colour="blue"),
    "Token.Name.Class": Style(colour="blue", bold=True),
    "Token.Name.Builtin": Style(colour="cyan"),
    "Token.Name.Decorator": Style(colour="cyan"),
    "Token.Name.Tag": Style(colour="magenta"),
    "Token.Name.Attribute": Style(colour="cyan"),
    "Token.Generic.Inserted": Style(colour="green"),
    "Token.Generic.Deleted": Style(colour="red"),
    "Token.Generic.Heading": Style(bold=True),
}


_theme = "terminal"


def choose_theme(name: str) -> None:
    """`terminal`: the terminal's own eight colours; `plain`: none; else the name of a style that pygments has."""
    global _theme
    _theme = name


def highlighted(code: str, language: str) -> list[Line]:
    """The lines of `code`; uncoloured for a language that is not known."""
    code = code.removesuffix("\n")
    lexer = _lexer(language.lower()) if language and len(code) <= LONGEST and _theme != "plain" else None
    if lexer is None:
        return [(Span(line),) if line else () for line in code.split("\n")]
    lines: list[list[Span]] = [[]]
    for kind, text in lexer.get_tokens(code):
        first, *others = text.split("\n")
        style = _style(kind, _theme)
        lines[-1].append(Span(first, style))
        lines += [[Span(other, style)] for other in others]
    return [joined(line) for line in lines[: code.count("\n") + 1]]


@lru_cache
def _lexer(language: str) -> "Lexer | None":
    from pygments.lexers import get_lexer_by_name  # 30 ms: only for an answer with code
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache
def _style(kind: Any, theme: str) -> Style:  # Any: a pygments token type
    if theme != "terminal":
        from pygments.styles import get_style_by_name

        found = get_style_by_name(theme).style_for_token(kind)
        colour = f"#{found['color']}" if found["color"] else None
        return Style(bool(found["bold"]), bool(found["italic"]), bool(found["underline"]), colour=colour)
    name = str(kind)
    while name != "Token":
        if name in STYLES:
            return STYLES[name]
        name = name.rpartition(".")[0]
    return PLAIN
