"""Events on the screen: the answer on stdout, all else on stderr. Knows streams and terminals, no model."""

import math
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from gptoss_cli.errors import GptossError
from gptoss_cli.language import translated
from gptoss_cli.markdown.styled import Span, plain
from gptoss_cli.markdown.wrap import wrap
from gptoss_cli.messages import Channel, Delta, Done, Event, Message, Notice, Progress
from gptoss_cli.terminal.flow import Flow
from gptoss_cli.terminal.page import Page
from gptoss_cli.terminal.text import safe as safe
from gptoss_cli.units import cells as cells
from gptoss_cli.units import padded as padded

REDRAW_S = 0.1  # decoding with all cores suffers from anything that is busy beside it
SPINNER, ASCII_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
STAGES = {
    "load": "Loading",
    "prompt": "Reading the prompt",
    "convert": "Converting",
    "wait": "Waiting for another command",
}
NARROWEST = 20
DIM, PLAIN, CLEAR_LINE = "\x1b[2m", "\x1b[0m", "\r\x1b[K"
SEPARATORS = str.maketrans("\t\r\n", "   ")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, plain: bool) -> list[str]:
    """Lines of a table whose columns stand below each other; plain: no titles, a tab between, for programs.

    A file may have a tab or the end of a line in its name: a blank here; JSON has it as it is.
    """
    if plain:
        return ["\t".join(cell.translate(SEPARATORS) for cell in row) for row in rows]
    lines = [titles, *rows]
    widths = [max(cells(line[column]) for line in lines) for column in range(len(titles) - 1)]
    return [
        "  ".join([*(padded(text, width) for text, width in zip(line, widths, strict=False)), line[-1]])
        for line in lines
    ]


_colour = "auto"


def choose_colour(choice: str) -> None:
    """`always`, `never` or `auto`, which asks the environment and the stream; for the whole process, once."""
    global _colour
    _colour = choice


def wants_colour(environment: Mapping[str, str], plain: bool) -> bool:
    """Whether a stream gets colour. plain: it is no terminal, or a dumb one.

    In `auto`, NO_COLOR (no-color.org) goes before FORCE_COLOR (force-color.org), as Python itself has it.
    """
    if _colour != "auto":
        return _colour == "always"
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or not plain


@dataclass
class Screen:
    """The two streams, and what each can show. quiet: nothing on stderr but errors.

    about: what each line that is told begins with, where one of many is meant: `line 3: `.
    """

    out: TextIO
    err: TextIO
    environment: Mapping[str, str]
    quiet: bool = False
    about: str = ""

    def __post_init__(self) -> None:
        dumb = self.environment.get("TERM") == "dumb"
        self.out_is_terminal = self.out.isatty()
        self.err_is_terminal = self.err.isatty()
        self.live = self.err_is_terminal and not dumb and not self.quiet
        self.colour = not self.quiet and wants_colour(self.environment, dumb or not self.err_is_terminal)
        self.fancy = self._can_encode(SPINNER + "◇·")
        self.renders = self.out_is_terminal and not dumb  # Markdown as it is meant
        self.out_colour = wants_colour(self.environment, dumb or not self.out_is_terminal)

    def _can_encode(self, text: str) -> bool:
        locale = next(
            (self.environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if self.environment.get(name)), ""
        )
        return os.name == "nt" or "utf" in locale.lower()

    def answer(self, text: str) -> None:
        """A piece of the answer; to a pipe exactly as it is."""
        self.out.write(safe(text) if self.out_is_terminal else text)
        self.out.flush()

    def size(self) -> tuple[int, int]:
        """(columns, rows) of the terminal now."""
        columns, rows = shutil.get_terminal_size()
        return max(columns, NARROWEST), max(rows, 2)

    def page(self, markdown: str = "auto", *, wrap: bool = True) -> Page | None:
        """Where an answer is drawn as Markdown: `auto` on a terminal that can, `always`, or `never` (None).

        Without a terminal it is drawn once, at the end.
        """
        if markdown == "never" or (markdown == "auto" and not self.renders):
            return None
        every_s = {} if self.renders else {"every_s": math.inf}
        return Page(self.out, self.size, colour=self.out_colour, wrap=wrap, **every_s)

    def tell(self, line: str) -> None:
        """A line of what was asked for, on stdout."""
        self.out.write((safe(line) if self.out_is_terminal else line) + "\n")
        self.out.flush()

    def complain(self, error: GptossError) -> None:
        """What went wrong, and what to do."""
        for line in (f"gptoss: {error}", *([f"  {error.hint}"] if error.hint else [])):
            self.err.write(self._folded(safe(line)) + "\n")
        self.err.flush()

    def say(self, text: str) -> None:
        """A line for the user, on stderr."""
        if not self.quiet:
            self.err.write(self._folded(f"gptoss: {self.about}{safe(text)}") + "\n")
            self.err.flush()

    def _folded(self, line: str) -> str:
        """`line` broken between words where a terminal would break it anywhere; what follows is indented."""
        columns = self.size()[0]
        if not self.live or cells(line) <= columns or any(cells(word) > columns - 2 for word in line.split()):
            return line  # a long path is copied whole where it stands
        first = line[: len(line) - len(line.lstrip())]
        rows = list(map(plain, wrap([Span(line.strip())], columns - 2)))
        return line if rows[0] == "gptoss:" else first + "\n  ".join(rows)

    def dim(self, text: str) -> None:
        if not text:
            return
        text = safe(text) if self.err_is_terminal else text
        self.err.write(f"{DIM}{text}{PLAIN}" if self.colour else text)
        self.err.flush()


