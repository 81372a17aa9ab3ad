"""The chat as a person sees it: one pseudo-terminal with the built-in model, which many steps share."""

import json
from pathlib import Path

import pytest
from chatting import Chat
from conftest import Gptoss, process_environment

from gptoss_cli.repl import COMMANDS, SHORTCUTS, folded
from gptoss_cli.units import cells

ABILITIES = "我可以說明怎麼用 gptoss：下載和執行模型、建立預設，以及設定推理強度。"


def a_question_in_chinese_is_answered(chat: Chat) -> None:
    assert chat.ask("你好，你會做什麼？").splitlines()[-1] == ABILITIES


def the_level_is_set_shown_and_used(chat: Chat) -> None:
    assert "reasoning is high" in chat.ask("/set reasoning high")
    chat.wait_for("tiny · high")
    assert "Thought for" in chat.ask("hello")
    assert "must be low, medium, high or off, not 'extreme'" in chat.ask("/set think extreme")
    assert "reasoning is low" in chat.ask("/retry low")
    assert "reasoning is off" in chat.ask("/set nothink")


def what_is_wrong_is_said_and_the_prompt_comes_back(chat: Chat) -> None:
    assert "did you mean /retry?" in chat.ask("/rety")
    assert "did you mean temperature?" in chat.ask("/set parameter tempature 1")
    assert "unknown model nope" in chat.ask("/load nope")


def an_answer_that_is_cut_goes_on(chat: Chat) -> None:
    chat.ask("/new")
    chat.ask("/set parameter max_tokens 5")
    told = chat.ask("hello")
    assert "answer cut at 5 tokens (/set parameter max_tokens)" in told
    assert "/continue goes on" in told
    chat.ask("/set parameter max_tokens 100")
    assert "gpt-oss" in chat.ask("/continue")


def several_lines_are_one_message(chat: Chat) -> None:
    chat.type("hello")
    chat.wait_for_typed("hello")
    chat.key("ctrl-j")
    chat.wait_for_typed("...")
    chat.type("there")
    chat.wait_for_typed("there")
    chat.key("enter")
    chat.answer()
    assert "hello\nthere" in chat.ask("/raw")


def a_paste_of_500_lines_is_a_chip_and_one_message(chat: Chat) -> None:
    chat.paste("\n".join(f"line {number}" for number in range(500)))
    chat.wait_for("[pasted 500 lines]")
    chat.key("ctrl-c")  # clears it
    chat.wait(lambda: chat.ready, "an empty prompt")


def every_command_answers(chat: Chat) -> None:
    helped = chat.ask("/?")
    for command in COMMANDS:
        assert command.name in helped
    chat.ask("hello")
    for line, told in (
        ("/set parameter temperature 0", "temperature is 0"),
        ("/set system Be brief.", "system text is set"),
        ("/show system", "Be brief."),
        ("/show parameters", "temperature"),
        ("/show modelfile", "FROM tiny"),
        ("/show info", "gpt-oss"),
        ("/stats", "tokens"),
        ("/context", "free"),
        ("/undo", "hello"),
        ("/sessions", "tiny"),
        ("/? shortcuts", "Ctrl-D"),
    ):
        assert told in chat.ask(line), line


def a_chat_becomes_a_model_and_a_file(chat: Chat, home: Path, gptoss: Gptoss) -> None:
    chat.ask("hello")
    assert "saved as mine" in chat.ask("/save mine")
    assert "written to" in chat.ask("/export chat.json")
    shown = gptoss("show", "mine", "--json")
    told = json.loads(shown.out)
    assert (told["system"], told["messages"][-2]) == ("Be brief.", {"role": "user", "content": "hello"})


def a_new_chat_forgets_and_an_old_one_comes_back(chat: Chat, home: Path, gptoss: Gptoss) -> None:
    chat.ask("/new")
    assert "nothing has been asked yet" in chat.ask("/retry")
    listed = gptoss("history", "list").out.splitlines()
    assert "goes on with" in chat.ask(f"/resume {listed[0].split(chr(9))[0]}")


def ctrl_c_clears_hints_and_leaves(chat: Chat) -> None:
    chat.type("something")
    chat.wait_for_typed("something")
    chat.key("ctrl-c")
    chat.wait(lambda: chat.ready, "an empty prompt")
    chat.key("ctrl-d")
    assert chat.ended() == 0


