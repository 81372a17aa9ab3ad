"""The line of a download, where there is a terminal and where there is none."""

import io

import pytest

from gptoss_cli.terminal import CLEAR_LINE, Screen
from gptoss_cli.terminal.progress import Bar


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def bar(stream: io.StringIO, **environment: str) -> Bar:
    return Bar(Screen(io.StringIO(), stream, {"LANG": "C.UTF-8", **environment}))


def drawn(columns: int, name: str, monkeypatch: pytest.MonkeyPatch, stage: str = "download") -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    shown = bar(stream)
    shown.begin(name)
    shown.at(stage, 3_800_000_000, 12_100_000_000)
    return stream.getvalue().removeprefix(CLEAR_LINE)


@pytest.mark.parametrize(
    ("columns", "name", "line"),
    [
        (80, "gpt-oss-20b.gguf", "gpt-oss-20b.gguf  31%  3.8/12.1 GB"),
        (35, "gpt-oss-20b.gguf", "gpt-oss-20b.gguf  31%  3.8/12.1 GB"),
        (34, "gpt-oss-20b.gguf", "gpt-oss-20b.gg…  31%  3.8/12.1 GB"),
        (24, "gpt-oss-20b.gguf", "31%  3.8/12.1 GB"),
        (12, "gpt-oss-20b.gguf", "31%"),
        (40, "模型模型模型模型模型模型", "模型模型模型模型模型…  31%  3.8/12.1 GB"),
    ],
)
def test_it_fits_the_terminal(columns: int, name: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(columns, name, monkeypatch) == line


def test_other_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(80, "m.gguf", monkeypatch, "verify") == "m.gguf  checking  31%"
    assert drawn(80, "m.gguf", monkeypatch, "wait") == "m.gguf  waiting  31%"


def test_a_name_is_made_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(80, "m\x1b]52;x\x07.gguf", monkeypatch).startswith("m]52;x.gguf  ")


def test_it_is_drawn_a_few_times_a_second_at_most() -> None:
    stream = Terminal()
    shown = bar(stream)
    shown.begin("m.gguf")
    for done in range(1000):
        shown.at("download", done, 1000)
    assert stream.getvalue().count(CLEAR_LINE) < 20
    shown.clear()
    shown.clear()
    assert stream.getvalue().endswith(f"{CLEAR_LINE}")


def test_elsewhere_it_is_a_plain_line_when_it_is_done() -> None:
    stream = io.StringIO()
    shown = bar(stream)
    shown.begin("m.gguf")
    shown.at("download", 500, 1000)
    shown.end(1000, 500, 0.5)
    assert stream.getvalue() == "m.gguf  1.0 kB  1.0 kB/s  sha256 is right\n"
