"""The prompt on a pseudo-terminal: job control, editors, pastes and names that a terminal would obey, haste."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chatting import Chat
from conftest import process_environment

pytestmark = pytest.mark.soak

HELLO = "Hello! I am tiny, a small demo of gpt-oss. How can I help you?"
EDITORS = {
    "removes": "import os, sys; os.remove(sys.argv[1])",
    "fails": "import sys; sys.exit(3)",
    "waits": "import signal, sys, time; signal.signal(2, lambda *_: sys.exit(0)); print('EDITING', flush=True); "
    "time.sleep(60)",
}


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return process_environment(home)


@pytest.fixture
def chat(environment: dict[str, str], tmp_path: Path) -> Iterator[Chat]:
    folder = tmp_path / "folder"
    folder.mkdir()
    with Chat(environment, "chat", "tiny", "--temperature", "0", folder=folder) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        yield chat
        chat.key("ctrl-c")
        chat.key("ctrl-d")
        assert chat.ended() == 0
        assert b"Unhandled exception" not in chat.raw
        assert b"Traceback" not in chat.raw


def test_ctrl_z_suspends_and_what_is_typed_is_there_afterwards(environment: dict[str, str], tmp_path: Path) -> None:
    shell = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "pid = os.fork()\n"
        "if pid:\n"
        "    os.setpgid(pid, pid); os.tcsetpgrp(0, pid)\n"
        "    _, status = os.waitpid(pid, os.WUNTRACED)\n"
        "    os.tcsetpgrp(0, os.getpgrp())\n"
        "    print('STOPPED' if os.WIFSTOPPED(status) else 'ENDED', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    os.tcsetpgrp(0, pid); os.kill(-pid, signal.SIGCONT)\n"
        "    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "os.setpgid(0, 0)\n"
        "os.tcsetpgrp(0, os.getpid()); signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
    )
    with Chat(environment, "chat", "tiny", "--temperature", "0", before=shell) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.type("hello")
        chat.wait_for_typed("hello")
        chat.key("ctrl-z")
        chat.wait_for("STOPPED")
        since = len(chat.raw)
        chat.type("fg\n")
        chat.wait_for_bytes(rb"hello", since)
        chat.wait_for_typed(">>> hello")
        chat.key("enter")
        assert HELLO in chat.answer()
        chat.key("ctrl-d")
        assert chat.ended() == 0


def test_ctrl_c_on_a_dumb_terminal_clears_hints_and_leaves(environment: dict[str, str]) -> None:
    with Chat(environment | {"TERM": "dumb"}, "chat", "tiny", answers_cursor=False) as chat:
        chat.wait(lambda: chat.line() == ">>>", "the first prompt")
        chat.type("half")
        chat.wait_for(">>> half")
        chat.key("ctrl-c")
        chat.wait_for("Ctrl-D or /bye leaves")
        chat.wait(lambda: chat.line() == ">>>", "the prompt below the hint")
        chat.key("ctrl-c")
        assert chat.ended() == 0
        assert b"\x1b" not in chat.raw


@pytest.mark.parametrize(
    "typed", ["\x1b[31m", "\x1b[31mred\x1b[0m", "\x1b]0;x\x07", "\x1b[<0;1M", "\x1b[M#!!", "\x1b\x1b\x1b["]
)
def test_sequences_that_are_typed_do_no_harm(typed: str, chat: Chat) -> None:
    chat.type(f"/name {typed}")
    chat.type("zzz")
    chat.wait_for_typed("zzz")
    assert chat.line().startswith(">>> /name ")


def test_a_key_that_fails_is_one_line_and_the_draft_stays(environment: dict[str, str]) -> None:
    broken = "from gptoss_cli.repl.completion import SlashCompleter\nSlashCompleter._command = lambda *_: 1 // 0"
    with Chat(environment, "chat", "tiny", before=broken) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.type("/ret")
        chat.wait_for_typed("/ret")
        chat.key("tab")
        chat.wait_for("gptoss: a bug in gptoss, please report it: ZeroDivisionError")
        chat.wait_for_typed(">>> /ret")
        assert b"Traceback" not in chat.raw
        assert b"Press ENTER" not in chat.raw


@pytest.mark.parametrize(
    ("editor", "told"),
    [
        ("removes", "left no text: No such file or directory; nothing is changed"),
        ("fails", "ended with 3; nothing is changed"),
        ("/no/such/editor", "the editor /no/such/editor cannot be started"),
        ("'", "the editor ' cannot be started: No closing quotation"),
    ],
)
def test_an_editor_that_fails_leaves_the_draft(
    editor: str, told: str, environment: dict[str, str], tmp_path: Path
) -> None:
    if editor in EDITORS:
        (tmp_path / "editor.py").write_text(EDITORS[editor])
        editor = f"{sys.executable} {tmp_path}/editor.py"
    with Chat(environment | {"EDITOR": editor}, "chat", "tiny") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.type("draft")
        chat.wait_for_typed("draft")
        chat.key("ctrl-x", "ctrl-e")
        chat.wait(lambda: told in chat.screen().replace("\n  ", " ").replace("\n", ""), told)
        chat.wait_for_typed(">>> draft")
        assert b"Unhandled" not in chat.raw


def test_ctrl_c_in_the_editor_is_the_editors(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "editor.py").write_text(EDITORS["waits"])
    with Chat(environment | {"VISUAL": f"{sys.executable} {tmp_path}/editor.py"}, "chat", "tiny") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.type("draft")
        chat.wait_for_typed("draft")
        chat.key("ctrl-x", "ctrl-e")
        chat.wait_for("EDITING")
        chat.key("ctrl-c")
        chat.wait_for_typed(">>> draft")
        chat.type(" goes on")
        chat.wait_for_typed(">>> draft goes on")


def test_directions_in_a_paste_are_seen_and_sent_as_they_are(chat: Chat, tmp_path: Path) -> None:
    chat.paste("a\u202eb\u2066c")
    chat.wait_for_typed(">>> a<U+202E>b<U+2066>c")
    chat.type("\x1b[D\x1b[D-")  # two characters to the left
    chat.wait_for_typed(">>> a<U+202E>b-<U+2066>c")
    chat.key("enter")
    chat.answer()
    chat.ask("/export x.json")
    asked = json.loads((tmp_path / "folder/x.json").read_text())["messages"][0]["content"]
    assert asked == "a\u202eb-\u2066c"
    assert "\u202e" not in chat.raw.decode(errors="replace")


def test_names_of_files_in_the_menu_are_harmless(chat: Chat, tmp_path: Path) -> None:
    for name in ("bad\u202eone.txt", "bad\u202etwo.txt", "bad\x1b[31m.txt", "bad\n.txt"):
        (tmp_path / "folder" / name).write_text("x")
    chat.type("see @ba")
    chat.wait_for_typed("@ba")
    chat.key("tab", "tab")
    chat.wait_for("bad<U+202E>two.txt")
    assert "\u202e" not in chat.raw.decode(errors="replace")
    assert b"\x1b[31m" not in chat.raw


def test_an_at_that_names_no_file_is_said_and_sent(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "folder/my file.txt").write_text("inside")
    assert "no file none.txt: sent as text" in chat.ask("see @none.txt")
    chat.ask("/new")
    chat.ask('look at @"my file.txt" and @"./my file.txt"')
    raw = chat.ask("/raw")
    assert raw.count("inside") == 1


@pytest.mark.parametrize("typed", ["hello\r", "hello\n", "/new\rhello\r"])
def test_what_is_typed_before_the_first_prompt_is_sent_once(
    typed: str, environment: dict[str, str], tmp_path: Path
) -> None:
    wait = f"import time\nopen({str(tmp_path / 'started')!r}, 'w').close()\ntime.sleep(0.5)"
    with Chat(environment, "chat", "tiny", "--temperature", "0", before=wait) as chat:
        while not (tmp_path / "started").exists():
            pass
        chat.type(typed)
        chat.wait_for(HELLO)
        chat.wait(lambda: chat.ready, "the next prompt")
        assert HELLO[:20] in chat.screen()
        assert chat.ask("/undo") == "gptoss: forgotten: hello"
        chat.key("ctrl-d")
        assert chat.ended() == 0


def test_half_a_message_before_the_first_prompt_stands_in_it(environment: dict[str, str], tmp_path: Path) -> None:
    wait = f"import time\nopen({str(tmp_path / 'started')!r}, 'w').close()\ntime.sleep(0.5)"
    with Chat(environment, "chat", "tiny", before=wait) as chat:
        while not (tmp_path / "started").exists():
            pass
        chat.type("half a")
        chat.wait_for_typed(">>> half a")
        chat.key("ctrl-c", "ctrl-d")
        assert chat.ended() == 0


def test_a_very_long_line_is_a_chip(chat: Chat, tmp_path: Path) -> None:
    for limit in ("max_thinking 20", "num_predict 20"):  # what is said to it does not matter
        chat.ask(f"/set parameter {limit}")
    chat.paste("x" * 3_000)
    chat.wait_for_typed(">>> [pasted 3,000 characters]")
    chat.key("enter")
    chat.answer()
    chat.ask("/export x.json")
    assert json.loads((tmp_path / "folder/x.json").read_text())["messages"][0]["content"] == "x" * 3_000


def test_nothing_is_left_of_the_placeholder(environment: dict[str, str]) -> None:
    with Chat(environment, "chat", "tiny") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.key("enter")
        chat.wait(lambda: chat.screen().count(">>>") == 2, "the next prompt")
        chat.key("ctrl-d")
        assert chat.ended() == 0
        assert "Send a message" not in chat.screen()


def test_only_an_error_of_asking_offers_to_ask_again(environment: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    with Chat(environment, "chat", "tiny", "--temperature", "0", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.ask("/set parameter num_ctx 100")
        failed = chat.ask("/retry")
        assert "/retry asks again" not in failed
        told = chat.ask("hello there, " + "word " * 60)
        assert "/retry asks again" in told
        assert "/retry asks again" not in chat.ask("/load nosuch")
        assert "/retry asks again" in chat.ask("/retry")
        assert "/exit takes nothing" in chat.ask("/exit now")


def test_help_speaks_chinese(environment: dict[str, str]) -> None:
    with Chat(environment | {"GPTOSS_LANGUAGE": "zh-TW"}, "chat", "tiny", columns=80) as chat:
        chat.wait_for("輸入訊息")
        for typed, told in (("/?", "收回上一則訊息和它的回答"), ("/? shortcuts", "補完指令、模型")):
            chat.type(typed + "\r")
            chat.wait_for(told)


def test_what_is_typed_while_a_command_writes_comes_next(environment: dict[str, str]) -> None:
    with Chat(environment, "chat", "tiny", columns=100) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.type("/?\r/? shortcuts\r/show parameters\r/set reasoning low\r")
        chat.wait_for("reasoning is low")
        assert [line for line in chat.lines if line.startswith("/")] == []
        sent = [line for line in chat.lines if line.startswith(">>> /")]
        assert sent[-3:] == [">>> /? shortcuts", ">>> /show parameters", ">>> /set reasoning low"]


# how the terminal is when each prompt begins to change it: whether it shows what is typed, makes line feeds of Enter
WATCH = """
import termios
from prompt_toolkit.input.vt100 import raw_mode
entered = raw_mode.__enter__
def enter(self):
    now = termios.tcgetattr(self.fileno)
    with open({seen!r}, "a") as file:
        print(bool(now[3] & termios.ECHO), bool(now[0] & termios.ICRNL), file=file)
    return entered(self)
raw_mode.__enter__ = enter
"""


def test_between_a_command_and_the_next_prompt_the_terminal_shows_no_keys(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Chat(environment, "chat", "tiny", before=WATCH.format(seen=str(tmp_path / "seen"))) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        for command in ("/?", "/set reasoning low", "/nosuch"):
            chat.ask(command)
        chat.key("ctrl-d")
        assert chat.ended() == 0
    seen = (tmp_path / "seen").read_text().splitlines()
    assert len(seen) == 4
    assert set(seen) == {"False False"}
