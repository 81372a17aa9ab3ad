"""The evaluation of the built-in model, and the model itself held to what its card promises."""

from contextlib import closing

import pytest
from conftest import TINY
from scripted import ScriptedEngine

from gptoss_cli import vocabulary
from gptoss_cli.chat import LocalChat
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Role
from training import card
from training.corpus import Sample, held_out
from training.evaluate import ROWS, SEED, Outcome, floors_missed, outcome, report

GOOD = "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>"
ALL = tuple(held_out(SEED))
THOUGHT = "<|channel|>analysis<|message|>a<|end|><|start|>assistant"
CALL = THOUGHT + "<|channel|>commentary to={} <|constrain|>json<|message|>{}<|call|>"


def sample(kind: str, form: str = "", language: str = "English") -> Sample:
    """A held-out one."""
    return next(each for each in ALL if (each.kind, each.language) == (kind, language) and form in ("", each.form))


def replied(o200k: Tokenizer, asked: Sample, *replies: str) -> Outcome:
    """What comes of these replies, one after the other."""
    return outcome(LocalChat(ScriptedEngine(o200k, *replies), o200k), asked, header_guard=False)


@pytest.mark.parametrize(
    ("form", "reply", "well_formed"),
    [
        ("alone", GOOD.format("Hello!"), True),
        ("alone", GOOD.format("Hello!").replace("<|return|>", "<|end|>"), False),
        ("alone", GOOD.format("Hello!").replace("<|return|>", ""), False),
        ("alone", "<|channel|>final<|message|>Hello!<|return|>", False),
        ("alone", "<|channel|>analysis<|message|>Hello!<|return|>", False),
        ("alone", "Hello!<|return|>", False),
        ("alone", GOOD.format("Hello!").replace("<|channel|>final", "<|channel|>finale"), False),
        ("alone", "", False),
        ("off", "Hello!<|return|>", True),
        ("off", GOOD.format("Hello!"), False),
    ],
)
def test_only_replies_in_good_form_count(o200k: Tokenizer, form: str, reply: str, well_formed: bool) -> None:
    assert replied(o200k, sample("guide", form), reply).well_formed == well_formed


def test_a_call_is_right_when_it_is_the_very_one_and_its_result_is_in_the_answer(o200k: Tokenizer) -> None:
    asked = sample("functions", "get_price")
    call = next(each for each in asked.conversation.messages[asked.reply_from :] if each.recipient)
    right, wrong = CALL.format(call.recipient, call.text), CALL.format(call.recipient, '{"dish": "stones"}')
    answer = GOOD.format(asked.conversation.messages[-1].text)
    assert replied(o200k, asked, right, answer).right
    assert replied(o200k, asked, right.replace(": ", ":"), answer).right
    assert not replied(o200k, asked, right, GOOD.format("It costs a lot.")).right
    assert not replied(o200k, asked, right, answer.replace(" costs", " costs costs")).right
    assert not replied(o200k, asked, wrong, answer).right
    assert not replied(o200k, asked, answer).right
    assert not replied(o200k, asked, right.replace("<|call|>", "<|end|>"), answer).right
    assert not replied(o200k, asked, right.replace("get_price", "get_prices"), answer).well_formed


def test_the_browser_is_asked_twice_and_cited(o200k: Tokenizer) -> None:
    asked = sample("browser")
    search, open_ = (
        each.text
        for each in asked.conversation.messages[asked.reply_from :]
        if each.recipient and each.channel and each.role is Role.ASSISTANT
    )
    calls = [
        THOUGHT + f" to=browser.{tool}<|channel|>analysis code<|message|>{text}<|call|>"
        for tool, text in (("search", search), ("open", open_))
    ]
    answer = asked.conversation.messages[-1].text
    assert replied(o200k, asked, *calls, GOOD.format(answer)).right
    assert not replied(o200k, asked, *calls, GOOD.format(answer.replace("【1†", "【0†"))).right
    assert not replied(o200k, asked, calls[0], GOOD.format(answer)).right


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("bullet points", "- one\n- another", "one"),
        ("the command only", "`gptoss ps`", "Use `gptoss ps`."),
        ("in English", "Hello!", "你好！"),
    ],
)
def test_instructions_are_judged_by_the_form(o200k: Tokenizer, form: str, good: str, bad: str) -> None:
    asked = sample("instructions", form)
    assert replied(o200k, asked, GOOD.format(good)).right
    assert not replied(o200k, asked, GOOD.format(bad)).right


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("code block", "```sh\n{}\n```", "{}"),
        ("list", "- {}: a\n- {}: b", "{} {}"),
        ("table", "| a | b |\n| --- | --- |\n| {} | x |\n| {} | y |", "| a | b |\n| {} | x |\n| {} | y |"),
    ],
)
def test_markdown_is_judged_by_its_form_and_what_is_in_it(o200k: Tokenizer, form: str, good: str, bad: str) -> None:
    asked = sample("Markdown", form)
    assert replied(o200k, asked, GOOD.format(good.format(*asked.needs))).right
    assert not replied(o200k, asked, GOOD.format(bad.format(*asked.needs))).right
    assert not replied(o200k, asked, GOOD.format(good.format("?", "?"))).right