def test_a_chat_from_its_first_prompt_to_its_end(gptoss: Gptoss, home: Path, tmp_path: Path) -> None:
    """One program for all steps: to start it takes longer than they do."""
    environment = process_environment(home)
    with Chat(environment, "chat", "tiny", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        a_question_in_chinese_is_answered(chat)
        the_level_is_set_shown_and_used(chat)
        what_is_wrong_is_said_and_the_prompt_comes_back(chat)
        an_answer_that_is_cut_goes_on(chat)
        several_lines_are_one_message(chat)
        a_paste_of_500_lines_is_a_chip_and_one_message(chat)
        every_command_answers(chat)
        a_chat_becomes_a_model_and_a_file(chat, home, gptoss)
        a_new_chat_forgets_and_an_old_one_comes_back(chat, home, gptoss)
        ctrl_c_clears_hints_and_leaves(chat)


@pytest.mark.soak
def test_ctrl_c_stops_an_answer_and_the_part_is_kept(random_model: Path, tmp_path: Path) -> None:
    environment = process_environment(tmp_path / "home")
    with Chat(environment, "chat", str(random_model), "--reasoning", "off", "--markdown", "never") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.type("hello")
        chat.wait_for_typed("hello")
        chat.key("enter")
        chat.wait(lambda: len(chat.raw) > 4000, "an answer that goes on")
        chat.type("next")
        chat.key("ctrl-c")
        chat.wait_for("/continue goes on with the answer")
        chat.wait_for_typed(">>> next")  # what was typed meanwhile is not lost
        chat.key("ctrl-c")
        chat.wait(lambda: chat.ready, "the next prompt")
        chat.key("ctrl-d")
        assert chat.ended() == 0


@pytest.mark.soak
def test_a_chat_that_goes_on_has_its_turns_and_flags_go_first(tmp_path: Path, gptoss: Gptoss, home: Path) -> None:
    """Also when nothing more is saved of it."""
    assert gptoss("run", "-m", "tiny", "--save", "--reasoning", "high", "hello").code == 0
    environment = process_environment(home)
    with Chat(environment, "chat", "--continue", "--no-save", "--reasoning", "low", folder=tmp_path) as chat:
        chat.wait_for(">>> hello")
        chat.wait_for("tiny · low")
        chat.wait(lambda: chat.ready, "the first prompt")
        assert "hello" in chat.ask("/undo")
        chat.key("ctrl-d")
        assert chat.ended() == 0
    assert len(json.loads(gptoss("history", "show", "last", "--json").out)["messages"]) > 1
    (tmp_path / "Modelfile").write_text("FROM tiny")
    assert gptoss("create", "other", "-f", str(tmp_path / "Modelfile")).code == 0
    with Chat(environment, "chat", "other", "--continue", folder=tmp_path) as chat:
        chat.wait_for("other · ")
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.ask("hello")
        chat.key("ctrl-d")
        assert chat.ended() == 0
    assert json.loads(gptoss("history", "list", "--json").out)[0]["model"] == "other"
    gptoss("rm", "other", "--yes")
    with Chat(environment, "chat", "--continue", folder=tmp_path) as chat:
        chat.wait_for("goes on with another one")
        assert chat.ended() == 3
    with Chat(environment, "chat", "tiny", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.ask("/resume last")
        assert "other is not here any more; tiny goes on" in chat.screen()


@pytest.mark.soak
def test_what_is_not_saved_can_be_exported_and_leaves_nothing(tmp_path: Path, home: Path) -> None:
    with Chat(process_environment(home), "chat", "tiny", "--no-save", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        assert "nothing has been said yet" in chat.ask("/export chat.md")
        chat.ask("hello")
        for name in ("chat.md", "chat.json", "chat.html"):
            assert f"written to {name}" in chat.ask(f"/export {name}")
        chat.key("ctrl-d")
        assert chat.ended() == 0
    assert "Hello! I am tiny" in (tmp_path / "chat.md").read_text()
    assert json.loads((tmp_path / "chat.json").read_text())["messages"][0]["content"] == "hello"
    assert not [path.name for path in home.rglob("*") if path.suffix in (".db", ".jsonl")]


@pytest.mark.soak
def test_the_level_of_a_retry_stays(tmp_path: Path, home: Path) -> None:
    environment = process_environment(home)
    with Chat(environment, "chat", "tiny", folder=tmp_path) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        assert "nothing has been asked yet" in chat.ask("/retry low")
        chat.wait_for("tiny · medium")
        chat.ask("hello")
        chat.ask("/retry low")
        chat.key("ctrl-d")
        assert chat.ended() == 0
    with Chat(environment, "chat", "--continue", folder=tmp_path) as chat:
        chat.wait_for("tiny · low")


@pytest.mark.soak
def test_a_summary_that_is_stopped_changes_nothing(random_model: Path, tmp_path: Path) -> None:
    with Chat(process_environment(tmp_path / "home"), "chat", str(random_model), "--reasoning", "off") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.ask("/set parameter max_tokens 5")
        chat.ask("hello")
        chat.ask("/set parameter max_tokens 5000")
        chat.type("/compact")
        chat.wait_for_typed("/compact")
        before = len(chat.raw)
        chat.key("enter")
        chat.wait(lambda: len(chat.raw) > before + 2000, "a summary that goes on")
        chat.key("ctrl-c")
        told = chat.answer()
        assert "stopped; the conversation is as it was" in told
        assert "now stands for" not in told


@pytest.mark.parametrize("columns", [200, 80, 60, 40, 20])
def test_help_is_no_wider_than_the_screen(columns: int) -> None:
    rows = [(each.usage, each.purpose) for each in COMMANDS] + list(SHORTCUTS)
    lines = folded(rows, columns)
    assert max(map(cells, lines)) <= columns
    words = " ".join(lines).split()
    assert words == [word for row in rows for text in row for word in text.split()] or columns < 40
