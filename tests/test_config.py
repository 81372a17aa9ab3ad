"""Settings: who wins, where each value came from, and what a bad file or variable says."""

from pathlib import Path

import pytest

from gptoss_cli.config import Places, Settings, read_file, same_model
from gptoss_cli.errors import BadInput
from gptoss_cli.messages import Effort


def test_a_flag_beats_the_environment_beats_the_preset_beats_the_file() -> None:
    settings = Settings.resolve(
        flags={"temperature": 0.1, "top_p": None},
        environment={"GPTOSS_TEMPERATURE": "0.2", "GPTOSS_TOP_P": "0.3", "HOME": "/", "GPTOSS_SEED": ""},
        preset={"temperature": 0.4, "top_p": 0.5, "min_p": 0.6},
        file={"temperature": 0.7, "top_p": 0.8, "min_p": 0.9, "reasoning": "high", "model": "gpt-oss:120b"},
        model="zh",
    )
    sampling = settings.options.sampling
    assert (sampling.temperature, sampling.top_p, sampling.min_p) == (0.1, 0.3, 0.6)
    assert settings.options.reasoning is Effort.HIGH
    assert settings.model == "gpt-oss:120b"
    assert settings.origin == {
        "temperature": "--temperature",
        "top_p": "GPTOSS_TOP_P",
        "min_p": "preset zh",
        "reasoning": "config.toml",
        "model": "config.toml",
    }


def test_nothing_given_is_all_defaults() -> None:
    settings = Settings.resolve(flags={}, environment={}, preset={}, file={})
    assert settings.model is None
    assert not settings.origin


@pytest.mark.parametrize(
    ("environment", "file", "message"),
    [
        ({"GPTOSS_TOP_P": "2"}, {}, "GPTOSS_TOP_P: top_p must be from 0.0 to 1.0, not 2"),
        ({}, {"top_p": "x"}, "config.toml: top_p must be a number, not 'x'"),
        ({}, {"temprature": 1}, "config.toml: unknown setting temprature"),
        ({}, {"model": 20}, "config.toml: model must be a text, not 20"),
        ({}, {"color": "red"}, "config.toml: colour must be auto, always or never, not 'red'"),
        ({"GPTOSS_COLOR": "red"}, {}, "GPTOSS_COLOR: colour must be auto, always or never, not 'red'"),
        ({"GPTOSS_LANGUAGE": "fr"}, {}, "GPTOSS_LANGUAGE: language must be auto, en or zh-TW, not 'fr'"),
        ({"GPTOSS_NUM_GPU": "-2"}, {}, "GPTOSS_NUM_GPU: gpu_layers must be from -1 to 1000000, not -2"),
        ({}, {"colour": "auto", "color": "never"}, "config.toml: colour stands there twice, once as color"),
        ({}, {"save": "maybe"}, "config.toml: save must be true or false, not 'maybe'"),
        ({}, {"models": {"x": {"save": False}}}, "config.toml [models.x]: save is not of one model"),
        (
            {"GPTOSS_KEEP_ALIVE": "soon"},
            {},
            "GPTOSS_KEEP_ALIVE: keep_alive must be a duration such as 5m or 1h30m, or seconds; 0 is none, less is"
            " for ever; not 'soon'",
        ),
        ({}, {"models": 3}, "config.toml: models holds a table for each model"),
        ({}, {"models": {"a": 3}}, "config.toml: models holds a table for each model"),
        ({}, {"models": {"x": {"language": "en"}}}, "config.toml [models.x]: language is not of one model"),
        ({}, {"models": {"X:Latest": {"topp": 1}}}, 'config.toml [models."X:Latest"]: unknown setting topp'),
    ],
)
def test_a_bad_value_names_its_source(environment: dict[str, str], file: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as raised:
        Settings.resolve(flags={}, environment=environment, preset={}, file=file, model="x")
    assert str(raised.value) == message


def test_the_table_of_a_model_goes_before_the_rest_of_the_file_and_behind_the_preset() -> None:
    file = {
        "temperature": 0.1,
        "top_p": 0.1,
        "min_p": 0.1,
        "models": {"GPT-OSS": {"temperature": 0.2, "top_p": 0.2, "num_gpu": 3}, "other": {"min_p": 0.3}},
    }
    settings = Settings.resolve(flags={}, environment={}, preset={"top_p": 0.4}, file=file, model="gpt-oss:20b")
    sampling = settings.options.sampling
    assert (sampling.temperature, sampling.top_p, sampling.min_p, settings.gpu_layers) == (0.2, 0.4, 0.1, 3)
    assert settings.origin == {
        "temperature": "config.toml [models.GPT-OSS]",
        "top_p": "preset gpt-oss:20b",
        "min_p": "config.toml",
        "gpu_layers": "config.toml [models.GPT-OSS]",
    }


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("gpt-oss", "gpt-oss:20b", True),
        ("openai/gpt-oss-20b", "GPT-OSS", True),
        ("x", "X:latest", True),
        ("library/x", "x", True),
        ("x:1", "x:2", False),
        ("a/x", "x", False),
        ("/a/w.gguf", "/a/w.gguf", True),
    ],
)
def test_names_in_tables_match_as_names_of_models_do(one: str, other: str, same: bool) -> None:
    assert same_model(one, other) is same


