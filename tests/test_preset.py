"""What a Modelfile asks for, and how one builds on another."""

import pytest

from gptoss_cli import modelfile, preset
from gptoss_cli.errors import ModelfileError
from gptoss_cli.messages import Effort
from gptoss_cli.modelfile import Modelfile


def read(lines: str) -> tuple[preset.Preset, list[str]]:
    made, remarks = preset.read(modelfile.parse(f"FROM x\n{lines}\n"))
    return made, [remark.text for remark in remarks]


def test_parameters_are_typed() -> None:
    lines = ["temperature 0.5", "top_k 40", "stop a", 'stop "b "', "reasoning high", "max_thinking 100"]
    lines += ["num_predict 50", "num_gpu 0", "num_thread 3", "seed -1"]
    made, remarks = read("\n".join(f"PARAMETER {line}" for line in lines))
    assert made.options == {
        "temperature": 0.5,
        "top_k": 40,
        "stop": ("a", "b "),
        "reasoning": Effort.HIGH,
        "max_thinking": 100,
        "max_tokens": 50,
        "seed": -1,
    }
    assert (made.gpu_layers, made.threads) == (0, 3)
    assert remarks == []


@pytest.mark.parametrize(
    ("lines", "remark"),
    [
        ("PARAMETER tempature 1", "unknown parameter tempature is left out; did you mean temperature?"),
        ("PARAMETER STOP x", "unknown parameter STOP is left out; did you mean stop?"),
        ("PARAMETER xyzzy 1", "unknown parameter xyzzy is left out; known: "),
        ("PARAMETER mirostat 1", "parameter mirostat is deprecated and has no effect"),
        ("PARAMETER num_batch 512", "parameter num_batch is kept and has no effect here"),
        ("PARAMETER use_mmap T", "parameter use_mmap is kept and has no effect here"),
        ("TEMPLATE {{ .Prompt }}", "TEMPLATE is kept and has no effect: gpt-oss speaks Harmony, which is built in"),
        ("FROM y", "another FROM follows, and the last one counts"),
        ("PARSER harmony", "PARSER is kept and has no effect here"),
    ],
)
def test_what_has_no_effect_is_remarked(lines: str, remark: str) -> None:
    made, remarks = read(lines)
    assert made.options == {}
    assert len(remarks) == 1
    assert remarks[0].startswith(remark)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("PARAMETER temperature hot", "Modelfile:2:23: temperature must be a number, not 'hot'"),
        ("PARAMETER temperature 0.5 # hot", "Modelfile:2:23: temperature must be a number, not '0.5 # hot'"),
        ("SYSTEM x\nPARAMETER num_ctx 1.5", "Modelfile:3:19: num_ctx must be a whole number, not '1.5'"),
        ("PARAMETER top_p 2", "Modelfile:2:17: top_p must be from 0.0 to 1.0, not 2"),
        ("PARAMETER num_batch x", "Modelfile:2:21: num_batch must be a whole number, not 'x'"),
        ("PARAMETER use_mmap maybe", "Modelfile:2:20: use_mmap must be true or false, not 'maybe'"),
        ("PARAMETER reasoning extreme", "Modelfile:2:21: reasoning must be low, medium, high or off"),
        ("FROM ", "Modelfile:2:6: FROM has no value"),
        ("REQUIRES soon", "Modelfile:2:10: REQUIRES is a version such as 0.14.0, not 'soon'"),
    ],
)
def test_a_bad_value_has_a_place(lines: str, message: str) -> None:
    with pytest.raises(ModelfileError) as caught:
        read(lines)
    assert str(caught.value).startswith(message)


WHOLE = ["num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_keep", "draft_num_predict", "seed"]
WHOLE += ["num_predict", "top_k", "repeat_last_n"]
REAL = ["top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty"]


@pytest.mark.parametrize("name", WHOLE + REAL)
def test_every_parameter_of_ollama_is_known_with_its_type(name: str) -> None:
    made, remarks = read(f"PARAMETER {name} {'64' if name in WHOLE else '0.5'}")
    assert not any("unknown" in remark for remark in remarks)
    for value in made.options.values():
        assert type(value) is (int if name in WHOLE else float)
    with pytest.raises(ModelfileError, match="number, not"):
        read(f"PARAMETER {name} {'0.5' if name in WHOLE else 'x'}")


@pytest.mark.parametrize("value", ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"])
def test_booleans_are_read_as_go_reads_them(value: str) -> None:
    assert read(f"PARAMETER use_mmap {value}")[1] == ["parameter use_mmap is kept and has no effect here"]


def test_a_request_of_ollamas_tests() -> None:
    text = "LICENSE single license\nLICENSE two\nPARAMETER temperature 0.5\nPARAMETER top_k 1\nSYSTEM You are\n"
    file = modelfile.parse(f"FROM test\n{text}MESSAGE user Hello\nMESSAGE assistant Hi")
    made, _ = preset.read(file)
    assert file.source == "test"
    assert file.values("license") == ("single license", "two")
    assert (made.options, made.system) == ({"temperature": 0.5, "top_k": 1}, "You are")
    assert made.messages == (("user", "Hello"), ("assistant", "Hi"))


@pytest.mark.parametrize("value", ["-1", "-2"])
def test_no_limit_is_said_as_ollama_does(value: str) -> None:
    assert read(f"PARAMETER num_predict 5\nPARAMETER num_predict {value}")[0].options == {"max_tokens": None}


BASE = modelfile.parse(
    "FROM tiny\nSYSTEM old\nPARAMETER stop a\nPARAMETER stop b\nPARAMETER temperature 0.1\nPARAMETER top_k 5\n"
    "MESSAGE user u\nMESSAGE assistant v\nLICENSE one\nTEMPLATE t\n"
)


def on_top(lines: str) -> Modelfile:
    return preset.merged(BASE, modelfile.parse(f"FROM base\n{lines}\n"), "tiny")


def test_nothing_on_top_is_the_base() -> None:
    same = on_top("")
    assert sorted(map(str, same.commands)) == sorted(map(str, BASE.commands)) or set(same.commands) == set(
        BASE.commands
    )


def test_own_parameters_win_one_by_one_and_stop_as_a_whole() -> None:
    made = on_top("PARAMETER temperature 0.9\nPARAMETER stop c")
    assert made.parameters == (("stop", "c"), ("temperature", "0.9"), ("top_k", "5"))


def test_a_system_text_replaces_and_an_empty_one_clears() -> None:
    assert on_top("SYSTEM new").last("system") == "new"
    assert on_top("").last("system") == "old"
    assert on_top('SYSTEM ""').last("system") is None


def test_messages_replace_all_and_licenses_add_up() -> None:
    made = on_top("MESSAGE user only\nLICENSE two\nLICENSE one")
    assert made.messages == (("user", "only"),)
    assert made.values("license") == ("one", "two")
    assert on_top("").messages == BASE.messages


def test_what_is_merged_parses_to_the_same_and_says_so_again() -> None:
    made = on_top('SYSTEM """a\n"b" """\nPARAMETER unknown 1')
    assert modelfile.parse(str(made)) == made
    assert preset.merged(None, made, "tiny") == made
    assert made.source == "tiny"
