"""Markdown that grows: which of its lines are final, and what the rest looks like now.

Only the last top-level block of a text can still change when more of it comes, so all before it is final as soon as its
last line is complete. Links whose target is defined later than they are used are the exception.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from gptoss_cli.markdown.lines import render
from gptoss_cli.markdown.styled import Line

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


class Growing:
    """A Markdown text that comes in pieces; its lines are the same however it is cut."""

    def __init__(self, width: int) -> None:
        self.width = width  # cells; may change while it grows
        self._pending = ""  # from the beginning of the last block
        self._known: dict[str, Any] = {}  # targets of links, as markdown-it keeps them
        self._begun = False

    def feed(self, text: str) -> None:
        """Add `text`, in whole characters. Quick: nothing is parsed before it is asked for."""
        self._pending += text

    def settled(self) -> list[Line]:
        """The lines that have become final since the last call."""
        end = self._pending.rfind("\n") + 1
        cut = _last_block(self._pending[:end], self._known) if end else 0
        if not cut:
            return []
        text, self._pending = self._pending[:cut], self._pending[cut:]
        return self._lines(text, self._known)

    def tail(self) -> list[Line]:
        """What follows the final lines, as far as the text goes; may look different the next time."""
        begun = self._begun
        lines = self._lines(self._pending, dict(self._known))
        self._begun = begun
        return lines

    def close(self) -> list[Line]:
        """All lines that are left; the text is over."""
        text, self._pending = self._pending, ""
        return self._lines(text, self._known)

    def _lines(self, text: str, known: dict[str, Any]) -> list[Line]:
        from markdown_it.tree import SyntaxTreeNode

        lines = render(SyntaxTreeNode(_parser().parse(text, known)).children, self.width)
        if lines and self._begun:
            lines = [(), *lines]
        self._begun = self._begun or bool(lines)
        return lines


def whole(text: str, width: int) -> list[Line]:
    """The lines of a text that is complete."""
    growing = Growing(width)
    growing.feed(text)
    return growing.close()


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # 40 ms: only for an answer on a terminal

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _last_block(text: str, known: dict[str, Any]) -> int:
    """Where the last top-level block of `text` begins; 0 when all before it may still change."""
    tokens = [token for token in _parser().parse(text, _copied(known)) if token.level == 0 and token.map]
    if len(tokens) < 2:
        return 0
    lines = text.splitlines(keepends=True)
    first = _line_of(tokens[-1])
    covered = max((token.map[1] for token in tokens[:-1] if token.map), default=0)
    # between the two only blank lines: a definition of a link may go on in the next line
    if any(line.strip() for line in lines[covered:first]) and lines[first - 1].strip():
        return 0
    return sum(map(len, lines[:first]))


def _line_of(token: "Token") -> int:
    return token.map[0] if token.map else 0


def _copied(known: dict[str, Any]) -> dict[str, Any]:
    """For a trial: what it finds out must not stay."""
    return {name: dict(value) if isinstance(value, dict) else value for name, value in known.items()}
