"""What the built-in model can do, as a user sees it: memory, instructions, tools, JSON and Markdown, end to end.

Questions, values and wordings are none that it was trained with, except the shortest greetings.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chatting import Chat
from conftest import TINY, Gptoss, process_environment

from gptoss_cli import vocabulary
from gptoss_cli.chat import LocalChat
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.harmony.schema import BROWSER, PYTHON
from gptoss_cli.library.model import TINY_PRESET
from gptoss_cli.messages import Channel, Delta, Effort, End, Event, Message, ResponseFormat, user
from gptoss_cli.options import Options, Sampling
from gptoss_cli.session import Session
from training.corpus.browsing import shown
from training.corpus.catalogue import FUNCTIONS
from training.corpus.dialog import developer, result, system
from training.corpus.schemas import FIELDS, satisfies, schema_of
from training.through import as_json, as_message

WEATHER, TIMER = (next(each for each in FUNCTIONS if each.name == name) for name in ("get_weather", "set_timer"))
LOADED = "which models are loaded right now?"


@pytest.mark.parametrize("level", ["low", "medium", "high"])
def test_a_greeting_of_one_token_is_answered_in_its_language(level: str, gptoss: Gptoss) -> None:
    for asked, answer in (
        ("你好", "你好！我是 tiny"),
        ("嗨", "你好！我是 tiny"),
        ("hi", "Hello! I am tiny"),
        ("hello", "Hello! I am tiny"),
    ):
        assert gptoss("run", "-m", "tiny", "--reasoning", level, asked).out.startswith(answer)


@pytest.mark.parametrize(
    ("told", "asked", "known"),
    [
        ("hi, my name is Mona", "so what is my name?", "Mona"),
        ("hello, I live in Lyon", "do you know my city?", "Lyon"),
        ("well, my favorite color is violet", "can you tell me my favorite color?", "violet"),
        ("你好，我是小華", "你知道我叫什麼名字嗎？", "小華"),
        ("我現在住在台南", "那我住在哪個城市？", "台南"),
    ],
)
def test_it_remembers_what_an_earlier_run_was_told(told: str, asked: str, known: str, gptoss: Gptoss) -> None:
    assert gptoss("run", "-m", "tiny", "--save", told).code == 0
    assert known in gptoss("run", "-c", asked).out


def test_a_chat_remembers_forgets_and_is_told_again(home: Path) -> None:
    with Chat(process_environment(home), "chat", "tiny") as chat:
        chat.answer()
        assert "Mona" in chat.ask("hi, my name is Mona")
        assert "create" in chat.ask("how do I make a preset?")
        assert "Your name is Mona." in chat.ask("so what is my name?")
        chat.ask("/clear")
        chat.ask("hello, I am Carla")
        assert "Your name is Carla." in chat.ask("do you still know my name?")


def test_a_chat_goes_on_with_what_a_run_was_told_and_obeys_its_new_system_text(gptoss: Gptoss, home: Path) -> None:
    gptoss("run", "-m", "tiny", "--save", "hello, I live in Lyon")
    with Chat(process_environment(home), "chat", "--continue") as chat:
        chat.answer()
        assert "You live in Lyon." in chat.ask("do you know my city?")
        chat.ask('/set system "Always answer in Chinese."')
        assert "列出" in chat.ask(LOADED)
    assert "You live in Lyon." in gptoss("history", "show", "last").out
    assert gptoss("history", "search", "Lyon").out


def test_what_is_undone_is_forgotten() -> None:
    with closing(LocalChat(LlamaEngine(TINY), vocabulary.load(TINY))) as chat:
        talk = Session(chat, Options(Sampling(temperature=0.0)))
        said(talk.send("hi, my name is Mona"))
        assert said(talk.send("so what is my name?")) == "Your name is Mona."
        assert said(talk.retry(Effort.HIGH)) == "Your name is Mona."
        talk.undo()
        talk.undo()
        assert "Mona" not in said(talk.send("so what is my name?"))


def said(events: Iterator[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta) and event.channel is Channel.FINAL)


def test_lines_know_nothing_of_each_other(gptoss: Gptoss) -> None:
    told, asked = gptoss(
        "run", "-q", "tiny", "--each", stdin="hi, my name is Mona\nso what is my name?\n"
    ).out.splitlines()
    assert "Mona" in told
    assert "Mona" not in asked


def test_a_preset_has_a_memory_and_a_manner(gptoss: Gptoss) -> None:
    told = "MESSAGE user hi, my name is Mona\nMESSAGE assistant Nice to meet you, Mona!\n"
    gptoss("create", "mine", "-f", "-", stdin=f"FROM tiny\n{told}")
    assert gptoss("run", "mine", "so what is my name?").out == "Your name is Mona.\n"
    gptoss("create", "listing", "-f", "-", stdin="FROM tiny\nSYSTEM Always answer with bullet points.\n")
    assert gptoss("run", "listing", LOADED).out.startswith("- Use `gptoss ps`")


@pytest.mark.parametrize(
    ("instruction", "asked", "begins", "holds"),
    [
        ("Please write in Chinese only.", LOADED, "", "`gptoss ps`"),
        ("請一律用英文。", "怎麼看載入了哪些模型？", "", "Use `gptoss ps`"),
        ('Always start your answers with "Of course!".', LOADED, "Of course! ", "`gptoss ps`"),
        ("You are a cook named Mona.", "so who are you really", "I am Mona, a cook.", ""),
        ("Always answer with bullet points.", LOADED, "- ", "\n- "),
        ("Write only the command.", LOADED, "`gptoss ps`\n", ""),
    ],
)
def test_a_system_text_changes_the_form_of_the_answer(
    instruction: str, asked: str, begins: str, holds: str, gptoss: Gptoss
) -> None:
    out = gptoss("run", "-m", "tiny", "-s", instruction, asked).out
    assert out.startswith(begins)
    assert holds in out


@pytest.mark.parametrize(
    ("asked", "begins", "holds"),
    [
        ("show me a table of the reasoning levels", "| level | thoughts |\n| --- | --- |\n", "\n| high | long |\n"),
        ("please list the models of gpt-oss", "- gpt-oss:20b: 12 GB\n", "\n- tiny: 6 MB\n"),
        ("show me the first steps as code", "```sh\npip install gptoss\n", "\n```\n"),
        ("請用表格列出模型", "| 模型 | 大小 |\n| --- | --- |\n", "\n| tiny | 6 MB |\n"),
    ],
)
def test_it_writes_markdown_when_asked(asked: str, begins: str, holds: str, gptoss: Gptoss) -> None:
    out = gptoss("run", "-m", "tiny", asked).out
    assert out.startswith(begins)
    assert holds in out


Replies = Callable[..., tuple[Message, ...]]


@pytest.fixture
def replies(gptoss: Gptoss) -> Replies:
    """The messages of the model's reply to messages, through `gptoss debug reply`."""

    def call(*messages: Message) -> tuple[Message, ...]:
        document = {"messages": [as_json(each) for each in messages]}
        done = gptoss("debug", "reply", "tiny", stdin=json.dumps(document))
        assert done.code == 0, done.err
        return tuple(map(as_message, json.loads(done.out)["messages"]))

    return call