@dataclass
class Shown:
    """What one reply was: its texts, when they came (seconds from the start), and how it ended."""

    answer: str = ""
    thinking: str = ""
    thinking_at: float | None = None
    answer_at: float | None = None
    ended_at: float = 0.0
    done: Done | None = None
    notices: list[str] = field(default_factory=list)

    @property
    def thinking_s(self) -> float | None:
        """How long thoughts came before the answer, or after it where it came first; None without thoughts."""
        if self.thinking_at is None:
            return None
        came_first = self.answer_at is not None and self.answer_at >= self.thinking_at
        return self._until(self.answer_at if came_first else None) - self.thinking_at

    @property
    def answer_s(self) -> float:
        """How long the answer came, without thoughts that came after it."""
        if self.answer_at is None:
            return 0.0
        followed = self.thinking_at is not None and self.thinking_at > self.answer_at
        return self._until(self.thinking_at if followed else None) - self.answer_at

    def _until(self, other_at: float | None) -> float:
        """When what came last ended; `ended_at` is not set before `Viewer.finish`."""
        begun = max(self.thinking_at or 0.0, self.answer_at or 0.0)
        return other_at if other_at is not None else max(self.ended_at, begun)


class Viewer:
    """Takes the events of one reply, shows them, and keeps what was said; `finish` in every case."""

    def __init__(
        self,
        screen: Screen,
        *,
        thinking: str = "line",
        show_answer: bool = True,
        page: Page | None = None,
        started: float | None = None,
    ) -> None:
        """thinking: `show` the thoughts themselves, a live `line` that becomes their time, or `hide` even that.

        page: draws the answer as Markdown; without one it is written as it is. started: what the times of `Shown`
        count from, by time.monotonic; None is now.
        """
        self._screen = screen
        self._thinking = thinking
        self._show_answer = show_answer
        self._page = page
        self._line = _LiveLine(screen)
        self._flow = Flow(lambda: screen.size()[0])
        self._started = time.monotonic() if started is None else started
        self._message = ""  # of the final channel, as far as it streamed
        self._aside = False  # stderr stands inside a line
        self._noticed = 0  # how many notices the user has seen
        self._waiting = False  # the user knows that others are served first
        self.shown = Shown()

    def show(self, events: Iterable[Event]) -> Shown:
        """Show them all; whatever `events` raises goes on after the screen is tidy."""
        try:
            for event in events:
                self.see(event)
        finally:
            self.finish()
        return self.shown

    def see(self, event: Event) -> None:
        match event:
            case Delta(channel=Channel.FINAL, text=text, recipient=None):
                self._answer(text)
                self._message += text
            case Delta(channel=Channel.ANALYSIS, text=text):
                self._think(text)
            case Delta(channel=Channel.COMMENTARY, text=text, recipient=None):
                self._remark(text)
            case Message():
                self._message_ended(event)
            case Progress(stage, done, total):
                if stage == "wait":
                    self._tell_of_waiting()
                self._line.progress(stage, done, total)
            case Notice(text):
                self._notice(text)
            case Done():
                self.shown.done = event
            case _:
                pass

    def _notice(self, text: str) -> None:
        """At once while there is nothing that it could stand in the middle of; else at the end."""
        self.shown.notices.append(text)
        if not (self.shown.answer or self.shown.thinking):
            self._line.clear()
            self._screen.say(text)
            self._noticed += 1

    def _tell_of_waiting(self) -> None:
        """Once and at once, where there is no live line."""
        if not (self._screen.live or self._waiting):
            self._screen.say(translated("another command uses this model; waiting"))
        self._waiting = True

    def finish(self) -> None:
        """Leave both streams at the start of a line, and say what was noticed."""
        self.shown.ended_at = self._now()
        self._end_aside()
        self._line.collapse(self._thought_s())
        if self._page and self.shown.answer:
            self._page.finish()
        elif self._show_answer and self.shown.answer and not self.shown.answer.endswith("\n"):
            self._screen.answer("\n")
        for notice in self.shown.notices[self._noticed :]:
            self._screen.say(notice)

    def _now(self) -> float:
        return time.monotonic() - self._started

    def _thought_s(self) -> float | None:
        return None if self._thinking == "hide" else self.shown.thinking_s

    def _answer(self, text: str) -> None:
        if self.shown.answer_at is None:
            self.shown.answer_at = self._now()
            self._end_aside()
            self._line.collapse(self._thought_s())
        self.shown.answer += text
        if self._page:
            self._page.feed(text)
        elif self._show_answer:
            self._screen.answer(text)

    def _think(self, text: str) -> None:
        if self.shown.thinking_at is None:
            self.shown.thinking_at = self._now()
        self.shown.thinking += text
        if self._thinking == "show":
            self._write_aside(text)
        elif self._thinking == "line":
            self._line.thinking(self._now() - self.shown.thinking_at)

    def _remark(self, text: str) -> None:
        """A preamble is meant for the user, and it is not the answer."""
        if self._screen.live:
            self._write_aside(text)

    def _write_aside(self, text: str) -> None:
        self._line.clear()
        self._screen.dim(self._flow.feed(safe(text)) if self._screen.live else text)
        self._aside = not text.endswith("\n")

    def _end_aside(self) -> None:
        if rest := self._flow.end():
            self._screen.dim(rest)
        if self._aside:
            self._screen.err.write("\n")
            self._screen.err.flush()
            self._aside = False

    def _message_ended(self, message: Message) -> None:
        if message.channel is Channel.FINAL and not message.recipient:
            if len(message.text) > len(self._message):  # it had no channel until the reply was over
                self._answer(message.text[len(self._message) :])
            self._message = ""
        elif message.channel in (Channel.ANALYSIS, Channel.COMMENTARY):
            self._end_aside()


