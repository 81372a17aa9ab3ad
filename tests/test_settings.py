"""`gptoss config` as a process: what is in force, who set it, and how it is changed."""

import json
import stat
from pathlib import Path

import pytest
from conftest import Gptoss

from gptoss_cli.config import SETTINGS


def listed(gptoss: Gptoss, *arguments: str, **environment: str) -> dict[str, tuple[str, str]]:
    """name: (value, origin)"""
    rows = [
        line.split("\t") for line in gptoss("config", "list", "--origin", *arguments, **environment).out.splitlines()
    ]
    return {name: (value, origin) for name, value, origin in rows}


@pytest.mark.soak
def test_every_setting_is_listed_with_the_one_who_won(gptoss: Gptoss, home: Path) -> None:
    assert set(listed(gptoss)) == set(SETTINGS)
    assert {origin for _, origin in listed(gptoss).values()} == {"default", "GPTOSS_KEEP_ALIVE"}
    gptoss("create", "zh", "--preset", "zh-tw", "--from", "tiny")
    for name, value, *model in (
        ("temperature", "0.2"),
        ("seed", "5"),
        ("seed", "6", "--model", "ZH:latest"),
        ("top_k", "3"),
        ("language", "zh_tw"),
    ):
        assert gptoss("config", "set", name, value, *model).code == 0
    told = listed(gptoss, "--model", "zh", GPTOSS_TOP_K="4", LANG="C.UTF-8")
    assert told["temperature"] == ("0.7", "preset zh")
    assert told["seed"] == ("6", 'config.toml [models."ZH:latest"]')
    assert told["top_k"] == ("4", "GPTOSS_TOP_K")
    assert told["min_p"] == ("0.0", "default")
    told = listed(gptoss)
    assert told["temperature"] == ("0.2", "config.toml")
    assert told["language"] == ("zh-TW", "config.toml")
    assert told["models.ZH:latest.seed"] == ("6", 'config.toml [models."ZH:latest"]')
    objects = json.loads(gptoss("config", "list", "--json").out)
    assert {"name": "seed", "value": 5, "origin": "config.toml"} in objects
    assert {"name": "num_ctx", "value": None, "origin": "default"} in objects
    assert gptoss("config", "list").out.splitlines()[0] == "model\t"
    assert gptoss("config", "path").out == f"{home / 'config.toml'}\n"


def test_one_setting_is_read_set_and_taken_out(gptoss: Gptoss) -> None:
    assert gptoss("config", "get", "temperature").out == "1.0\n"
    done = gptoss("config", "set", "temperature", "0.3", "--model", "gpt-oss:20b")
    assert (done.code, done.out) == (0, "")
    assert gptoss("config", "get", "temperature", "--model", "gpt-oss").out == "0.3\n"
    assert gptoss("config", "get", "temperature").out == "1.0\n"
    gptoss("config", "set", "stop", '["a", "b"]')
    assert gptoss("config", "get", "stop", "--json").out == '["a", "b"]\n'
    gptoss("config", "set", "gpu_layers", "-1")
    assert gptoss("config", "get", "num_gpu").out == "-1\n"
    assert gptoss("config", "set", "num_predict", "-1").code == 0
    assert gptoss("config", "get", "max_tokens").out == "\n"
    assert gptoss("config", "get", "seed").out == "\n"
    assert "no longer set" in gptoss("config", "unset", "stop").err
    assert "was not set" in gptoss("config", "unset", "stop").err
    assert gptoss("config", "get", "stop").out == "[]\n"


@pytest.mark.soak
def test_a_run_goes_by_it(gptoss: Gptoss) -> None:
    gptoss("create", "mine", "-f", "-", stdin="FROM tiny\nPARAMETER temperature 0\n")
    whole = gptoss("run", "mine", "hello").out
    assert whole.startswith("Hello!")
    gptoss("config", "set", "stop", "!", "-m", "mine")
    gptoss("config", "set", "model", "mine")
    assert gptoss("run", "mine", "hello").out == gptoss("run", stdin="hello").out == "Hello\n"
    assert gptoss("run", "mine", "--stop", "#", "hello").out == whole