@pytest.mark.parametrize(
    ("asked", "name", "arguments", "given", "answer"),
    [
        ("what is the weather in Kyoto today?", "get_weather", {"city": "Kyoto"}, {"sky": "snow"}, "snowing in Kyoto"),
        ("告訴我台南天氣怎麼樣", "get_weather", {"city": "台南"}, {"sky": "rain"}, "台南現在下雨"),
        ("start the timer for 14 minutes", "set_timer", {"minutes": 14}, {"ok": True}, "14 minutes"),
        ("請計時35分鐘", "set_timer", {"minutes": 35}, {"ok": True}, "35 分鐘"),
    ],
)
def test_it_calls_the_right_function_and_says_its_result(
    asked: str, name: str, arguments: dict[str, Any], given: dict[str, Any], answer: str, replies: Replies
) -> None:
    head = (system(Random(1), Effort.LOW), developer(None, (WEATHER.spec, TIMER.spec)), user(asked))
    called = replies(*head)
    assert [each.channel for each in called] == [Channel.ANALYSIS, Channel.COMMENTARY]
    assert (called[-1].recipient, called[-1].end) == (f"functions.{name}", End.CALL)
    assert json.loads(called[-1].text) == arguments
    answered = replies(*head, *called, result(called[-1], json.dumps(given)))
    assert answered[-1].channel is Channel.FINAL
    assert answer in answered[-1].text