def test_json_is_judged_by_the_schema(o200k: Tokenizer) -> None:
    asked = sample("JSON")
    document = asked.conversation.messages[-1].text
    assert replied(o200k, asked, GOOD.format(document)).right
    for wrong in (document[:-1], "{}", document[:-1] + ', "more": 1}', f"Here it is: {document}"):
        assert not replied(o200k, asked, GOOD.format(wrong)).right


def test_a_right_answer_need_not_be_the_very_text_and_this_is_told(o200k: Tokenizer) -> None:
    asked = sample("instructions", "the command only")
    text = asked.conversation.messages[-1].text
    same, another = (replied(o200k, asked, GOOD.format(each)) for each in (f"{text}\n", "`gptoss nothing`"))
    assert (same.right, same.word_for_word) == (True, True)
    assert (another.right, another.word_for_word) == (True, False)


def test_an_answer_in_the_other_language_is_noticed(o200k: Tokenizer) -> None:
    for text, right in (("Hello!", True), ("你好！", False), ("", False)):
        assert replied(o200k, sample("guide", "alone"), GOOD.format(text)).right_language == right


def test_a_wrong_call_and_an_answer_without_words_have_no_language(o200k: Tokenizer) -> None:
    asked = sample("functions", "get_price")
    wrong = CALL.format("functions.get_price", '{"title": "stones"}')
    assert not replied(o200k, asked, wrong).is_spoken
    assert replied(o200k, asked, GOOD.format("Hello!")).is_spoken
    assert replied(o200k, asked, "").is_spoken
    assert not replied(o200k, sample("python", language="Chinese"), GOOD.format("1 + 1 = 2")).is_spoken


def test_every_floor_is_checked() -> None:
    tokens = {"low": 10.0, "medium": 20.0, "high": 40.0}
    good: dict[str, object] = {**dict.fromkeys(ROWS, 1.0), "analysis_tokens": tokens}
    assert floors_missed(good) == []
    for name, (floor, _) in ROWS.items():
        assert floors_missed(good | {name: floor - 0.001}) == [name]
    for level, mean in (("medium", 14.9), ("high", 29.9), ("low", 14.0)):
        assert floors_missed(good | {"analysis_tokens": tokens | {level: mean}}) == ["analysis lengths"]


def test_the_card_takes_figures_between_its_markers() -> None:
    text = card.CARD.read_text(encoding="utf-8")
    written = card.with_figures(text, "| measured |")
    assert f"{card.BEGIN}\n| measured |\n{card.END}" in written
    assert card.with_figures(written, "| measured |") == written
    assert written.partition(card.BEGIN)[0] == text.partition(card.BEGIN)[0]
    assert written.partition(card.END)[2] == text.partition(card.END)[2]


def test_figures_become_tables() -> None:
    measured: dict[str, object] = {
        **dict.fromkeys(ROWS, 0.955),
        "word_for_word": {"guide": 0.91},
        "prompts": dict.fromkeys(ROWS, 120),
        "analysis_tokens": {"low": 10.0, "medium": 22.0, "high": 55.0},
        "forms": {"guide: alone": 0.9},
    }
    training = {"minutes": 15.2, "tokens": 3_100_000, "parameters": 8_400_000, "size_bytes": 5_800_000}
    training["loss"] = [[1_000_000, 0.5], [3_100_000, 0.1]]  # type: ignore[assignment]
    text = card.figures(training, measured | {"with_header_guard": dict.fromkeys(ROWS, 1.0)}, {"guide": 0.85})
    assert "| tokens seen | 3.10 M |" in text
    assert "| well-formed Harmony | 120 | 99 % | 99.9 % | 95.5 % |  | 100 % |  |" in text
    assert "| questions about gptoss, and courtesies | 120 | 85 % | 95 % | 95.5 % | 91 % | 100 % | 85 % |" in text
    assert "| guide: alone | 90 % |" in text
    assert "| 2.2x and 2.5x (10 / 22 / 55) |" in text


@pytest.mark.soak
def test_the_built_in_model_keeps_what_its_card_promises() -> None:
    with closing(LocalChat(LlamaEngine(TINY), vocabulary.load(TINY))) as chat:
        figures = report([outcome(chat, each, header_guard=False) for each in ALL])
    assert floors_missed(figures) == [], figures
