"""What goes to which stream, as a terminal and as a pipe see it."""

import io
import re
from collections.abc import Iterable

import pytest

from gptoss_cli.messages import Channel, Delta, Done, End, Event, Message, Notice, Progress, ReplyTimings, Role, Usage
from gptoss_cli.terminal import Screen, Shown, Viewer, cells, safe

DONE = Done("stop", Usage(5, 5, 0, 0, 2, 3), ReplyTimings(0.1, 0.2, 0.3, 0.4))


class Stream(io.StringIO):
    """A stream in memory that says whether it is a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def shown(
    events: Iterable[Event],
    *,
    out: bool = False,
    err: bool = False,
    thinking: str = "line",
    quiet: bool = False,
    environment: dict[str, str] | None = None,
) -> tuple[str, str]:
    streams = Stream(out), Stream(err)
    screen = Screen(*streams, {"TERM": "xterm", "LANG": "C.UTF-8"} | (environment or {}), quiet)
    Viewer(screen, thinking=thinking).show(events)
    return streams[0].getvalue(), streams[1].getvalue()


def reply(answer: str = "Hi", thought: str = "hm") -> list[Event]:
    return [
        Progress("prompt", 1, 2),
        Delta(Channel.ANALYSIS, thought),
        Message(Role.ASSISTANT, (thought,), Channel.ANALYSIS, end=End.END),
        *(Delta(Channel.FINAL, letter) for letter in answer),
        Message(Role.ASSISTANT, (answer,), Channel.FINAL, end=End.RETURN),
        Notice("something"),
        DONE,
    ]


def test_a_pipe_gets_the_answer_and_a_newline() -> None:
    assert shown(reply()) == ("Hi\n", "gptoss: something\n")
    assert shown(reply("Hi\n"))[0] == "Hi\n"


def test_times_are_never_negative_whatever_came_first() -> None:
    assert (Shown(thinking_at=1.0, answer_at=3.0, ended_at=7.0).thinking_s, Shown().thinking_s) == (2.0, None)
    assert Shown(thinking_at=1.0, answer_at=3.0, ended_at=7.0).answer_s == 4.0
    late = Shown(thinking_at=4.0, answer_at=3.0, ended_at=7.0)  # as a malformed reply has it
    assert (late.thinking_s, late.answer_s) == (3.0, 1.0)
    unfinished = Shown(thinking_at=2.0)
    assert (unfinished.thinking_s, unfinished.answer_s) == (0.0, 0.0)


def test_thoughts_collapse_into_one_line_on_a_terminal() -> None:
    out, err = shown(reply(), err=True)
    assert out == "Hi\n"
    assert "Thinking 0s · 1 tok" in err or "Reading the prompt" in err
    assert "◇ Thought for 0.0 s" in err
    assert "hm" not in err


def test_no_line_is_left_half_drawn() -> None:
    _, err = shown(reply(), err=True)
    assert err.rindex("\r\x1b[K") < err.index("◇")


def test_thoughts_are_shown_when_asked_for_and_never_on_stdout() -> None:
    assert shown(reply(thought="deep"), thinking="show") == ("Hi\n", "deep\ngptoss: something\n")
    out, err = shown(reply(thought="deep"), err=True, thinking="show")
    assert out == "Hi\n"
    assert "\x1b[2mdeep\x1b[0m\n" in err


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(environment: dict[str, str]) -> None:
    _, err = shown(reply(thought="deep"), err=True, thinking="show", environment=environment)
    assert "\x1b[2m" not in err
    assert "deep\n" in err


def test_hidden_thoughts_leave_no_sign() -> None:
    out, err = shown(reply(), err=True, thinking="hide")
    assert out == "Hi\n"
    assert "Thought" not in err
    assert "Thinking" not in err
    assert "hm" not in err


def test_a_dumb_terminal_has_no_live_line() -> None:
    _, err = shown(reply(), err=True, environment={"TERM": "dumb"})
    assert err == "gptoss: something\n"


def test_quiet_is_quiet() -> None:
    assert shown(reply(), err=True, quiet=True) == ("Hi\n", "")


def test_a_terminal_without_unicode_gets_letters_it_has() -> None:
    _, err = shown(reply(), err=True, environment={"LANG": "C", "LC_ALL": ""})
    assert "* Thought for" in err
    assert err.isascii()


HOSTILE = {
    "\x1b]52;c;aGk=\x07": "]52;c;aGk=",  # writes the clipboard
    "\x1b[2J\x1b[H": "[2J[H",
    "\x9b31mred": "31mred",
    "a\rb\x08c\x7f": "abc",
    "\u202eevil\u2066x": "evilx",
    "tab\tline\n": "tab\tline\n",
    "中文 🙂 👨‍👩‍👧": "中文 🙂 👨‍👩‍👧",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_obeys_reaches_it_however_it_is_split(text: str) -> None:
    assert safe(text) == HOSTILE[text]
    out, err = shown(reply(text, text), out=True, err=True, thinking="show", environment={"NO_COLOR": "1"})
    assert out.rstrip("\n") == HOSTILE[text].rstrip("\n")
    assert "\x1b" not in err.replace("\r\x1b[K", "")
    assert shown(reply(text))[0].rstrip("\n") == text.rstrip("\n")  # a pipe gets it as it is


def test_an_answer_that_had_no_channel_at_first_is_shown_once() -> None:
    events = [
        Delta(None, "plain"),
        Message(Role.ASSISTANT, ("plain",), Channel.FINAL, end=End.RETURN),
        DONE,
    ]
    assert shown(events)[0] == "plain\n"


def test_a_preamble_is_for_the_terminal_and_not_for_the_pipe() -> None:
    preamble = [
        Delta(Channel.COMMENTARY, "First I look."),
        Message(Role.ASSISTANT, ("First I look.",), Channel.COMMENTARY, end=End.END),
        *reply(),
    ]
    assert shown(preamble) == ("Hi\n", "gptoss: something\n")
    assert "First I look.\n" in shown(preamble, err=True, environment={"NO_COLOR": "1"})[1]


def test_thoughts_are_broken_between_words_on_a_terminal_and_nowhere_in_a_pipe() -> None:
    text = "A thought of words, 然後是中文的想法，也要斷行。" * 9 + "https://example.org/" + "x" * 100
    thoughts = [Delta(Channel.ANALYSIS, piece) for piece in re.findall(r".{1,7}", text)]
    err = shown([*thoughts, *reply()[1:]], err=True, thinking="show", environment={"NO_COLOR": "1", "COLUMNS": ""})[1]
    lines = err.split("\n◇" if "◇" in err else "\n*")[0].replace("\r\x1b[K", "").split("\n")
    assert max(map(cells, lines[:-1])) <= 80
    assert "".join(lines).replace(" ", "") == (text + "hm").replace(" ", "")
    assert not [line for line in lines if line[:1] in "，。,"]
    assert text + "hm" in shown([*thoughts, *reply()[1:]], thinking="show")[1]


def test_an_interruption_leaves_what_was_said_and_ends_the_line() -> None:
    def events() -> Iterable[Event]:
        yield Delta(Channel.FINAL, "half")
        raise KeyboardInterrupt

    streams = Stream(True), Stream(True)
    with pytest.raises(KeyboardInterrupt):
        Viewer(Screen(*streams, {"TERM": "xterm"})).show(events())
    assert streams[0].getvalue() == "half\n"
