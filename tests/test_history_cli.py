"""`gptoss history`, `run --save` and `run -c` as processes."""

import json
import shutil
import subprocess
import sys
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import Gptoss, process_environment
from on_terminal import on_terminal

from gptoss_cli.history import History
from gptoss_cli.library.model import tiny
from gptoss_cli.messages import Channel, End, Message, Role, answer, user

NASTY = (
    "<script>alert(1)</script> ![x](http://e.x/y.png) [z](javascript:alert(1))\n\n| a | b |\n|---|---|\n| **1** | 2 |"
)


@pytest.fixture
def ids(home: Path) -> tuple[str, str]:
    """An older session with a name, and a newer one that was interrupted."""
    with closing(History(home / "sessions.db")) as history:
        old = history.begin("gpt-oss:20b", {"system": None, "options": {}}, "Umzug\t<b>\x1b[2J").id
        thought = Message(Role.ASSISTANT, ("hidden thought",), Channel.ANALYSIS, end=End.END)
        history.write(old, 0, [user("模型有多大？\nAnd <b>why</b>?"), thought, answer(NASTY)])
        new = history.begin("tiny", {}).id
        history.write(new, 0, [user("hello"), Message(Role.ASSISTANT, ("Half",), Channel.FINAL, end=End.LENGTH)])
    return old, new


def test_chats_are_listed_the_newest_first(gptoss: Gptoss, ids: tuple[str, str]) -> None:
    old, new = ids
    done = gptoss("history", "list")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [[row[0], *row[2:]] for row in rows] == [
        [new, "1", "tiny", "", "hello"],
        [old, "1", "gpt-oss:20b", "Umzug <b>\x1b[2J", "模型有多大？ And <b>why</b>?"],
    ]
    assert gptoss("history", "list", "-q", "-n", "1").out == f"{new}\n"
    told = json.loads(gptoss("history", "list", "--json").out)
    assert [(each["id"], each["turns"], each["model"]) for each in told] == [(new, 1, "tiny"), (old, 1, "gpt-oss:20b")]


def test_without_chats_there_is_nothing_and_no_file(gptoss: Gptoss, home: Path) -> None:
    assert (gptoss("history", "list").out, gptoss("history", "list", "--json").out) == ("", "[]\n")
    assert gptoss("history", "path").out == f"{home / 'sessions.db'}\n"
    assert gptoss("history", "rm", "--all", "--yes").code == 0
    assert not home.exists()


def test_a_chat_is_shown_without_its_thoughts(gptoss: Gptoss, ids: tuple[str, str]) -> None:
    done = gptoss("history", "show", "last")
    assert done.out.endswith("## User\n\nhello\n\n## Assistant\n\nHalf\n\n*(interrupted)*\n")
    assert "hidden" not in gptoss("history", "show", ids[0]).out
    told = json.loads(gptoss("history", "show", ids[0], "--json").out)
    assert [(each["turn"], each["role"], each["channel"]) for each in told["messages"]] == [
        (1, "user", None),
        (1, "assistant", "analysis"),
        (1, "assistant", "final"),
    ]


@pytest.mark.soak
def test_a_search_needs_all_its_words(gptoss: Gptoss, ids: tuple[str, str]) -> None:
    assert gptoss("history", "search", "模型").out == f"{ids[0]}\t1\tuser\t模型有多大？ And <b>why</b>?\n"
    assert gptoss("history", "search", "WHY", "多大").out.count("\n") == 1
    assert gptoss("history", "search", "why", "hello").out == ""
    assert gptoss("history", "search", "hidden").out == ""
    (hit,) = json.loads(gptoss("history", "search", "hel", "--json").out)
    assert hit == {"session": ids[1], "name": None, "turn": 1, "role": "user", "excerpt": "hello"}


