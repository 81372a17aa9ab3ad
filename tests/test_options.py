"""Options: texts become typed values within their limits, and unknown or bad ones are refused in one line."""

import pytest

from gptoss_cli.errors import BadInput
from gptoss_cli.messages import Effort
from gptoss_cli.options import Options, typed


def test_the_defaults_are_the_models_own_distribution() -> None:
    sampling = Options().sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (1.0, 1.0, 0, 0.0)
    assert (sampling.repeat_penalty, sampling.presence_penalty, sampling.frequency_penalty) == (1.0, 0.0, 0.0)


def test_override_takes_values_and_texts() -> None:
    options = Options().override({"temperature": "0.5", "seed": 7, "stop": ["a", "b"], "reasoning": "High"})
    assert options.sampling.temperature == 0.5
    assert options.sampling.seed == 7
    assert options.stop == ("a", "b")
    assert options.reasoning is Effort.HIGH


@pytest.mark.parametrize(
    ("text", "effort"),
    [("low", "low"), ("none", "off"), ("false", "off"), ("minimal", "low"), ("true", "medium"), ("max", "high")],
)
def test_other_tools_spellings_of_the_reasoning_level(text: str, effort: str) -> None:
    assert typed("reasoning", text) == effort


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", "warm", "temperature must be a number, not 'warm'"),
        ("temperature", -1, "temperature must be from 0.0 to 100.0, not -1"),
        ("temperature", float("nan"), "temperature must be a number, not nan"),
        ("top_p", 1.5, "top_p must be from 0.0 to 1.0, not 1.5"),
        ("top_k", "2.5", "top_k must be a whole number, not '2.5'"),
        ("top_k", 2.5, "top_k must be a whole number, not 2.5"),
        ("seed", True, "seed must be a whole number, not True"),
        ("seed", 2**64, f"seed must be from {-(2**63)} to {2**64 - 1}, not {2**64}"),
        ("num_ctx", 200000, "num_ctx must be from 16 to 131072, not 200000"),
        ("num_ctx", float("inf"), "num_ctx must be a whole number, not inf"),
        ("max_tokens", 0, "max_tokens must be from 1 to 10000000, not 0"),
        ("reasoning", "extreme", "reasoning must be low, medium, high or off, not 'extreme'"),
        ("stop", "", "stop must be one or more texts that are not empty, not ''"),
        ("header_guard", "maybe", "header_guard must be true or false, not 'maybe'"),
        ("temprature", 1, "unknown option temprature"),
    ],
)
def test_bad_values_are_refused_in_one_line(name: str, value: object, message: str) -> None:
    with pytest.raises(BadInput) as raised:
        Options().override({name: value})
    assert str(raised.value) == message


@pytest.mark.parametrize("value", [-1, "-1", "-2", None])
def test_no_limit_is_said_as_ollama_does(value: object) -> None:
    assert Options(max_tokens=5).override({"max_tokens": value}).max_tokens is None


def test_what_was_changed_makes_the_same_options_again() -> None:
    changed = {
        "reasoning": "high",
        "temperature": 0.5,
        "stop": ["a"],
        "max_tokens": 3,
        "seed": 0,
        "header_guard": False,
    }
    assert Options().override(changed).changed() == changed
    assert Options().changed() == {"reasoning": "medium"}
