"""Models by name and by path, and weights that other tools have put into the shared cache."""

import json
from pathlib import Path

import pytest
from conftest import TINY, Gptoss
from hypothesis import given, settings
from hypothesis import strategies as st

from gptoss_cli import modelfile
from gptoss_cli.errors import ModelNotFound
from gptoss_cli.library import Library
from gptoss_cli.library.model import described
from gptoss_cli.modelfile import Command, Modelfile

REPOSITORY = "models--ggml-org--gpt-oss-20b-GGUF"


def fetched(home: Path, name: str, snapshot: str = "0f1e2d") -> Path:
    """The built-in model where huggingface_hub would put the file `name` of the catalogue's 20b."""
    blob = home / "huggingface/hub" / REPOSITORY / "blobs" / "blob"
    blob.parent.mkdir(parents=True, exist_ok=True)
    if not blob.exists():
        blob.symlink_to(TINY)
    path = home / "huggingface/hub" / REPOSITORY / "snapshots" / snapshot / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(blob)
    return path


def answered_by(gptoss: Gptoss, *arguments: str) -> str:
    result = gptoss("run", *arguments, "--json", "--temperature", "0")
    assert (result.code, result.err) == (0, "")
    told = json.loads(result.out)
    assert told["response"].startswith("Hello!")
    return str(told["model"])


def test_what_is_in_the_shared_cache_has_its_name_and_is_the_default(gptoss: Gptoss, home: Path) -> None:
    fetched(home, "gpt-oss-20b-mxfp4.gguf")
    assert answered_by(gptoss, "gpt-oss:20b", "hello") == "gpt-oss:20b"
    assert answered_by(gptoss, "gpt-oss", "hello") == "gpt-oss"
    assert answered_by(gptoss, "-n", "hello there") == "gpt-oss:20b"
    assert gptoss("run", "gpt-oss:120b", "hello").code == 3


def test_companions_and_other_shards_are_no_model(gptoss: Gptoss, home: Path) -> None:
    for name in ("eagle3-gpt-oss-20b.gguf", "mmproj-x.gguf", "gpt-oss-20b-00002-of-00002.gguf", "README.md"):
        fetched(home, name)
    (fetched(home, "gone.gguf").parent / "gone.gguf").unlink()
    (home / "huggingface/hub" / REPOSITORY / "snapshots/0f1e2d/gone.gguf").symlink_to(home / "nothing")
    assert gptoss("run", "gpt-oss:20b", "hello").code == 3
    fetched(home, "gpt-oss-20b-00001-of-00002.gguf")
    assert answered_by(gptoss, "gpt-oss:20b", "hello") == "gpt-oss:20b"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "data")


@pytest.mark.parametrize("word", ["tiny", "gpt-oss", "gpt-oss:120b", "x.gguf", "./x", "/x", "~/x", str(TINY)])
def test_a_word_that_names_a_model(word: str, library: Library) -> None:
    assert library.known(word)


@pytest.mark.parametrize("word", ["hello", "你好", "gpt-oss:7b", "what/is", ""])
def test_a_word_that_names_none(word: str, library: Library) -> None:
    assert not library.known(word)
    with pytest.raises(ModelNotFound, match="unknown model"):
        library.find(word)


def test_tiny_is_greedy_and_says_that_it_is_a_toy(library: Library) -> None:
    tiny = library.find("tiny")
    assert tiny.preset == {"temperature": 0.0, "max_tokens": 512, "max_thinking": 512}
    assert tiny.notice is not None
    assert "toy" in tiny.notice
    assert not tiny.is_fallback


def test_a_folder_is_no_model(library: Library, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="is a folder"):
        library.find(str(tmp_path))


TEXTS = st.lists(
    st.sampled_from(['"', '"""', "\n", "\r", "\t", " ", "\u3000", "中", "👩\u200d👧", "#", "<<END", "END", "a"]),
    min_size=1,
).map("".join)


@settings(max_examples=40)  # each writes a manifest
@given(TEXTS, st.lists(TEXTS, max_size=3), st.lists(st.tuples(st.sampled_from(modelfile.ROLES), TEXTS), max_size=3))
def test_what_show_prints_of_a_made_model_makes_the_same(
    tmp_path_factory: pytest.TempPathFactory, system: str, stops: list[str], messages: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("data")
    library = Library(folder)
    own = [
        Command("from", "tiny"),
        Command("system", system),
        *(Command("parameter", stop, "stop") for stop in stops),
        *(Command("message", text, role) for role, text in messages),
    ]
    library.create("one", modelfile.parse(str(Modelfile(tuple(own)))), folder)
    printed = str(described(library.find("one")))
    library.create("two", modelfile.parse(printed), folder)
    one, two = library.find("one"), library.find("two")
    assert (one.system, one.messages, one.preset.get("stop", ())) == (system, tuple(messages), tuple(stops))
    assert (two.system, two.messages, two.preset) == (one.system, one.messages, one.preset)
    assert str(described(two)) == printed
