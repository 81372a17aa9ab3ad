"""Settings: who wins, where each value came from, and what a bad file or variable says."""

from pathlib import Path

import pytest

from gptoss_cli.config import Places, Settings, read_file
from gptoss_cli.errors import BadInput
from gptoss_cli.messages import Effort


def test_a_flag_beats_the_environment_beats_the_preset_beats_the_file() -> None:
    settings = Settings.resolve(
        flags={"temperature": 0.1, "top_p": None},
        environment={"GPTOSS_TEMPERATURE": "0.2", "GPTOSS_TOP_P": "0.3", "HOME": "/", "GPTOSS_SEED": ""},
        preset={"temperature": 0.4, "top_p": 0.5, "min_p": 0.6},
        file={"temperature": 0.7, "top_p": 0.8, "min_p": 0.9, "reasoning": "high", "model": "gpt-oss:120b"},
    )
    sampling = settings.options.sampling
    assert (sampling.temperature, sampling.top_p, sampling.min_p) == (0.1, 0.3, 0.6)
    assert settings.options.reasoning is Effort.HIGH
    assert settings.model == "gpt-oss:120b"
    assert settings.origin == {
        "temperature": "flag",
        "top_p": "environment",
        "min_p": "preset",
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
        ({}, {"temprature": 1}, "config.toml: unknown option temprature"),
        ({}, {"model": 20}, "config.toml: model must be a text, not 20"),
    ],
)
def test_a_bad_value_names_its_source(environment: dict[str, str], file: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as raised:
        Settings.resolve(flags={}, environment=environment, preset={}, file=file)
    assert str(raised.value) == message


def test_gptoss_home_moves_everything(tmp_path: Path) -> None:
    places = Places.of({"GPTOSS_HOME": str(tmp_path)})
    assert places.config_file == tmp_path / "config.toml"
    assert places.cache == tmp_path / "cache"


def test_the_file_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert read_file(path) == {}
    path.write_text('model = "tiny"\n')
    assert read_file(path) == {"model": "tiny"}
    path.write_text("model = \n")
    with pytest.raises(BadInput, match="line 1"):
        read_file(path)
    path.write_bytes(b'model = "\xff"\n')
    with pytest.raises(BadInput, match=r"config\.toml"):
        read_file(path)
