"""Markdown as lines: the same however it is cut, right in Chinese, and nothing in it that a terminal obeys."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from gptoss_cli.config import THEMES
from gptoss_cli.markdown.highlight import choose_theme
from gptoss_cli.markdown.stream import Growing, whole
from gptoss_cli.markdown.styled import Line, Span, line_cells, plain
from gptoss_cli.markdown.wrap import NOT_FIRST, NOT_LAST, wrap
from gptoss_cli.terminal.page import sgr
from gptoss_cli.units import cells

DATA = Path(__file__).parent / "data"
# the examples of the CommonMark specification 0.31.2 by John MacFarlane (spec.commonmark.org, CC BY-SA 4.0)
EXAMPLES: list[str] = json.loads((DATA / "commonmark.json").read_text(encoding="utf-8"))
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((DATA / "markdown").glob("*.md"))}


def grown(text: str, sizes: list[int], width: int) -> list[Line]:
    """The lines of `text` that comes in pieces of these sizes, over and over."""
    growing, lines, place, turn = Growing(width), [], 0, 0
    while place < len(text):
        size = sizes[turn % len(sizes)]
        growing.feed(text[place : place + size])
        lines += growing.settled()
        growing.tail()  # what is drawn meanwhile has no effect
        place, turn = place + size, turn + 1
    return lines + growing.close()


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_the_examples_of_the_specification_are_the_same_however_they_are_cut(step: int) -> None:
    numbered = list(enumerate(EXAMPLES, 1))[2::step]
    differ = [number for number, text in numbered if grown(text, [1], 40) != whole(text, 40)]
    # a link whose target is defined below it: the text above was final by then
    assert differ == [218]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("width", [20, 80])
def test_texts_are_the_same_however_they_are_cut(name: str, width: int) -> None:
    random = Random(width)
    for sizes in ([3], [random.randint(1, 30) for _ in range(50)]):
        assert grown(TEXTS[name], sizes, width) == whole(TEXTS[name], width)


def test_all_in_one_is_the_same_too() -> None:
    text = "\n\n".join([*TEXTS.values()] * 3)
    assert grown(text, [3, 11], 60) == whole(text, 60)


@pytest.mark.parametrize("width", range(16, 80, 4))
def test_chinese_lines_are_as_wide_as_the_terminal_and_begin_and_end_well(width: int) -> None:
    lines = wrap([Span(TEXTS["chinese"].split("\n\n")[1].replace("\n", ""))], width)
    assert all(line_cells(line) <= width for line in lines)
    assert not [plain(line) for line in lines if plain(line)[0] in NOT_FIRST]
    assert not [plain(line) for line in lines[:-1] if plain(line)[-1] in NOT_LAST]
    assert len(lines) > 1


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("width", [30, 50, 80])
def test_no_line_of_prose_is_too_wide(name: str, width: int) -> None:
    code = False
    for line in map(plain, whole(TEXTS[name], width)):
        code ^= line.startswith("```")
        if not code and "https://" not in line and not line.startswith("    "):
            assert cells(line) <= width, line


def test_code_can_be_copied() -> None:
    lines = [plain(line) for line in whole(TEXTS["english"], 30)]
    start = lines.index("```python")
    code = TEXTS["english"].split("```")[1].split("\n")[1:-1]
    assert lines[start + 1 : start + 1 + len(code)] == code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo", ["one two"]),
        ("中文\n接上", ["中文接上"]),
        ("中文\nword", ["中文 word"]),
        ("a  \nb", ["a", "b"]),
        ("- a\n- b\n  - c", ["• a", "• b", "  ◦ c"]),
        ("- a\n\n- b", ["• a", "", "• b"]),
        ("9. a\n10. b", [" 9. a", "10. b"]),
        ("> a\n>\n> b", ["│ a", "│ ", "│ b"]),
        ("[text](http://x.y) <http://z.w>", ["text (http://x.y) http://z.w"]),
        ("![alt](a.png)", ["alt (a.png)"]),
        ("# T\ntext", ["T", "", "text"]),
        ("~~gone~~ **b** *i* `c`", ["gone b i c"]),
        ("", []),
        ("```\nopen", ["```", "open", "```"]),
        ("|a|b|\n|-|-:|\n|中|1|", ["a   │   b", "────┼────", "中  │   1"]),
    ],
)
def test_how_it_looks(text: str, expected: list[str]) -> None:
    assert [plain(line) for line in whole(text, 40)] == expected


def test_styles_are_codes_and_colours_can_be_left_out() -> None:
    (line,) = whole("**b** *i* `c`", 40)
    assert sgr(line, colour=True) == "\x1b[1mb\x1b[0m \x1b[3mi\x1b[0m \x1b[36mc\x1b[0m"
    assert sgr(line, colour=False) == "\x1b[1mb\x1b[0m \x1b[3mi\x1b[0m c"


@pytest.fixture
def theme() -> Iterator[Callable[[str], None]]:
    yield choose_theme
    choose_theme("terminal")


def test_code_has_the_colours_of_its_theme(theme: Callable[[str], None]) -> None:
    code = "```python\ndef f(): pass\n```"
    for name in THEMES:
        theme(name)
        assert plain(whole(code, 40)[1]) == "def f(): pass"
    theme("monokai")
    assert sgr(whole(code, 40)[1], colour=True).startswith("\x1b[38;5;81mdef\x1b[0m")  # #66d9ef: the nearest of 256
    assert sgr(whole(code, 40)[1], colour=False) == "def f(): pass"
    theme("plain")
    assert sgr(whole(code, 40)[1], colour=True) == "def f(): pass"


def test_code_has_the_colours_of_its_language_only() -> None:
    coloured = [sgr(line, colour=True) for line in whole("```python\ndef f(): pass\n```\n```nothing\ndef f()\n```", 40)]
    assert "\x1b[35mdef\x1b[0m" in coloured[1]
    assert coloured[5] == "def f()"


@pytest.mark.parametrize(
    "text", ["&#27;]52;c;aGk=&#7;", "a&#x9b;31m", "[x](http://a&#27;[31m)", "`\x1b[2J`", "&#8238;x"]
)
def test_nothing_in_it_is_obeyed(text: str) -> None:
    for line in whole(f"{text}\n\n```sh\n{text}\n```\n", 40):
        shown = sgr(line, colour=False).replace("\x1b[4m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


def test_wide_tables_break_their_cells_and_stay_aligned() -> None:
    lines = [plain(line) for line in whole(TEXTS["english"], 40)]
    rows = [line for line in lines if "│" in line and not line.startswith("│")]
    places = {tuple(i for i, letter in enumerate(row) if letter == "│") for row in rows}
    assert len(rows) > 4
    assert len(places) == 1
    assert all(a != b for a, b in pairwise(rows))
