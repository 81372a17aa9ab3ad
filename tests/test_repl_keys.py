"""The chat on a pseudo-terminal: every command and key, as a person sees them. One terminal is shared by many steps."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chatting import Chat
from conftest import process_environment

from gptoss_cli import repl

pytestmark = pytest.mark.soak  # the steps share a terminal, so one process runs them in their order

HELLO = "Hello! I am tiny, a small demo of gpt-oss. How can I help you?"
# a command of somebody else's that has a bug
WITH_BUG = """
from gptoss_cli import repl
from gptoss_cli.repl.slash import Command
repl.COMMANDS += (Command("/crash", "/crash", "", lambda talk, text: 1 // 0),)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chat")
    (folder / "notes.txt").write_text("alpha\nbeta\n")
    (folder / "zero.bin").write_bytes(b"\0")
    return folder


@pytest.fixture(scope="module")
def terminal(folder: Path) -> Iterator[Chat]:
    environment = process_environment(folder / "home") | {"EDITOR": "sed -i s/hello/thanks/", "LINES": "", "CI": ""}
    arguments = ("chat", "tiny", "--temperature", "0")
    with Chat(environment, *arguments, folder=folder, before=WITH_BUG) as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        yield chat
        chat.key("ctrl-d")
        assert chat.ended() == 0


@pytest.fixture
def chat(terminal: Chat) -> Chat:
    """A new conversation with tiny, in an empty prompt, whatever the steps before have left."""
    terminal.ask("/new")
    return terminal


def said(text: str) -> str:
    """Without the line that tells how long the model thought."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("◇"))


# each: what is typed, and what the answer contains (or, with ! before it, does not)
TRANSCRIPTS: dict[str, list[tuple[str, str]]] = {
    "hello": [("hello", HELLO)],
    "/?": [("/?", "  /retry [LEVEL]"), ("/? shortcuts", "Ctrl-X Ctrl-E"), ("/? set", "/set parameter")],
    "/help": [("/help", "/export FILE"), ("/help undo", "forget the last"), ("/? show", "/show modelfile")],
    "unknown": [("/shw", "did you mean /show?"), ("/nothing", "//text sends"), ("//shw", "!unknown command")],
    "/set reasoning": [
        ("/set reasoning high", "gptoss: reasoning is high"),
        ("/show parameters", "reasoning          high"),
        ("/set reasoning", "reasoning is high"),
        ("/set reasoning much", "must be low, medium, high or off, not 'much'"),
        ("/set reasoning medium", "reasoning is medium"),
    ],
    "/set think": [("/set think high", "is high"), ("/set nothink", "is off"), ("/set think", "is medium")],
    "/set parameter": [
        ("/set parameter top_p 0.5", "top_p is 0.5"),
        ("/set parameter top_p 2", "top_p must be from 0.0 to 1.0, not 2"),
        ("/set parameter top_k x", "top_k must be a whole number, not 'x'"),
        ("/set parameter tempratur 1", "did you mean temperature?"),
        ("/set parameter stop One Two", 'stop is "One" "Two"'),
        ('/set parameter stop "never said" \'""\'', 'stop is "never said" "\\"\\""'),
        ("/set parameter num_predict 200", "max_tokens is 200"),
        ("/set parameter", "known: frequency_penalty"),
        ("/set parameter top_p 1", "top_p is 1"),
        ("/set parameter stop |||", "stop is"),
    ],
    "/set parameter num_ctx": [
        ("hello", HELLO),
        ("/set parameter num_ctx 4096", "num_ctx is 4096; the model is loaded anew"),
        ("/retry", HELLO),
        ("/context", "all                     4,096  100.0%"),
    ],
    "/set system": [
        ("hello", HELLO),
        ("/set system Speak like a bear.", "the system text is set"),
        ("/show system", "Speak like a bear."),
        ("hello", ""),
        ("/set system", '/set system "" removes it'),
        ("/show system", "Speak like a bear."),
        ('/set system ""', "there is no system text now"),
        ("/show system", "no system text"),
    ],
    "/set others": [
        ("/set wordwrap", "between words"),
        ("/set nowordwrap", "as long as they are"),
        ("/set verbose", "statistics follow"),
        ("hello", "tokens new"),
        ("/set quiet", "no statistics"),
        ("hello", "!tokens new"),
        ("/set thinking show", "thoughts are shown"),
        ("hello", "The user writes English."),
        ("/set thinking hide", "no sign of thoughts"),
        ("/set thinking line", "/thoughts unfolds"),
        ("/set nothing", "did you mean nothink?"),
    ],
    "/show": [
        ("/show info", "architecture    gpt-oss"),
        ("/show license", "apache-2.0"),
        ("/show modelfile", "FROM tiny"),
        ("/show parameters", "temperature        0.0"),
        ("/show system", "no system text"),
        ("/show template", "<|start|>system"),
        ("/show", "known: info, license"),
    ],
    "/load": [
        ("hello", HELLO),
        ("/load nothere", "unknown model nothere"),
        ("/load", "/load needs the name"),
        ("/thoughts", "The topic is greeting."),
        ("/load tiny", "tiny is loaded"),
        ("/undo", "nothing has been asked yet"),
    ],
    "/save": [
        ("hello", HELLO),
        ("/save mine", "saved as mine: gptoss run mine"),
        ("/load mine", "mine is loaded"),
        ("/show modelfile", f"MESSAGE assistant {HELLO}"),
        ("/save", "/save needs a name"),
        ("/save a b", "/save needs a name"),
        ("/save UP/../x", "gptoss: "),
        ("/load tiny", "tiny is loaded"),
    ],
    "/retry": [
        ("/retry", "nothing has been asked yet"),
        ("hello", HELLO),
        ("/retry", HELLO),
        ("/retry high", "/set reasoning medium goes back"),
        ("/retry never", "must be low, medium, high or off, not 'never'"),
        ("/set reasoning medium", ""),
    ],
    "/undo": [("hello", HELLO), ("/undo", "forgotten: hello"), ("/undo", "nothing has been asked yet")],
    "/edit": [
        ("/edit", "nothing has been asked yet"),
        ("hello", HELLO),
        ("/edit", "You are welcome!"),
        ("/raw", "thanks<|end|>"),
    ],
    "/continue": [
        ("/continue", "nothing has been asked yet"),
        ("/set parameter max_tokens 3", "max_tokens is 3"),
        ("hello", "answer cut at 3 tokens"),
        ("/set parameter max_tokens 200", ""),
        ("/continue", "How can I help you?"),
        ("/continue", "the last answer is complete"),
    ],
    "/copy": [
        ("/copy", "this chat has no answers"),
        ("hello", HELLO),
        ("/copy", "copied 1 line to the clipboard"),
        ("/copy 2", "this chat has 1 answer, so there is no number 2"),
        ("/copy all", "copied 3 lines"),
        ("/copy code", "the last answer has no blocks of code"),
        ("/copy that", "not 'that'"),
    ],
    "/file": [
        ("/file notes.txt", "notes.txt (2 lines) goes along"),
        ("what is this?", ""),
        ("/raw", "notes.txt\n```\nalpha\nbeta\n```"),
        ("/file none.txt", "no file at none.txt"),
        ("/file zero.bin", "zero.bin is no text (it has a zero byte)"),
        ("/file", "/file needs a path"),
    ],
    "@": [("see @notes.txt, please", ""), ("/raw", "beta\n```\n\nsee @notes.txt, please"), ("me@notes.txt @no", "")],
    "/thoughts": [("/thoughts", "there were no thoughts"), ("hello", HELLO), ("/thoughts", "The topic is greeting.")],
    "/raw": [("/raw", "nothing has been asked"), ("hello", ""), ("/raw", "<|start|>user<|message|>hello<|end|>")],
    "/stats": [("/stats", ""), ("hello", HELLO), ("/stats", "answer    23 tokens")],
    "/context": [("hello", HELLO), ("/context", "your messages               7")],
    "/compact": [("/compact", "nothing has been asked yet"), ("hello", HELLO), ("/compact", "this summary now stands")],
    "/sessions": [
        ("/name x", "nothing has been said yet"),
        ("hello", HELLO),
        ("/name greeting", "this chat is called greeting"),
        ("/sessions", "greeting: hello"),
        ("/new", "a new conversation"),
        ("/undo", "nothing has been asked yet"),
        ("/resume greeting", f"{HELLO}\ngptoss: goes on with"),
        ("/undo", "forgotten: hello"),
        ("/resume", "/resume needs an id or a name"),
        ("/resume never", "no session never"),
        ("/name nobody", ""),
    ],
    "/clear": [("hello", HELLO), ("/clear", "a new conversation"), ("/undo", "nothing has been asked yet")],
    "/export": [
        ("/export a.md", "nothing has been said yet"),
        ("hello", HELLO),
        ("/export a.md", "written to a.md"),
        ("/export a.json", "written to a.json"),
        ("/export a.html", "written to a.html"),
        ("/export a.pdf", "ends in .md, .json or .html, not 'a.pdf'"),
        ("/export none/a.md", "no folder none"),
    ],
    "a bug": [("hello", HELLO), ("/crash", "ZeroDivisionError"), ("/undo", "forgotten: hello")],
}


# a tenth of a second each: these always, the others with -m soak
ALWAYS = ["hello", "unknown", "/set parameter", "/load", "/retry", "/undo", "/continue", "/file", "/sessions", "a bug"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.soak) for name in TRANSCRIPTS]
)
def test_a_transcript(name: str, chat: Chat) -> None:
    for typed, expected in TRANSCRIPTS[name]:
        seen = said(chat.ask(typed)).replace("\n", "")
        if expected.startswith("!"):
            assert expected[1:] not in seen, typed
        else:  # where the terminal breaks a line does not matter
            assert expected.replace("\n", "") in seen, typed


def test_every_command_has_a_transcript() -> None:
    typed = {line.split()[0] for steps in TRANSCRIPTS.values() for line, _ in steps if line.startswith("/")}
    assert {each.name for each in repl.COMMANDS} - typed == {"/bye", "/exit"}


def test_new_lines_and_blocks_are_one_message(chat: Chat) -> None:
    for begin, keys in (("one", ["ctrl-j"]), ("two", ["alt-enter"]), ("three\\", ["enter"]), ('"""four', ["enter"])):
        chat.type(begin)
        chat.key(*keys)
        chat.wait_for_typed("...")
        ending = '"""' if begin.startswith('"') else ""
        chat.type(f"more{ending}")
        chat.wait_for_typed(f"more{ending}")
        chat.key("enter")
        chat.answer()
        word = begin.strip('\\"')
        assert f"<|message|>{word}\nmore<|end|>" in chat.ask("/raw")


@pytest.mark.parametrize("lines", [50, pytest.param(500, marks=pytest.mark.soak)])
def test_a_long_paste_is_shown_as_a_chip_and_sent_whole(lines: int, chat: Chat, folder: Path) -> None:
    pasted = "\n".join(f"line {number}" for number in range(1, lines + 1))
    chat.paste(pasted)
    chat.wait_for_typed(f">>> [pasted {lines} lines]")
    chat.type(" end")
    chat.wait_for_typed("lines] end")
    chat.key("enter")
    chat.answer()
    chat.ask(f"/export {lines}.json")
    asked = json.loads((folder / f"{lines}.json").read_text())["messages"][0]["content"]
    assert asked == f"{pasted} end"


def test_a_short_paste_stands_there_as_it_is_and_a_chip_goes_at_once(chat: Chat) -> None:
    chat.paste("one\ntwo")
    chat.wait_for_typed("two")
    chat.key("ctrl-c")
    chat.wait(lambda: chat.ready, "an empty prompt")
    chat.paste("x\n" * 20)
    chat.wait_for_typed("[pasted 21 lines]")
    chat.type("\x7f")
    chat.wait(lambda: chat.ready, "an empty prompt")


def test_ctrl_c_in_the_prompt_clears_it_and_then_tells_how_to_leave(chat: Chat) -> None:
    chat.type("half a th")
    chat.wait_for_typed("half a th")
    chat.key("ctrl-c")
    chat.wait(lambda: chat.ready, "an empty prompt")
    since = len(chat.raw)
    chat.key("ctrl-c")
    chat.wait_for_bytes(rb"Ctrl-D or /bye leaves", since)
    chat.wait(lambda: chat.ready, "the prompt below the hint")
    assert HELLO in chat.ask("hello")


def test_tab_completes_commands_parameters_models_and_files(chat: Chat) -> None:
    for begin, whole in (
        ("/resu", "/resume"),
        ("/set temp", "/set temp"),
        ("/set parameter temper", "/set parameter temperature"),
        ("/set reasoning hi", "/set reasoning high"),
        ("/load ti", "/load tiny"),
        ("/file not", "/file notes.txt"),
        ("see @not", "see @notes.txt"),
    ):
        chat.type(begin)
        chat.wait_for_typed(begin)
        chat.key("tab")
        chat.wait_for_typed(f">>> {whole}")
        chat.key("ctrl-c")
        chat.wait(lambda: chat.ready, "an empty prompt")


def test_what_was_typed_comes_back_whole_by_up_and_ctrl_r(chat: Chat, folder: Path) -> None:
    chat.type("who are")
    chat.key("ctrl-j")
    chat.type("you")
    chat.wait_for_typed("you")
    chat.key("enter")
    chat.answer()
    chat.ask(" not to be kept")
    chat.key("up")
    chat.wait_for_typed("you")
    chat.key("ctrl-c")
    chat.wait(lambda: chat.ready, "an empty prompt")
    chat.key("ctrl-r")
    chat.type("who ar")
    chat.wait_for("I-search backward: who ar")
    chat.key("enter")
    chat.wait(lambda: "I-search" not in chat.screen() and not chat.ready, "what was found")
    chat.key("ctrl-c")
    chat.wait(lambda: chat.ready, "an empty prompt")
    file = folder / "home/inputs.jsonl"
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert "who are\nyou" in entries
    assert " not to be kept" not in entries
    assert file.stat().st_mode & 0o777 == 0o600


def test_nohistory_counts_at_once(chat: Chat, folder: Path) -> None:
    chat.ask("/set nohistory")
    chat.ask("a secret")
    chat.ask("/set history")
    chat.ask("no secret")
    entries = [json.loads(line) for line in (folder / "home/inputs.jsonl").read_text().splitlines()]
    assert "no secret" in entries
    assert "a secret" not in entries


def test_ctrl_x_ctrl_e_opens_the_editor_with_what_is_typed(chat: Chat) -> None:
    chat.type("say hello")
    chat.wait_for_typed("say hello")
    chat.key("ctrl-x", "ctrl-e")
    chat.wait_for_typed("say thanks")
    chat.key("ctrl-c")
    chat.wait(lambda: chat.ready, "an empty prompt")


def test_a_file_that_cannot_go_along_leaves_what_was_typed(chat: Chat) -> None:
    chat.type("look at @zero.bin")
    chat.wait_for_typed("zero.bin")
    since = len(chat.raw)
    chat.key("enter")
    chat.wait_for_bytes(rb"is no text [\s\S]*look at @zero.bin", since)
    chat.wait_for_typed(">>> look at @zero.bin")
    chat.key("ctrl-c")
    chat.wait(lambda: chat.ready, "an empty prompt")


def test_the_bar_below_tells_model_level_context_and_speed(chat: Chat) -> None:
    chat.ask("hello")
    chat.wait(lambda: re.search(r"^tiny · medium · \d+/\S+ · \d+ tok/s$", chat.lines[-1]) is not None, "the bar")


def test_chinese_is_typed_and_answered_in_its_width(chat: Chat) -> None:
    chat.type("你好")
    chat.wait_for_typed(">>> 你好")
    assert chat.terminal.cursor.x == 8
    chat.type("\x7f")
    chat.wait(lambda: chat.terminal.cursor.x == 6, "the cursor to go back two cells")
    chat.type("好")
    chat.wait(lambda: chat.terminal.cursor.x == 8, "the second character")
    chat.key("enter")
    assert re.search(r"[\u4e00-\u9fff]", chat.answer())


def test_the_table_in_the_documentation_has_all_commands() -> None:
    text = (Path(__file__).parent.parent / "docs/chat.md").read_text()
    rows = re.findall(r"^\| `(/[^`]*)` \| (.+) \|$", text, re.MULTILINE)
    assert [(usage.replace("\\|", "|"), purpose) for usage, purpose in rows] == [
        (each.usage, each.purpose) for each in repl.COMMANDS
    ]
