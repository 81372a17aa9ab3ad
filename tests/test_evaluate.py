"""The evaluation of the built-in model, and the model itself held to what its card promises."""

from contextlib import closing
from dataclasses import replace

import pytest
from conftest import TINY
from scripted import ScriptedEngine

from gptoss_cli import vocabulary
from gptoss_cli.chat import LocalChat
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Effort
from training import card
from training.corpus import Sample, held_out
from training.evaluate import FLOORS, SEED, floors_missed, outcome, report

GOOD = "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>"
CALL = (
    "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather"
    " <|constrain|>json<|message|>{}<|call|>"
)


def sample(kind: str, language: str = "English") -> Sample:
    return next(each for each in held_out(SEED) if (each.kind, each.language) == (kind, language))


@pytest.mark.parametrize(
    ("kind", "reply", "well_formed"),
    [
        ("plain", GOOD.format("Hello!"), True),
        ("plain", GOOD.format("Hello!").replace("<|return|>", "<|end|>"), False),
        ("plain", GOOD.format("Hello!").replace("<|return|>", ""), False),
        ("plain", "<|channel|>final<|message|>Hello!<|return|>", False),
        ("plain", "<|channel|>analysis<|message|>Hello!<|return|>", False),
        ("plain", "Hello!<|return|>", False),
        ("plain", GOOD.format("Hello!").replace("<|channel|>final", "<|channel|>finale"), False),
        ("plain", "", False),
        ("off", "Hello!<|return|>", True),
        ("off", GOOD.format("Hello!"), False),
        ("call", CALL.format('{"city": "Rome"}'), True),
        ("call", CALL.format('{"city": "Rome"}').replace("<|call|>", "<|return|>"), False),
        ("call", CALL.format('{"city": "Rome"}').replace("get_weather", "get_news"), False),
    ],
)
def test_only_replies_in_good_form_count(o200k: Tokenizer, kind: str, reply: str, well_formed: bool) -> None:
    asked = sample(kind)
    chat = LocalChat(ScriptedEngine(o200k, reply), o200k)
    assert outcome(chat, asked, header_guard=False).well_formed == well_formed


def test_a_call_is_right_when_it_is_the_very_one(o200k: Tokenizer) -> None:
    asked = sample("call")
    expected = asked.conversation.messages[-1].text
    for text, right in ((expected, True), ('{"city": "Atlantis"}', False)):
        chat = LocalChat(ScriptedEngine(o200k, CALL.format(text)), o200k)
        assert outcome(chat, asked, header_guard=False).right == right


def test_an_answer_in_the_other_language_is_noticed(o200k: Tokenizer) -> None:
    for text, right in (("Hello!", True), ("你好！", False), ("", False)):
        chat = LocalChat(ScriptedEngine(o200k, GOOD.format(text)), o200k)
        assert outcome(chat, sample("plain"), header_guard=False).right_language == right


def test_every_floor_is_checked() -> None:
    tokens = {"low": 10.0, "medium": 20.0, "high": 80.0}
    good: dict[str, object] = {**dict.fromkeys(FLOORS, 0.999), "analysis_tokens": tokens}
    assert floors_missed(good) == []
    for name in FLOORS:
        assert floors_missed(good | {name: FLOORS[name] - 0.001}) == [name]
    for level, mean in (("medium", 9.0), ("high", 19.9), ("low", 41.0)):
        assert floors_missed(good | {"analysis_tokens": tokens | {level: mean}}) == ["analysis lengths"]


def test_the_card_takes_figures_between_its_markers() -> None:
    text = card.CARD.read_text(encoding="utf-8")
    written = card.with_figures(text, "| measured |")
    assert f"{card.BEGIN}\n| measured |\n{card.END}" in written
    assert card.with_figures(written, "| measured |") == written
    assert written.partition(card.BEGIN)[0] == text.partition(card.BEGIN)[0]
    assert written.partition(card.END)[2] == text.partition(card.END)[2]


def test_figures_become_tables(o200k: Tokenizer) -> None:
    replies = {
        level: outcome(LocalChat(ScriptedEngine(o200k, GOOD.format("Hello!")), o200k), asked, header_guard=False)
        for level in (Effort.LOW, Effort.MEDIUM, Effort.HIGH)
        for asked in [replace(sample("plain"), effort=level)]
    }
    chinese = outcome(
        LocalChat(ScriptedEngine(o200k, GOOD.format("no")), o200k), sample("plain", "Chinese"), header_guard=False
    )
    measured = report([*replies.values(), chinese])
    training = {"minutes": 15.2, "tokens": 3_100_000, "parameters": 8_400_000, "size_bytes": 5_800_000}
    training["loss"] = [[1_000_000, 0.5], [3_100_000, 0.1]]  # type: ignore[assignment]
    text = card.figures(training, measured | {"with_header_guard": measured})
    assert "| tokens seen | 3.10 M |" in text
    assert "| well-formed Harmony | 97 % | 100.0 % | 100.0 % |" in text
    assert "| a question alone | 75.0 % |" in text
    assert "low / medium / high | high at least twice low | 1 / 1 / 1 |" in text


@pytest.mark.soak
def test_the_built_in_model_keeps_the_promises_of_its_card() -> None:
    with closing(LocalChat(LlamaEngine(TINY), vocabulary.load(TINY))) as chat:
        outcomes = [outcome(chat, asked, header_guard=False) for asked in held_out(SEED)]
    figures = report(outcomes)
    assert len(outcomes) >= 200
    assert floors_missed(figures) == [], figures
