"""An answer drawn while it streams: what stands on a real terminal's screen at the end, and on the way."""

from pathlib import Path
from random import Random

import pyte
import pytest

from gptoss_cli.markdown.stream import whole
from gptoss_cli.markdown.styled import plain
from gptoss_cli.terminal.page import Page
from gptoss_cli.units import cells

TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in (Path(__file__).parent / "data/markdown").glob("*.md")}


class Terminal:
    """A terminal emulator with its scrollback, as a stream to write to."""

    def __init__(self, columns: int, rows: int) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=5000, ratio=0.001)
        self.screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self.screen)
        self.written = 0

    def write(self, text: str) -> int:
        self._stream.feed(text)
        self.written += len(text)
        return len(text)

    def flush(self) -> None:
        pass

    def size(self) -> tuple[int, int]:
        return self.screen.columns, self.screen.lines

    def lines(self) -> list[str]:
        """All lines, those that have scrolled away first, without blanks at their end."""
        above = ["".join(row[column].data for column in range(self.screen.columns)) for row in self.screen.history.top]
        lines = [line.rstrip() for line in [*above, *self.screen.display]]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def drawn(text: str, terminal: Terminal, seed: int = 0) -> Page:
    """`text` in pieces of a few characters, each of them drawn."""
    made = Page(terminal, terminal.size, colour=True, every_s=0.0)  # type: ignore[arg-type]
    random, place = Random(seed), 0
    while place < len(text):
        size = random.randint(1, 9)
        made.feed(text[place : place + size])
        place += size
    return made


def as_rows(text: str, columns: int) -> list[str]:
    """The lines of a full render, broken where a terminal breaks what is too long for it."""
    rows = []
    for line in map(plain, whole(text, columns)):
        row = ""
        for letter in line.expandtabs(8):
            if cells(row) + cells(letter) > columns:
                rows.append(row.rstrip())
                row = ""
            row += letter
        rows.append(row.rstrip())
    return rows


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (44, 10)])
@pytest.mark.parametrize("name", TEXTS)
def test_what_stands_there_at_the_end_is_a_full_render(name: str, columns: int, rows: int) -> None:
    text = TEXTS[name].replace("👩‍👩‍👧", "").replace("🇹🇼", "")  # pyte has no grapheme clusters
    terminal = Terminal(columns, rows)
    drawn(text, terminal).finish()
    found = [
        line.replace(" ", "") for line in terminal.lines()
    ]  # pyte puts nothing into a wide character's second cell
    assert found == [line.replace(" ", "") for line in as_rows(text, columns)]
    assert terminal.screen.cursor.x == 0


def test_a_block_taller_than_the_screen_shows_its_end_and_is_there_once() -> None:
    terminal = Terminal(30, 8)
    text = "".join(f"- item {number}\n" for number in range(40))
    made = drawn(text, terminal)
    assert terminal.lines()[-1] == "• item 39"
    assert len(terminal.lines()) <= 8
    made.finish()
    assert terminal.lines() == [f"• item {number}" for number in range(40)]


def test_a_paragraph_that_streams_is_not_written_again_and_again() -> None:
    terminal = Terminal(40, 20)
    text = "word " * 120
    drawn(text, terminal).finish()
    assert terminal.written < 12 * len(text)
    assert " ".join(terminal.lines()) == text.strip()


@pytest.mark.parametrize("columns", [20, 70])
def test_a_change_of_the_size_loses_nothing(columns: int) -> None:
    terminal = Terminal(40, 20)
    made = drawn("first paragraph\n\nsecond paragraph of some words ", terminal)
    terminal.screen.resize(20, columns)
    made.feed("that goes on after the change of the size\n\nthird")
    made.finish()
    words = " ".join(terminal.lines()).split()
    for word in ("first", "second", "goes", "size", "third"):
        assert word in words
    assert max(len(line) for line in terminal.lines()) <= columns


def test_without_wrapping_lines_are_as_long_as_they_are() -> None:
    terminal = Terminal(20, 10)
    made = Page(terminal, terminal.size, colour=False, wrap=False)  # type: ignore[arg-type]
    made.feed("one two three four five six seven")
    made.finish()
    assert terminal.lines() == ["one two three four f", "ive six seven"]


def test_a_word_longer_than_the_screen_is_whole_while_it_grows_and_at_the_end() -> None:
    terminal = Terminal(20, 10)
    page = drawn("Call `to=functions.get_weather`. 天氣\n\n    code = 'much longer than a row of it'", terminal)
    for _ in range(2):
        shown = "".join(terminal.lines()).replace(" ", "")
        assert "to=functions.get_weather.天氣" in shown
        assert "code='muchlongerthanarowofit'" in shown
        page.finish()
