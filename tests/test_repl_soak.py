"""Chats that are interrupted, killed, resized, long, or on poor terminals."""

import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from chatting import Chat
from conftest import TINY, process_environment

from gptoss_cli.history import History

pytestmark = pytest.mark.soak

HELLO = "Hello! I am tiny, a small demo of gpt-oss. How can I help you?"


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return process_environment(home)


@pytest.fixture
def endless(environment: dict[str, str], random_model: Path, tmp_path: Path) -> Iterator[Chat]:
    """A chat whose answers never end by themselves."""
    with Chat(environment, "chat", str(random_model), "--reasoning", "off", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        yield chat


def stream(chat: Chat, text: str = "go") -> None:
    """Ask, and wait until a good piece of the answer is there."""
    chat.type(text)
    chat.wait_for_typed(text)
    since = len(chat.raw)
    chat.key("enter")
    chat.wait(lambda: len(chat.raw) > since + 2000, "an answer that streams")


def test_ctrl_c_stops_the_answer_and_keeps_the_part(endless: Chat) -> None:
    stream(endless)
    endless.key("ctrl-c", "ctrl-c", "ctrl-c")
    endless.answer()
    assert "stopped; /continue goes on with the answer" in endless.screen()
    assert "copied" in endless.ask("/copy")
    stream(endless, "/continue")
    endless.key("ctrl-c")
    endless.answer()
    endless.ask("/name stopped")
    assert "stopped: go" in endless.ask("/sessions")
    endless.key("ctrl-d")
    assert endless.ended() == 0


def test_what_is_typed_while_an_answer_streams_comes_next(endless: Chat) -> None:
    typed = "qzvwx"  # random weights say any word of the vocabulary by chance, and this is none
    stream(endless)
    seen = len(endless.raw)
    endless.type(typed)
    endless.paste("one\ntwo\nthree")
    endless.wait(lambda: len(endless.raw) > seen + 2000, "more of the answer")
    assert typed.encode() not in endless.raw[seen:]
    endless.process.send_signal(signal.SIGINT)  # the key would throw away what is typed, as terminals do
    endless.wait_for_typed("three")
    assert f">>> {typed}one" in endless.screen()
    assert "... two" in endless.screen()


def test_a_terminal_that_changes_its_size_while_an_answer_streams(endless: Chat) -> None:
    stream(endless)
    for columns, rows in ((40, 20), (120, 50), (20, 5), (80, 24)):
        endless.resize(columns, rows)
        seen = len(endless.raw)
        endless.wait(lambda seen=seen: len(endless.raw) > seen + 500, "more of the answer")
    endless.key("ctrl-c")
    endless.answer()
    assert "stopped" in "".join(endless.lines)
    endless.wait(lambda: endless.line(endless.terminal.lines - 1).count(" · ") >= 2, "the bar in the last row")


def test_after_kill_9_the_chat_goes_on_with_what_had_streamed(
    endless: Chat, environment: dict[str, str], random_model: Path, home: Path
) -> None:
    stream(endless)
    endless.wait(lambda: len(_answer(home)) > 200, "the answer in the file")
    endless.process.kill()
    endless.process.wait()
    kept = _answer(home)
    assert kept
    with Chat(environment, "chat", "--continue", "--reasoning", "off") as chat:
        chat.wait(lambda: chat.ready, "the prompt")
        assert "this answer was interrupted; /continue goes on with it" in chat.screen()
        stream(chat, "/continue")
        chat.key("ctrl-c")
        chat.answer()
    assert _answer(home).startswith(kept)


def _answer(home: Path) -> str:
    history = History(home / "sessions.db")
    try:
        found = history.sessions(1)
        messages = [each for turn in history.turns(found[0].id) for each in turn.messages] if found else []
        return messages[-1].text if len(messages) > 1 else ""
    finally:
        history.close()


def test_ctrl_c_while_a_model_loads_and_twice_in_an_empty_prompt(environment: dict[str, str], home: Path) -> None:
    with Chat(environment, "chat", "tiny") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.key("ctrl-c")
        chat.wait_for("Ctrl-D or /bye leaves; Ctrl-C once more, too")
        chat.wait(lambda: chat.ready, "the prompt below the hint")
        chat.key("ctrl-c")
        assert chat.ended() == 0


@pytest.mark.parametrize("leave", ["/bye", "/exit"])
def test_commands_that_leave(leave: str, environment: dict[str, str]) -> None:
    with Chat(environment, "chat", "tiny") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        assert "takes nothing behind it" in chat.ask(f"{leave} now")
        chat.type(leave)
        chat.wait_for_typed(leave)
        chat.key("enter")
        assert chat.ended() == 0


def test_terminated_in_the_prompt_it_leaves_a_terminal_that_works(environment: dict[str, str]) -> None:
    with Chat(environment, "chat", "tiny") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.process.terminate()
        assert chat.ended() == 143
        assert b"\x1b[?2004l" in chat.raw
        assert "Traceback" not in chat.screen()


def test_run_without_a_prompt_and_gptoss_alone_open_the_chat(environment: dict[str, str]) -> None:
    for arguments in (("run", "tiny", "--temperature", "0"), ()):
        with Chat(environment | {"GPTOSS_MODEL": "tiny", "GPTOSS_TEMPERATURE": "0"}, *arguments) as chat:
            chat.wait(lambda chat=chat: chat.ready, "the first prompt")
            assert HELLO in chat.ask("hello")
            chat.key("ctrl-d")
            assert chat.ended() == 0


def test_a_model_that_is_deleted_between_turns(environment: dict[str, str], tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    shutil.copy(TINY, own)
    with Chat(environment, "chat", str(own), "--temperature", "0") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        assert HELLO in chat.ask("hello")
        own.unlink()
        assert HELLO in chat.ask("/retry")  # the file is mapped
        assert "gptoss: " in chat.ask(f"/load {own}")
        assert HELLO in chat.ask("/copy") + chat.screen()
        chat.ask("/set parameter num_ctx 4096")  # needs the file again
        assert "gptoss: " in chat.ask("good morning")
        assert "/retry asks again, /undo forgets the message" in chat.screen()
        shutil.copy(TINY, own)
        assert HELLO in chat.ask("/retry")
        own.unlink()
        assert "tiny is loaded" in chat.ask("/load tiny")
        assert HELLO in chat.ask("hello")


def test_a_broken_model_leaves_the_present_chat(environment: dict[str, str], home: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(TINY.read_bytes()[:3_000_000])
    (tmp_path / "text.gguf").write_text("no model")
    with Chat(environment, "chat", "tiny", "--temperature", "0", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.ask("hello")
        chat.ask("/save mine")
        (manifest,) = [path for path in (home / "models").rglob("*mine*") if path.is_file()] or [
            path for path in (home / "models").rglob("*") if path.is_file() and "mine" in str(path)
        ]
        manifest.write_text("{")
        for name in ("./cut.gguf", "./text.gguf", "mine"):
            assert chat.ask(f"/load {name}").startswith("gptoss: "), name
            assert "loaded" not in chat.ask("/thoughts")
        assert HELLO in chat.ask("/retry")


def test_the_first_message_before_the_model_is_there_and_a_model_that_cannot_be_loaded(
    environment: dict[str, str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(TINY.read_bytes()[:5_000_000])
    with Chat(environment, "chat", str(broken), folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        assert "gptoss: " in chat.ask("hello")
        assert "/retry asks again" in chat.screen()
        assert "tiny is loaded" in chat.ask("/load tiny")


def test_a_terminal_that_does_not_tell_its_cursor_gets_no_warning(environment: dict[str, str]) -> None:
    with Chat(environment, "chat", "tiny", "--temperature", "0", answers_cursor=False) as chat:
        for asked, answer in (("hello", HELLO), ("good morning", HELLO), ("thanks", "You are welcome!")):
            chat.wait(lambda: chat.ready, "the prompt")
            assert answer in chat.ask(asked)
        assert "WARNING" not in chat.screen()


def test_a_dumb_terminal_gets_text_and_no_sequences(environment: dict[str, str]) -> None:
    with Chat(environment | {"TERM": "dumb"}, "chat", "tiny", "--temperature", "0", answers_cursor=False) as chat:
        chat.wait(lambda: chat.line() == ">>>", "the first prompt")
        chat.type("heko\x7f\x7fllo\r")
        chat.wait_for(HELLO)
        chat.wait(lambda: chat.line() == ">>>", "the next prompt")
        chat.type('"""one\rtwo\\\rthree"""\r')
        chat.wait(lambda: chat.line() == ">>>", "the next prompt")
        chat.type("/raw\r")
        chat.wait_for("<|message|>one\ntwo\nthree<|end|>")
        chat.wait(lambda: chat.line() == ">>>", "the next prompt")
        chat.key("ctrl-d")
        assert chat.ended() == 0
        assert b"\x1b" not in chat.raw


def test_no_color_is_obeyed(environment: dict[str, str]) -> None:
    with Chat(environment | {"NO_COLOR": "1"}, "chat", "tiny", "--temperature", "0") as chat:
        chat.wait(lambda: chat.ready, "the prompt")
        chat.ask("hello")
        colours = [code for codes in re.findall(rb"\x1b\[([\d;]*)m", chat.raw) for code in codes.split(b";")]
        assert not [code for code in colours if re.fullmatch(rb"[349]\d|10\d", code)]


def test_it_speaks_chinese_where_people_do(environment: dict[str, str]) -> None:
    with Chat(environment | {"LANG": "zh_TW.UTF-8"}, "chat", "tiny", "--temperature", "0") as chat:
        chat.wait_for(">>> 輸入訊息（/? 看說明）")
        chat.type("/set reasoning high\r")
        chat.wait_for("reasoning 現在是 high")


def test_a_full_disk_does_not_end_the_chat(environment: dict[str, str], home: Path, tmp_path: Path) -> None:
    home.mkdir()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    limit += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    with Chat(environment, "chat", "tiny", "--temperature", "0", folder=tmp_path, before=limit) as chat:
        chat.wait(lambda: chat.ready, "the prompt")
        assert HELLO in chat.ask("hello")
        assert "saved" in chat.screen()
        assert chat.ask("/save mine").startswith("gptoss: ")
        assert HELLO in chat.ask("/retry")


def test_a_thousand_turns_in_a_context_that_holds_thirty(environment: dict[str, str], home: Path) -> None:
    with Chat(environment, "chat", "tiny", "--temperature", "0", "--num-ctx", "1024", rows=24) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.ask("/set parameter max_tokens 20")
        for number in range(1000):
            chat.ask(f"question {number}")
        assert b"the context of 1,024 tokens is nearly full: from here on the model does not see" in chat.raw
        assert "forgotten: question 999" in chat.ask("/undo")
        chat.key("ctrl-d")
        assert chat.ended() == 0
    history = History(home / "sessions.db")
    (saved,) = history.sessions()
    assert saved.turns == 999
    history.close()
    assert len([json.loads(line) for line in (home / "inputs.jsonl").read_text().splitlines()]) == 1002


DOC = Path(__file__).parent.parent / "docs/chat.md"
# times, and what depends on the date in the system message: its digits are two to four tokens more or fewer
MEASURED = re.compile(r"for \d+\.\d s|\d[\d,]* tok/s|(?<=system text, preset) +\d+|(?<=free) +[\d,]+|\d+(?=/128k)")


@pytest.mark.parametrize("block", re.findall(r"```text\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL))
def test_the_chats_in_the_documentation_are_real(environment: dict[str, str], block: str) -> None:
    told = [line for line in MEASURED.sub("…", block).splitlines() if line]
    *typed, waiting = [line.removeprefix(">>> ") for line in told if line.startswith(">>> ")]
    assert waiting.startswith("Send a message")
    with Chat(environment, "chat", "tiny", "--temperature", "0", columns=80, rows=40) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        for line in typed:
            chat.ask(line)
        chat.wait(lambda: "tok/s" in chat.screen(), "the speed in the bar")
        seen = [line for line in MEASURED.sub("…", chat.screen()).splitlines() if line]
        assert seen[-len(told) :] == told  # the opening line is not in each
