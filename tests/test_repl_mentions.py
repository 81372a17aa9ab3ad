"""Files behind an @: what a message names, and what Tab offers for it."""

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from gptoss_cli.repl.completion import SlashCompleter
from gptoss_cli.repl.mentions import mentions

NAMES = ("notes.txt", "文件.txt", "my file.txt", "a(1).txt", "it's.txt")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in NAMES:
        (tmp_path / name).write_text("x")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/two words.py").write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("see @notes.txt", ["notes.txt"]),
        ("@notes.txt, @notes.txt. and @./notes.txt", ["notes.txt"]),
        ("看@文件.txt", ["文件.txt"]),
        ("看@文件.txt，謝謝", ["文件.txt"]),
        ("（@文件.txt）", ["文件.txt"]),
        ("請讀@notes.txt的內容", ["notes.txt"]),
        ("「@notes.txt」和@文件.txt。", ["notes.txt", "文件.txt"]),
        ("(@notes.txt)", ["notes.txt"]),
        ('"@notes.txt"', ["notes.txt"]),
        ("(@a(1).txt).", ["a(1).txt"]),
        ('read @"my file.txt", please', ["my file.txt"]),
        ("read @'my file.txt'.", ["my file.txt"]),
        ('@"it\'s.txt"', ["it's.txt"]),
        ("me@notes.txt", []),
        ("m3@notes.txt @@notes.txt", []),
        ("@notes.txt.bak", []),
        ("@my file.txt", []),
        ("", []),
        ("@", []),
        ("@" + "x" * 5000, []),
        ("@a\0b/c", []),
    ],
)
def test_what_is_a_file_goes_along_once(text: str, names: list[str], folder: Path) -> None:
    assert [each.path.name for each in mentions(text) if each.path] == names


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("@none.txt, @other/x and @~no-such-user", ["no file none.txt", "no file other/x", "no file ~no-such-user"]),
        ("看@沒有.txt。", ["no file 沒有.txt"]),
        ('@"no such.txt"', ["no file no such.txt"]),
        ("(@src/)", ["src/ is a folder"]),
        ("@none.txt @none.txt", ["no file none.txt"]),
        ("@someone said @property; me@example.com and @src. @...", []),
    ],
)
def test_what_looks_like_a_path_and_is_no_file_is_a_problem(text: str, problems: list[str], folder: Path) -> None:
    assert [each.problem for each in mentions(text) if each.problem] == problems


def offered(text: str) -> list[tuple[str, str]]:
    """(what the line is then, what the menu shows)"""
    completer = SlashCompleter(dict, frozenset(["/file"]))
    document = Document(text)
    return [
        (text[: len(text) + each.start_position] + each.text, each.display_text)
        for each in completer.get_completions(document, CompleteEvent())
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("see @no", "see @notes.txt"),
        ("看@文", "看@文件.txt"),
        ("「@notes.txt」和@文", "「@notes.txt」和@文件.txt"),
        ("@\"it'", '@"it\'s.txt"'),
        ("see @my", 'see @"my file.txt"'),
        ('see @"my', 'see @"my file.txt"'),
        ("see @'my fi", "see @'my file.txt'"),
        ("@src/tw", '@"src/two words.py"'),
        ('@"src/two w', '@"src/two words.py"'),
        ("@it", '@"it\'s.txt"'),
        ("@sr", "@src/"),
        ("/file my f", "/file my file.txt"),
    ],
)
def test_tab_offers_a_name_as_the_message_needs_it(text: str, line: str, folder: Path) -> None:
    assert [each for each, _ in offered(text)] == [line]


def test_tab_offers_nothing_in_an_address_or_behind_a_name(folder: Path) -> None:
    for text in ("me@no", 'see @"my file.txt"', "no", "@~no-such-user/x", "@none/x", "@a\0/b"):
        assert offered(text) == []


def test_names_reach_a_terminal_harmless(folder: Path) -> None:
    for name in ("bad\x1b]0;x\x07.txt", "bad\nline.txt", "bad\u202etxt.exe"):
        (folder / name).write_text("x")
    assert offered("@bad") == [("@bad\u202etxt.exe", "bad<U+202E>txt.exe")]
    assert offered("/file bad") == [("/file bad\u202etxt.exe", "bad<U+202E>txt.exe")]