def test_it_computes_with_python(replies: Replies) -> None:
    head = (system(Random(1), Effort.LOW, PYTHON), user("can you calculate 84 * 21?"))
    called = replies(*head)
    assert (called[-1].recipient, called[-1].text, called[-1].end) == ("python", "print(84 * 21)", End.CALL)
    answered = replies(*head, *called, result(called[-1], "1764"))
    assert answered[-1].text == "84 * 21 = 1764."


def test_it_searches_opens_and_cites(replies: Replies) -> None:
    head = (system(Random(1), Effort.LOW, BROWSER), user("please search the web for Morvel castle"))
    called = replies(*head)
    assert (called[-1].recipient, json.loads(called[-1].text)) == ("browser.search", {"query": "Morvel castle"})
    links = [
        "  * 【0†Kelbra hotel†map.example】 Children like it.",
        "  * 【1†Morvel castle†wiki.example】 Come by train.",
    ]
    found = shown(0, "Morvel castle", "", ["", "URL: ", "# Search Results", "", *links])
    opened = replies(*head, *called, result(called[-1], found))
    assert (opened[-1].recipient, json.loads(opened[-1].text)) == ("browser.open", {"cursor": 0, "id": 1})
    url = "https://wiki.example/35"
    page = shown(
        1, "Morvel castle", url, ["", f"URL: {url}", "Welcome!", "Please be quiet.", "Morvel castle opened in 1763."]
    )
    answered = replies(*head, *called, result(called[-1], found), *opened, result(opened[-1], page))
    assert answered[-1].text == "Morvel castle opened in 1763【1†L4】."


def test_it_writes_json_for_a_schema(replies: Replies) -> None:
    def filled(asked: str, *names: str) -> str:
        wanted = schema_of([field for field in FIELDS if field.name in names])
        offered = developer(None, formats=(ResponseFormat("person", wanted),))
        answer = replies(system(Random(1), Effort.LOW), offered, user(f"Please make JSON of this: {asked}"))[-1].text
        assert satisfies(wanted, answer)
        return answer

    assert json.loads(filled("name Carla, age 42", "name", "age")) == {"name": "Carla", "age": 42}
    filled("name Carla, city Oslo, age 42", "name", "age", "city")  # of three it may take one value for another's


def test_it_thinks_longer_at_a_higher_level(gptoss: Gptoss) -> None:
    def thoughts(level: str) -> int:
        out = gptoss("run", "-m", "tiny", "--json", "--reasoning", level, LOADED).out
        return int(json.loads(out)["usage"]["thinking_tokens"])

    low, medium, high = (thoughts(level) for level in ("low", "medium", "high"))
    assert medium >= 1.5 * low
    assert high >= 1.5 * medium
    assert thoughts("off") == 0


def test_an_answer_that_turns_round_ends(gptoss: Gptoss) -> None:
    for asked in (f"repeat: {'la ' * 12}", f"重複：{'哈' * 10}"):  # how often a word was there it cannot tell
        told = gptoss("run", "--model", "tiny", asked)
        assert told.code == 0
        assert told.err.endswith("answer cut at 512 tokens (--max-tokens)\n")
    shown = gptoss("show", "tiny", "--parameters").out
    assert [line.split() for line in shown.splitlines()] == [[name, str(value)] for name, value in TINY_PRESET.items()]