@pytest.mark.parametrize(
    ("environment", "file", "colour", "origin"),
    [
        ({}, {}, "auto", None),
        ({}, {"colour": "always"}, "always", "config.toml"),
        ({"NO_COLOR": "1"}, {"color": "always"}, "never", "NO_COLOR"),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, {}, "never", "NO_COLOR"),
        ({"NO_COLOR": "", "FORCE_COLOR": "1"}, {}, "always", "FORCE_COLOR"),
        ({"NO_COLOR": "1", "GPTOSS_COLOR": "always"}, {}, "always", "GPTOSS_COLOR"),
        ({"GPTOSS_COLOUR": "never", "GPTOSS_COLOR": "always"}, {}, "never", "GPTOSS_COLOUR"),
    ],
)
def test_colour_is_one_setting_with_many_spellings(
    environment: dict[str, str], file: dict[str, object], colour: str, origin: str | None
) -> None:
    settings = Settings.resolve(flags={}, environment=environment, preset={}, file=file)
    assert (settings.colour, settings.origin.get("colour")) == (colour, origin)


@pytest.mark.parametrize(
    ("environment", "file", "saves"),
    [({}, {}, True), ({}, {"save": False}, False), ({"GPTOSS_SAVE": "0"}, {"save": True}, False)],
)
def test_chats_are_saved_unless_a_switch_is_off(
    environment: dict[str, str], file: dict[str, object], saves: bool
) -> None:
    assert Settings.resolve(flags={}, environment=environment, preset={}, file=file).save is saves


def test_unknown_variables_are_none_of_ours() -> None:
    settings = Settings.resolve(flags={}, environment={"GPTOSS_TEMPRATURE": "hot"}, preset={}, file={})
    assert not settings.origin


def test_flags_are_called_as_they_are_typed() -> None:
    flags = {"header_guard": False, "max_tokens": 5, "colour": "never", "seed": None}
    settings = Settings.resolve(flags=flags, environment={}, preset={}, file={})
    assert settings.origin == {
        "header_guard": "--no-header-guard",
        "max_tokens": "--max-tokens",
        "colour": "--color",
    }


def test_gptoss_home_moves_everything(tmp_path: Path) -> None:
    places = Places.of({"GPTOSS_HOME": str(tmp_path)})
    assert places.config_file == tmp_path / "config.toml"
    assert places.cache == tmp_path / "cache"


def test_sockets_have_a_short_folder_of_one_home(tmp_path: Path) -> None:
    def runtimes(**environment: str) -> tuple[Path, ...]:
        return Places.of({"GPTOSS_HOME": str(tmp_path), **environment}).runtimes

    (shared,) = runtimes()
    assert shared.parent.parent == Path("/tmp")
    assert shared.parent.name.startswith("gptoss-")  # of this user
    own, other = runtimes(XDG_RUNTIME_DIR="/tmp")
    assert (own.parent, own.name, other) == (Path("/tmp/gptoss"), shared.name, shared)
    for wrong in ("", "relative", "/" + "long" * 20):
        assert runtimes(XDG_RUNTIME_DIR=wrong, TMPDIR=wrong)[-1] == shared
    assert runtimes(GPTOSS_HOME=str(tmp_path / "other")) != (shared,)


def test_how_long_a_model_stays() -> None:
    for value, count in (("1h", 3600.0), ("0", 0.0), (-1, -1.0), (90, 90.0), ("-5m", -300.0), ("1m1h", 3660.0)):
        assert Settings.resolve(flags={"keep_alive": value}, environment={}, preset={}, file={}).keep_alive_s == count
    assert Settings.resolve(flags={}, environment={}, preset={}, file={}).keep_alive_s == 300
    assert Settings.resolve(flags={}, environment={}, preset={}, file={"keepalive": "2m"}).keep_alive == "2m"


def test_the_file_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert read_file(path) == {}
    path.write_text('model = "tiny"\n')
    assert read_file(path) == {"model": "tiny"}
    path.write_text("model = \n")
    with pytest.raises(BadInput, match="line 1"):
        read_file(path)
    path.write_text("[models.x]\ntemperatur = 1\n")
    with pytest.raises(BadInput, match=r"config\.toml \[models\.x\]: unknown setting temperatur") as raised:
        read_file(path)
    assert raised.value.hint == "did you mean temperature?"
    path.write_text('\ufeffmodel = "tiny"\n')
    assert read_file(path) == {"model": "tiny"}
    path.write_bytes(b'model = "\xff"\n')
    with pytest.raises(BadInput, match=r"config\.toml"):
        read_file(path)