def test_what_has_no_effect_is_said(gptoss: Gptoss) -> None:
    done = gptoss("config", "set", "top_k", "5", GPTOSS_TOP_K="7")
    assert done.code == 0
    assert done.err.splitlines()[1] == "gptoss: GPTOSS_TOP_K goes before it: top_k is 7"
    done = gptoss("config", "set", "temperature", "1", "-m", "tiny")
    assert done.err.splitlines()[1] == "gptoss: preset tiny goes before it: temperature is 0.0"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("get", "temprature"), 2, "unknown setting temprature\n  did you mean temperature?"),
        (("set", "temprature", "1"), 2, "unknown setting temprature\n  did you mean temperature?"),
        (("set", "temperature", "hot"), 2, "temperature must be a number, not 'hot'"),
        (("set", "models.gpt-oss:20b.seed", "1"), 2, "  seed --model gpt-oss:20b"),
        (("set", "language", "en", "-m", "tiny"), 2, "language is not of one model"),
        (("unset", "x"), 2, "unknown setting x"),
        (("list", "--model", "none"), 3, "unknown model none"),
        (("edit",), 2, "no editor to open it in"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], code: int, message: str, gptoss: Gptoss) -> None:
    done = gptoss("config", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_a_broken_file_stops_what_needs_it_and_not_what_mends_it(gptoss: Gptoss, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('model = "tiny"\ntemperature = hot\n')
    for arguments in (("run", "tiny", "hello"), ("config", "list"), ("config", "set", "seed", "1")):
        done = gptoss(*arguments)
        assert (done.code, done.out) == (2, "")
        assert f"{home / 'config.toml'}: Invalid value (at line 2, column 15)" in done.err
    assert gptoss("list").code == gptoss("config", "path").code == 0
    assert gptoss("config", "edit", EDITOR="sed -i 2d").code == 0
    assert gptoss("config", "get", "model").out == "tiny\n"


def test_what_was_edited_is_checked_and_kept(gptoss: Gptoss, home: Path, tmp_path: Path) -> None:
    editor = tmp_path / "my editor"
    editor.write_text('#!/bin/sh\nprintf "seed = 1\\ntemprature = 1\\n" >> "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    done = gptoss("config", "edit", VISUAL=f"'{editor}'", EDITOR="false")
    assert done.code == 2
    assert f"{home / 'config.toml'}: unknown setting temprature\n  did you mean temperature?" in done.err
    assert (home / "config.toml").read_text().endswith("seed = 1\ntemprature = 1\n")
    done = gptoss("config", "edit", EDITOR="sh -c 'exit 3'")
    assert done.code == 2
    (home / "config.toml").write_text("seed = 1\n")
    assert "the editor false ended with 1" in gptoss("config", "edit", EDITOR="false").err
    assert "cannot be started" in gptoss("config", "edit", EDITOR="/none").err


@pytest.mark.soak
def test_color_may_stand_anywhere_before_two_dashes(gptoss: Gptoss) -> None:
    for arguments in (("--color", "never", "list"), ("list", "--color=never"), ("show", "tiny", "--colour", "never")):
        assert gptoss(*arguments).code == 0
    assert gptoss("run", "tiny", "-q", "--", "--color", "x").code == 0
    bad = gptoss("list", "--color", "red")
    assert (bad.code, bad.err) == (2, "gptoss: colour must be auto, always or never, not 'red'\n")
    shown = ("run", "tiny", "--reasoning", "high", "--show-thinking", "What can you do?")
    assert "\x1b[2m" in gptoss(*shown, "--color", "always").err
    assert "\x1b[2m" in gptoss(*shown, FORCE_COLOR="1").err
    assert "\x1b" not in gptoss(*shown, "--color", "never", FORCE_COLOR="1").err
    assert "\x1b" not in gptoss(*shown).err
