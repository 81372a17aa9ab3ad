"""config.toml changed one setting at a time: what else is in it stays, to the letter."""

import threading
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gptoss_cli.config import read_file
from gptoss_cli.config.file import drop, put
from gptoss_cli.errors import BadInput

FULL = """\
# my settings

model = "zh"  # the one I use
stop = [
  "a",  # first
  "[models.no]",
]

# about zh
[models.zh]
temperature = 0.7  # warm

# about the large one
[models."gpt-oss:120b"]
reasoning = 'high'
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.mark.parametrize(
    ("name", "value", "model", "before", "after"),
    [
        ("model", "tiny", None, 'model = "zh"', 'model = "tiny"'),
        ("temperature", "0.3", "ZH", "temperature = 0.7", "temperature = 0.3"),
        ("reasoning", "max", "gpt-oss:120b", "reasoning = 'high'\n", 'reasoning = "high"\n'),
        ("seed", "7", None, "]\n\n# about zh", "]\nseed = 7\n\n# about zh"),
        ("top_p", "1", "zh", "# warm\n\n", "# warm\ntop_p = 1.0\n\n"),
        ("num_ctx", "4096", "openai/gpt-oss-120b", "'high'\n", "'high'\nnum_ctx = 4096\n"),
        ("top_k", "5", "a/b.c:1", "'high'\n", "'high'\n\n[models.\"a/b.c:1\"]\ntop_k = 5\n"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_one_setting_changes(
    name: str, value: str, model: str | None, before: str, after: str, newline: str, path: Path
) -> None:
    path.write_bytes(FULL.replace("\n", newline).encode())
    put(path, name, value, model)
    assert FULL.count(before) == 1
    assert path.read_bytes().decode() == FULL.replace(before, after).replace("\n", newline)


def test_what_was_set_can_be_taken_out_again(path: Path) -> None:
    path.write_text(FULL)
    assert drop(path, "stop")
    assert drop(path, "temperature", "zh")
    assert not drop(path, "temperature", "zh")
    assert not drop(path, "temperature", "nobody")
    text = path.read_text()
    assert tomllib.loads(text) == {"model": "zh", "models": {"zh": {}, "gpt-oss:120b": {"reasoning": "high"}}}
    for comment in ("# my settings", "# the one I use", "# about zh", "# about the large one"):
        assert comment in text


@pytest.mark.parametrize(
    ("text", "name", "model", "expected"),
    [
        ("", "seed", None, "seed = 1\n"),
        ("", "seed", "a b", '[models."a b"]\nseed = 1\n'),
        ("# only this", "seed", None, "# only this\nseed = 1\n"),
        ("# about x\n[models.x]\n", "seed", None, "seed = 1\n\n# about x\n[models.x]\n"),
        ("[models.x]\n", "seed", "x", "[models.x]\nseed = 1\n"),
        ("models.x.top_k = 2\n", "seed", "x", "models.x.top_k = 2\nmodels.x.seed = 1\n"),
        ("models = {x = {top_k = 2}}\n", "seed", "x", "models = {x = {top_k = 2,seed = 1}}\n"),
        (
            'top_k = 2 # k\n\n\n[ models . "x" ] # x\n',
            "seed",
            "x",
            'top_k = 2 # k\n\n\n[ models . "x" ] # x\nseed = 1\n',
        ),
        ("[models]\n[models.x]\n", "seed", "y", "[models]\n[models.x]\n\n[models.y]\nseed = 1\n"),
    ],
)
def test_every_way_to_write_it_is_understood(
    text: str, name: str, model: str | None, expected: str, path: Path
) -> None:
    path.write_text(text)
    put(path, name, 1, model)
    assert path.read_text() == expected


def test_another_spelling_is_not_set_beside_the_one_that_is_there(path: Path) -> None:
    path.write_text('color = "never"\n')
    put(path, "colour", "auto")
    assert path.read_text() == 'color = "auto"\n'
    assert drop(path, "color")
    assert path.read_text() == ""


@pytest.mark.parametrize(
    ("name", "value", "model", "message"),
    [
        ("temprature", "1", None, "unknown setting temprature"),
        ("temperature", "hot", None, "temperature must be a number, not 'hot'"),
        ("colour", "red", None, "colour must be auto, always or never"),
        ("colour", "auto", "zh", "colour is not of one model"),
        ("model", "", None, "model must be a text"),
    ],
)
def test_nothing_is_written_when_the_value_is_bad(
    name: str, value: str, model: str | None, message: str, path: Path
) -> None:
    with pytest.raises(BadInput, match=message):
        put(path, name, value, model)
    assert not path.exists()


@pytest.mark.parametrize("text", ["a = \n", "temprature = 1\n", "models = 1\n", "top_p = 2\n", "[models.x\n"])
def test_a_file_with_a_mistake_is_not_touched(text: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(BadInput, match=r"config\.toml"):
        put(path, "seed", 1)
    assert path.read_text() == text


def test_a_link_goes_on_being_one(tmp_path: Path, path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles/gptoss.toml"
    real.write_text("# mine\n")
    path.symlink_to(real)
    put(path, "seed", 1)
    assert path.is_symlink()
    assert real.read_text() == "# mine\nseed = 1\n"


def test_writers_at_the_same_time_lose_nothing(path: Path) -> None:
    writers = [threading.Thread(target=put, args=(path, "top_k", each, f"m{each}")) for each in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert read_file(path)["models"] == {f"m{each}": {"top_k": each} for each in range(8)}


NAMES = st.text(min_size=1, max_size=12)


@pytest.mark.soak
@settings(max_examples=30)  # each writes files
@example([(',\x93"\\', 1), ("#\x0bq\x8f\x7f\u2028]", 2)])
@given(st.lists(st.tuples(NAMES, st.integers(0, 9)), max_size=6))
def test_any_name_can_have_a_table(tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, int]]) -> None:
    path = tmp_path_factory.mktemp("any") / "config.toml"
    for name, number in entries:
        put(path, "top_k", number, name)
        put(path, "seed", number)
        models = read_file(path)["models"]
        assert isinstance(models, dict)
        assert number in [table["top_k"] for table in models.values()]