class _LiveLine:
    """One line on stderr that says what is going on; it is gone, or collapsed, when something else is printed."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._drawn_at = 0.0
        self._visible = False
        self._tokens = 0
        self._collapsed = False

    def progress(self, stage: str, done: int, total: int) -> None:
        what = translated(STAGES.get(stage, stage))
        share = f" {100 * done // total}%" if total else ""
        self._draw(f"{what}{share}")

    def thinking(self, seconds: float) -> None:
        self._tokens += 1
        dot = "·" if self._screen.fancy else "-"
        told = translated("Thinking {seconds:.0f}s {dot} {tokens} tok", seconds=seconds, dot=dot, tokens=self._tokens)
        self._draw(told)

    def collapse(self, thought_s: float | None) -> None:
        """Once: the line gives way to how long it took, or to nothing."""
        self.clear()
        if self._screen.live and thought_s is not None and not self._collapsed:
            mark = "◇" if self._screen.fancy else "*"
            self._screen.dim(f"{mark} {translated('Thought for {seconds:.1f} s', seconds=thought_s)}")
            self._screen.err.write("\n")
            self._screen.err.flush()
            self._collapsed = True

    def clear(self) -> None:
        if self._visible:
            self._screen.err.write(CLEAR_LINE)
            self._screen.err.flush()
            self._visible = False

    def _draw(self, text: str) -> None:
        now = time.monotonic()
        if not self._screen.live or now - self._drawn_at < REDRAW_S:
            return
        self._drawn_at = now
        frames = SPINNER if self._screen.fancy else ASCII_SPINNER
        self._screen.err.write(CLEAR_LINE)
        shown = f"{frames[int(now / REDRAW_S) % len(frames)]} {text}"
        room = self._screen.size()[0] - 1  # a line that took two rows could not be cleared
        while cells(shown) > room:
            shown = shown[:-1]
        self._screen.dim(shown)
        self._visible = True
