"""Lines broken at a width in cells, Chinese and Japanese included: no line begins with closing punctuation."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from gptoss_cli.markdown.styled import Line, Span, joined
from gptoss_cli.units import cells

# What must not begin or end a line: the closing and opening punctuation of "Requirements for Chinese Text Layout"
# (W3C, clreq, 3.1.3 "Prohibition rules for line start and line end"), the small kana of its Japanese sister, and their
# ASCII likes, which stand behind or before a word anyway.
NOT_FIRST = frozenset(
    "，。、；：！？）」』】〉》〕］｝’”…—～·・ー％‰℃,.;:!?)]}%>々ぁぃぅぇぉっゃゅょァィゥェォッャュョ"
)
NOT_LAST = frozenset("（「『【〈《〔［｛‘“([{<$￥＄")

# a newline, blanks, or what stands between them
PARTS = re.compile(r"\n|[^\S\n\u3000\u00a0]+|[^\s\u3000\u00a0]+|[\u3000\u00a0]+")


def wrap(spans: Sequence[Span], width: int, *, hard: bool = False) -> list[Line]:
    """The lines of `spans`, each at most `width` cells wide; at least one.

    A newline in the text breaks a line. A word longer than the width has a line of its own, so that an address can be
    copied whole; hard: it is cut.
    """
    text = "".join(span.text for span in spans)
    return [_cut(spans, start, end) for start, end in _ranges(text, max(1, width), hard)]


def _ranges(text: str, width: int, hard: bool) -> Iterator[tuple[int, int]]:
    """Where the lines of `text` begin and end; blanks at a break belong to no line."""
    start = end = 0  # of the line that is being filled
    used = blank = 0  # cells of it, and of the blanks behind it
    for word_start, word_end in units(text):
        word = text[word_start:word_end]
        if word == "\n":
            yield start, end
            start = end = word_end
            used = blank = 0
        elif word.isspace() and word[0] not in "\u3000\u00a0":
            blank += cells(word)
        else:
            size = cells(word)
            if used and used + blank + size > width:
                yield start, end
                start, used = word_start, 0
            elif not used and not (end > start):
                start = word_start
            while hard and size > width:
                cut = _fitting(word, width)
                yield word_start, word_start + cut
                word_start += cut
                word, start = text[word_start:word_end], word_start
                size = cells(word)
            used, blank, end = used + blank + size if used else size, 0, word_end
    yield start, end


def _fitting(word: str, width: int) -> int:
    """How many characters of `word` fit, whole graphemes, at least one of them."""
    from wcwidth import iter_graphemes

    used = length = 0
    for grapheme in iter_graphemes(word):
        used += cells(grapheme)
        if used > width and length:
            break
        length += len(grapheme)
    return length


def units(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of `text` inside which no line is broken: newlines, blanks, words, single wide characters."""
    for found in PARTS.finditer(text):
        if found[0].isascii() or found[0].isspace():
            yield found.start(), found.end()
        else:
            yield from ((found.start() + a, found.start() + b) for a, b in _wide_units(found[0]))


def _wide_units(word: str) -> Iterator[tuple[int, int]]:
    """The parts of a text without blanks: between two characters a break is allowed when either of them is wide."""
    start = 0
    for place in range(1, len(word)):
        if _breaks(word[place - 1], word[place]):
            yield start, place
            start = place
    yield start, len(word)


def _breaks(before: str, after: str) -> bool:
    if before in NOT_LAST or after in NOT_FIRST:
        return False
    if not is_wide(before) and not is_wide(after):
        return False
    # marks, joiners and variation selectors stay with what they belong to
    return not _joins(after) and before != "\u200d" and not _is_flag(before, after)


def is_wide(letter: str) -> bool:
    """Whether it takes two cells, as Chinese does (Unicode TR11)."""
    return letter > "\u1100" and unicodedata.east_asian_width(letter) in "WF"


def _joins(letter: str) -> bool:
    return unicodedata.category(letter) in ("Mn", "Me", "Mc", "Cf") or "\U0001f3fb" <= letter <= "\U0001f3ff"


def _is_flag(before: str, after: str) -> bool:
    return all("\U0001f1e6" <= letter <= "\U0001f1ff" for letter in (before, after))


def _cut(spans: Sequence[Span], start: int, end: int) -> Line:
    """The part of `spans` from `start` to `end`, counted in characters of their text."""
    line, place = [], 0
    for span in spans:
        line.append(Span(span.text[max(0, start - place) : max(0, end - place)], span.style))
        place += len(span.text)
    return joined(line)