class Page(HTMLParser):
    """The tags of a page, their attributes, and the ones left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [(tag, value or "") for name, value in attributes if name in ("href", "src")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_needs_nothing_and_obeys_nothing(gptoss: Gptoss, ids: tuple[str, str], tmp_path: Path) -> None:
    assert gptoss("history", "export", ids[0], "chat.html").out == ""
    text = (tmp_path / "chat.html").read_text()
    page = Page(text)
    assert not page.open
    assert not {"script", "img", "link", "iframe", "b"} & set(page.tags)
    assert page.links == [("a", "http://e.x/y.png")]  # nothing is fetched before somebody clicks
    assert "strong" in page.tags
    assert "table" in page.tags
    assert "&lt;script&gt;alert(1)" in text
    assert "And &lt;b&gt;why&lt;/b&gt;?" in text
    assert text.startswith("<!doctype html>")


def test_a_document_has_no_controls_and_json_has_all(gptoss: Gptoss, home: Path) -> None:
    nasty = "\u202egnp.exe \x1b[2J\x07\x9b1m\r\nשלום\tok"
    with closing(History(home / "sessions.db")) as history:
        session = history.begin(f"tiny{nasty}", {}, nasty).id
        history.write(session, 0, [user(nasty), answer(nasty)])
    for format in ("html", "md"):
        text = gptoss("history", "export", "last", "--format", format).out
        assert not set("\u202e\x1b\x07\x9b\r") & set(text)
        assert text.count("gnp.exe ␛[2J␇�1m\nשלום\tok") >= 2
    assert '<section class="user" dir="auto">' in gptoss("history", "export", "last", "--format", "html").out
    told = json.loads(gptoss("history", "export", "last", "--format", "json").out)
    assert [each["content"] for each in told["messages"]] == [nasty, nasty]


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        ((), "# hello"),
        (("--format", "json"), "{"),
        (("c.MD",), "# hello"),
        (("c", "--format", "html"), "<!doctype html>"),
    ],
)
def test_the_format_is_named_or_that_of_the_file(
    arguments: tuple[str, ...], begins: str, gptoss: Gptoss, ids: tuple[str, str], tmp_path: Path
) -> None:
    done = gptoss("history", "export", "last", *arguments)
    files = [each.read_text() for each in tmp_path.glob("c*")]
    assert (files or [done.out])[0].startswith(begins)


def test_a_dash_is_stdout(gptoss: Gptoss, ids: tuple[str, str], tmp_path: Path) -> None:
    done = gptoss("history", "export", "last", "-")
    assert (done.code, done.out.startswith("# hello\n"), list(tmp_path.glob("-"))) == (0, True, [])


def test_a_file_that_is_there_is_replaced_when_that_is_meant(
    gptoss: Gptoss, home: Path, ids: tuple[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "chat.md"
    file.write_text("mine")
    done = gptoss("history", "export", "last", str(file))
    assert (done.code, done.err) == (2, f"gptoss: {file} is there already\n  --force replaces it\n")
    export = ("history", "export", "last", str(file))
    code, _ = on_terminal(process_environment(home), *export, answers=[("Replace it?", "n\n")])
    assert (code, file.read_text()) == (2, "mine")
    code, _ = on_terminal(process_environment(home), *export, answers=[("Replace it?", "y\n")])
    assert (code, file.read_text()[:7]) == (0, "# hello")
    file.write_text("mine")
    assert gptoss(*export, "--force").code == 0
    assert file.read_text().startswith("# hello")
    assert gptoss("history", "export", "last", "/dev/null").code == 0


def test_chats_are_forgotten(gptoss: Gptoss, ids: tuple[str, str]) -> None:
    old, new = ids
    done = gptoss("history", "rm", "none", old, old)
    assert (done.code, done.err) == (
        3,
        f"removed {old}\ngptoss: no session none\n  gptoss history list shows what there is\n",
    )
    assert gptoss("history", "list", "-q").out == f"{new}\n"
    assert gptoss("history", "rm", "--all", "--yes").code == 0
    assert gptoss("history", "list").out == ""


@pytest.mark.soak
def test_on_a_terminal_it_asks_and_no_title_is_obeyed(home: Path, ids: tuple[str, str]) -> None:
    old, new = ids
    environment = process_environment(home)
    code, seen = on_terminal(environment, "history", "rm", "--all", answers=[("Remove these 2 chats?", "n\n")])
    assert (code, "removed" in seen) == (0, False)
    code, seen = on_terminal(environment, "history", "rm", new, answers=[(f"Remove {new} hello?", "y\n")])
    assert (code, f"removed {new}" in seen, f"removed {old}" in seen) == (0, True, False)
    code, seen = on_terminal(environment, "history", "list")
    assert code == 0
    assert "\x1b" not in seen
    first, second = seen.splitlines()
    assert first.split() == ["ID", "CHANGED", "TURNS", "MODEL", "NAME", "CHAT"]
    assert second.startswith(f"{old}  just now")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "none"), 3, "no session none"),
        (("export", "none"), 3, "no session none"),
        (("export", "last", "x.pdf"), 2, "unknown format pdf"),
        (("export", "last", "none/x.md"), 2, "no folder none to write x.md in"),
        (("search", ""), 2, "nothing to search for"),
        (("rm", "--all"), 2, "--yes says that you mean it"),
        (("rm",), 2, "name the chats to forget, or --all of them"),
        (("rm", "x", "--all"), 2, "name the chats to forget, or --all of them"),
        (("list", "-n", "0"), 2, "-n must be from 1 to 10000000, not 0"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], code: int, message: str, gptoss: Gptoss) -> None:
    done = gptoss("history", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    error = json.loads(gptoss("history", "show", "none", "--json").err)["error"]
    assert error["code"] == "E_SESSION_NOT_FOUND"


def test_a_damaged_file_is_told(gptoss: Gptoss, home: Path) -> None:
    home.mkdir()
    (home / "sessions.db").write_text("no database at all")
    done = gptoss("history", "list")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"gptoss: {home / 'sessions.db'} is damaged: file is not a database\n  move it away")
    done = gptoss("run", "tiny", "--save", "hello")
    assert (done.code, done.out[:6]) == (0, "Hello!")
    assert done.err.startswith(f"gptoss: this answer is not saved: {home / 'sessions.db'} is damaged")


@pytest.mark.soak
def test_a_script_begins_a_chat_and_goes_on_with_it(gptoss: Gptoss) -> None:
    assert "session" not in json.loads(gptoss("run", "tiny", "--json", "hello").out)
    assert gptoss("history", "list").out == ""
    first = json.loads(gptoss("run", "tiny", "--save", "--json", "-s", "Be brief.", "--seed", "5", "hello").out)
    done = gptoss("run", "-c", "--json", "thanks")
    second = json.loads(done.out)
    assert (second["session"], second["model"], done.err) == (first["session"], "tiny", "")
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"] + 20
    (saved,) = json.loads(gptoss("history", "list", "--json").out)
    assert (saved["turns"], saved["settings"]["system"]) == (2, "Be brief.")
    assert saved["settings"]["options"]["seed"] == 5
    third = gptoss("run", "-c", stdin="goodbye")
    assert third.out
    said = [each["content"] for each in json.loads(gptoss("history", "show", "last", "--json").out)["messages"]]
    assert {"hello", "thanks", "goodbye", third.out.rstrip("\n")} <= set(said)


def test_a_chat_with_a_file_goes_on_from_another_folder(gptoss: Gptoss, home: Path, tmp_path: Path) -> None:
    shutil.copy(tiny().weights, tmp_path / "mine.gguf")
    first = json.loads(gptoss("run", "--save", "--json", "-m", "./mine.gguf", "hello").out)
    other = tmp_path / "other"
    other.mkdir()
    command = [sys.executable, "-m", "gptoss_cli", "run", "-c", "--json", "thanks"]
    done = subprocess.run(command, cwd=other, env=process_environment(home), stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout)["session"] == first["session"]


def test_there_is_nothing_to_continue_yet(gptoss: Gptoss) -> None:
    done = gptoss("run", "-c", "hello")
    assert (done.code, done.out) == (3, "")
    assert done.err == "gptoss: there is no saved chat to continue yet\n  gptoss run --save begins one\n"


@pytest.mark.soak
def test_options_of_the_chat_hold_until_a_flag_says_otherwise(gptoss: Gptoss) -> None:
    gptoss("run", "tiny", "--save", "--max-tokens", "2", "hello")
    assert "answer cut at 2 tokens" in gptoss("run", "-c", "hello").err
    assert "answer cut at 3 tokens" in gptoss("run", "-c", "--max-tokens", "3", "hello").err
    assert "answer cut at 2 tokens" in gptoss("run", "-c", "hello").err
