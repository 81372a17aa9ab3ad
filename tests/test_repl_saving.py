"""What a chat keeps: thoughts that a kill interrupts, what a full disk refused, files that were there before."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from chatting import Chat
from conftest import process_environment

from gptoss_cli.history import History
from gptoss_cli.messages import Channel, Message

pytestmark = pytest.mark.soak

HELLO = "Hello! I am tiny"
FULL = "import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
FULL += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    home.mkdir()
    return process_environment(home)


@pytest.fixture
def chat(environment: dict[str, str], tmp_path: Path) -> Iterator[Chat]:
    with Chat(environment, "chat", "tiny", "--temperature", "0", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        yield chat


def kept(home: Path) -> list[Message]:
    history = History(home / "sessions.db")
    try:
        return [each for saved in history.sessions(1) for turn in history.turns(saved.id) for each in turn.messages]
    finally:
        history.close()


def test_thoughts_survive_kill_9_and_the_chat_says_what_is_missing(
    environment: dict[str, str], random_model: Path, home: Path, tmp_path: Path
) -> None:
    with Chat(environment, "chat", str(random_model), "--show-thinking", "--temperature", "0", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.type("go\r")
        chat.wait(lambda: [each.channel for each in kept(home)][1:] == [Channel.ANALYSIS], "a thought in the file")
        chat.process.kill()
        chat.process.wait()
    thought = kept(home)[1]
    assert thought.text
    assert not thought.complete
    with Chat(environment, "chat", "--continue", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the prompt")
        assert "the last message has no answer; /retry asks again" in chat.screen()
        assert thought.text.split()[0] in chat.ask("/thoughts")


def test_saving_goes_on_when_the_disk_has_room_again(environment: dict[str, str], home: Path, tmp_path: Path) -> None:
    with Chat(environment, "chat", "tiny", "--temperature", "0", folder=tmp_path, before=FULL) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        assert "this chat is not saved:" in chat.ask("hello")
        assert "this chat is not saved\n  " in chat.ask("/name it")
        assert "not saved" not in chat.ask("hello")
        resource.prlimit(chat.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        chat.ask("hello")
        chat.ask("/name it")
        resource.prlimit(chat.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert "gptoss: not saved:" in chat.ask("hello")
        resource.prlimit(chat.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert "saved again, with all that was said in between" in chat.ask("hello")
    assert len([each for each in kept(home) if each.text == "hello"]) == 5


def test_what_stayed_unsaved_is_saved_on_leaving(environment: dict[str, str], home: Path, tmp_path: Path) -> None:
    with Chat(environment, "chat", "tiny", "--temperature", "0", folder=tmp_path, before=FULL) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.ask("hello")
        resource.prlimit(chat.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        chat.key("ctrl-d")
        assert chat.ended() == 0
    assert kept(home)[0].text == "hello"


def test_a_chat_that_is_not_saved_finds_those_that_are(
    chat: Chat, environment: dict[str, str], home: Path, tmp_path: Path
) -> None:
    chat.ask("hello")
    chat.ask("/name before")
    before = kept(home)
    with Chat(environment, "chat", "tiny", "--no-save", "--temperature", "0", folder=tmp_path) as other:
        other.wait(lambda: other.ready, "the first prompt")
        assert "before: hello" in other.ask("/sessions")
        assert HELLO in other.ask("/resume before")
        other.ask("thanks")
        assert "this chat is not saved\n  it was started with --no-save" in other.ask("/name mine")
    assert kept(home) == before


def test_what_is_there_already_is_replaced_only_when_the_user_agrees(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("mine")
    chat.ask("hello")
    for command, name in (("/export a.md", "a.md"), ("/save mine", "mine")):
        if name == "mine":
            assert "saved as mine" in chat.ask(command)
        for key, said in (("n", f"gptoss: {name} is there already"), ("y", "")):
            chat.type(command + "\r")
            chat.wait_for_typed(f"{name} is there already. Replace it? (y/N)")
            chat.type(key + "\r")
            chat.wait(lambda: chat.ready, "the prompt")
            assert said in chat.screen()
            if name == "a.md":
                assert ((tmp_path / name).read_text() == "mine") == (key == "n")
    (tmp_path / "a.md").write_text("mine")
    for keys in ("\x03", "\x04", "\r", "/bye\r", "\x1b[200~yes\rmore\x1b[201~\r"):
        chat.type("/export a.md\r")
        chat.wait_for_typed("(y/N)")
        chat.type(keys)
        chat.wait(lambda: chat.ready, "the prompt")
    chat.type("/export a.md\ry\ry\r")  # typed ahead: no answer to what was not asked yet
    chat.wait_for_typed("(y/N)")
    chat.key("enter")
    chat.wait(lambda: chat.ready, "the prompt")
    assert (tmp_path / "a.md").read_text() == "mine"
    assert "a bug" not in chat.screen()


def test_turns_are_left_out_after_the_line_that_says_so(chat: Chat) -> None:
    chat.ask("/set parameter num_ctx 256")
    for _ in range(8):
        if "the context of 256 tokens is nearly full" in (said := chat.ask("hello, what can you do?")):
            break
    assert said.index("is nearly full") < said.index("Thought for")


def test_the_bar_counts_after_a_stopped_answer_and_in_a_chat_that_goes_on(
    environment: dict[str, str], random_model: Path, tmp_path: Path
) -> None:
    with Chat(environment, "chat", str(random_model), "--reasoning", "off", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.type("go\r")
        seen = len(chat.raw)
        chat.wait(lambda: len(chat.raw) > seen + 2000, "an answer that streams")
        chat.process.send_signal(signal.SIGINT)
        chat.wait(lambda: used(chat) > 20, "the context in the bar")
        before = used(chat)
        chat.key("ctrl-d")
        chat.ended()
    with Chat(environment, "chat", "--continue", folder=tmp_path) as chat:
        chat.wait(lambda: used(chat) > 20, "the context in the bar")
        assert abs(used(chat) - before) < 5


def used(chat: Chat) -> int:
    parts = chat.line(chat.terminal.lines - 1).split(" · ")
    number = parts[2].split("/")[0] if len(parts) > 2 and "/" in parts[2] else "0"
    return round(float(number[:-1]) * 1024) if number.endswith("k") else int(number)
