"""The language of what a person reads: which one, and that nothing is translated in vain or forgotten."""

import ast
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from conftest import Gptoss

from gptoss_cli import language
from gptoss_cli.language import CHINESE, translated

PACKAGE = Path(language.__file__).parent


@cache
def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py") if path.name != "language.py"]


def texts() -> Iterator[str]:
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def asked_for() -> Iterator[str]:
    """What stands, as it is, in a call of `translated` or of the function that stands for it."""
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "translated":
                yield from (each.value for each in node.args[:1] if isinstance(each, ast.Constant))


def fields(text: str) -> set[tuple[str, str]]:
    return {(name, form or "") for _, name, form, _ in string.Formatter().parse(text) if name is not None}


def test_every_entry_is_said_somewhere_and_every_text_has_one() -> None:
    assert set(CHINESE) <= set(texts())
    assert set(asked_for()) <= set(CHINESE)
    assert len(set(asked_for())) > 15


@pytest.mark.parametrize("text", sorted(CHINESE))
def test_the_fields_agree(text: str) -> None:
    assert fields(text) == fields(CHINESE[text])
    assert not CHINESE[text].isascii()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_TW.UTF-8"}, "zh-TW"),
        ({"LANG": "zh_HK"}, "zh-TW"),
        ({"LANG": "zh_Hant_TW.UTF-8@x"}, "zh-TW"),
        ({"LANG": "zh-Hant"}, "zh-TW"),
        ({"LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "nan_TW"}, "en"),
        ({"LC_ALL": "en_US", "LANG": "zh_TW"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "C"}, "zh-TW"),
    ],
)
def test_the_locale_says_which(environment: dict[str, str], expected: str) -> None:
    assert language.of_environment(environment) == expected


def test_a_text_without_a_translation_stays_english() -> None:
    language.choose(language.TAIWAN)
    try:
        assert translated("removed {name}", name="x") == "已移除 x"
        assert translated("nothing like {name}", name="x") == "nothing like x"
    finally:
        language.choose(language.ENGLISH)
    assert translated("removed {name}", name="x") == "removed x"


def test_a_person_is_talked_to_in_chinese_and_a_program_in_english(gptoss: Gptoss) -> None:
    chinese = {"LANG": "zh_TW.UTF-8"}
    assert gptoss("create", "mine", "-f", "-", stdin="FROM tiny\n", **chinese).err == "已建立 mine\n"
    assert gptoss("list", **chinese).out.splitlines()[1].endswith("\tbuilt in")
    assert "architecture\tgpt-oss" in gptoss("show", "mine", **chinese).out
    assert gptoss("rm", "none", **chinese).err.startswith("gptoss: unknown model none")
    assert gptoss("rm", "mine", GPTOSS_LANGUAGE="zh-TW").err == "已移除 mine\n"
    assert "這台電腦上沒有 gpt-oss 模型" in gptoss("run", "hello there", **chinese).err
    gptoss("config", "set", "language", "en")
    assert gptoss("cp", "tiny", "mine", **chinese).err == "copied tiny to mine\n"
