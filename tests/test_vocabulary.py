"""Vocabularies of files: the same tokens from a GGUF, a rank file and the cache."""

import json
import lzma
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from harmony_cases import DATA, cases

from gptoss_cli import vocabulary
from gptoss_cli.errors import BadInput, ModelNotFound
from gptoss_cli.harmony.tokenizer import O200K_BASE_SHA256, O200K_HARMONY_SPECIALS, Tokenizer
from training.gguf_writer import write

BYTES = vocabulary.byte_letters()
CONTROLS = list(O200K_HARMONY_SPECIALS)
MEDIUM = 21_000  # ordinary tokens; enough to be worth a cache


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("medium") / "medium.gguf"
    tokens = [*BYTES, *(f"token{id}" for id in range(256, MEDIUM)), *CONTROLS]
    write(path, {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens}, [])
    return path


@pytest.fixture(scope="module")
def rank_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ranks") / "o200k_base.tiktoken"
    path.write_bytes(lzma.decompress((DATA / "o200k_base.tiktoken.xz").read_bytes()))
    return path


@pytest.mark.soak
def test_a_gguf_gives_the_published_vocabulary_and_so_does_the_cache(random_model: Path, tmp_path: Path) -> None:
    for _ in ("read", "cached"):
        tokenizer = vocabulary.load(random_model, tmp_path)
        assert tokenizer.rank_file_sha256() == O200K_BASE_SHA256
        assert tokenizer.n_vocab == 201088
        assert tokenizer.special.call == 200012
    assert len(list((tmp_path / "vocabulary").iterdir())) == 1


@pytest.mark.soak
def test_the_second_start_is_the_quicker_one(random_model: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from gptoss_cli import vocabulary\n"
        "path, cache = map(Path, sys.argv[1:])\n"
        "for _ in range(2):\n"
        "    vocabulary.load(path, cache); print(time.process_time())"
    )
    command = [sys.executable, "-c", code, random_model, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    assert second - first < 0.7 * first  # 0.2 s and 0.6 s on an idle machine


def test_a_rank_file_has_the_standard_special_ids(rank_file: Path) -> None:
    tokenizer = vocabulary.load(rank_file)
    assert tokenizer.special.start == 200006
    sample = cases("encode")[::20]
    assert [tokenizer.encode(case["text"]) for case in sample] == [case["tokens"] for case in sample]


def test_a_changed_file_is_not_answered_from_the_cache(tmp_path: Path, medium: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(medium.read_bytes())
    vocabulary.load(path, tmp_path)
    os.utime(path, ns=(1, 1))
    path.write_text("nonsense")
    with pytest.raises(BadInput):
        vocabulary.load(path, tmp_path)


@pytest.mark.parametrize("damage", ["half", b"", b"GPTOSSV1", b"GPTOSSV1" + bytes(99), b"other"])
def test_a_damaged_cache_is_ignored_and_written_anew(damage: bytes | str, medium: Path, tmp_path: Path) -> None:
    vocabulary.load(medium, tmp_path)
    (kept,) = (tmp_path / "vocabulary").iterdir()
    good = kept.read_bytes()
    kept.write_bytes(damage if isinstance(damage, bytes) else good[: len(good) // 2])
    assert vocabulary.load(medium, tmp_path).n_vocab == MEDIUM + len(O200K_HARMONY_SPECIALS)
    assert kept.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_error(medium: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert vocabulary.load(medium, tmp_path / "file").is_text(MEDIUM - 1)


def test_the_built_in_model_has_a_vocabulary_of_its_own(tiny_tokenizer: Tokenizer) -> None:
    assert tiny_tokenizer.n_vocab < 3000
    assert tiny_tokenizer.special.start != 200006
    assert tiny_tokenizer.decode(tiny_tokenizer.encode("Hello, 你好 🙂")) == "Hello, 你好 🙂"


@pytest.mark.parametrize(
    "change",
    [
        {"identity": "another file's"},
        {"count": -1},
        {"count": 2**31},
        {"count": 7},
        {"specials": []},
        {"specials": {"<|start|>": "x"}},
        {"n_vocab": None},
        [],
        "a text",
    ],
)
def test_a_cache_of_somebody_else_is_ignored(change: object, medium: Path, tmp_path: Path) -> None:
    vocabulary.load(medium, tmp_path)
    (kept,) = (tmp_path / "vocabulary").iterdir()
    good = kept.read_bytes()
    (length,) = struct.unpack_from("<I", good, 12)
    told = json.loads(good[16 : 16 + length])
    text = json.dumps(told | change if isinstance(change, dict) else change).encode()
    body = struct.pack("<I", len(text)) + text + good[16 + length :]
    kept.write_bytes(b"GPTOSSV1" + struct.pack("<I", zlib.crc32(body)) + body)
    assert vocabulary.load(medium, tmp_path).n_vocab == MEDIUM + len(O200K_HARMONY_SPECIALS)
    assert kept.read_bytes() == good


def test_a_model_that_is_replaced_leaves_no_second_cache(medium: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    for time_ns in (1, 2):
        path.write_bytes(medium.read_bytes())
        os.utime(path, ns=(time_ns, time_ns))
        vocabulary.load(path, tmp_path)
    assert len(list((tmp_path / "vocabulary").iterdir())) == 1


def test_without_a_cache_nothing_is_written(medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    vocabulary.load(medium)
    assert not list(tmp_path.iterdir())


def vocabulary_of(path: Path, tokens: list[str], types: list[int], kind: str = "gpt2") -> Tokenizer:
    write(
        path,
        {"tokenizer.ggml.model": kind, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types},
        [],
    )
    return vocabulary.load(path)


def test_what_is_written_like_a_control_token_is_one_whatever_its_type(tmp_path: Path) -> None:
    tokens = [*BYTES, "ab", *CONTROLS, "<|extra|>", "<|start|>"]
    tokenizer = vocabulary_of(tmp_path / "x.gguf", tokens, [1] * len(tokens))
    assert tokenizer.decode(tokenizer.encode("<|start|>ab<|extra|>")) == "<|start|>ab<|extra|>"
    assert max(tokenizer.encode("<|start|>ab<|extra|>")) == 256
    assert tokenizer.special.start == tokens.index("<|start|>")  # the first of two


def test_unused_and_user_defined_tokens_are_no_text(tmp_path: Path) -> None:
    tokens = [*BYTES, "ab", "abc", "[PAD7]", "bc", *CONTROLS]
    types = [1] * 257 + [4, 5, 1] + [3] * len(CONTROLS)
    tokenizer = vocabulary_of(tmp_path / "x.gguf", tokens, types)
    assert tokenizer.encode("abc") == [256, BYTES.index("c")]
    assert [tokenizer.is_text(id) for id in (256, 257, 258, 259)] == [True, False, False, True]
    assert tokenizer.text_of_special(257) == "abc"


def test_a_vocabulary_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has a vocabulary of the kind 'llama'; gpt-oss has gpt2"):
        vocabulary_of(tmp_path / "x.gguf", [*BYTES, *CONTROLS], [1] * (256 + len(CONTROLS)), kind="llama")


def test_a_vocabulary_that_lacks_a_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="lacks 1 of the 256 bytes, the first of them 0x00"):
        vocabulary_of(tmp_path / "x.gguf", [*BYTES[1:], *CONTROLS], [1] * (255 + len(CONTROLS)))


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(ModelNotFound, match="no file at"):
        vocabulary.load(path)
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        vocabulary.load(tmp_path)
    path.write_text("aGk= 0\n")
    with pytest.raises(BadInput, match=r"is neither a GGUF nor o200k_base\.tiktoken"):
        vocabulary.load(path)
    with path.open("wb") as file:
        file.truncate(2**35)  # sparse; must not be read whole
    with pytest.raises(BadInput, match=r"is neither a GGUF nor o200k_base\.tiktoken"):
        vocabulary.load(path)
    write(path, {"general.architecture": "gpt-oss"}, [])
    with pytest.raises(BadInput, match="has no vocabulary"):
        vocabulary.load(path)
    with pytest.raises(BadInput, match="2 tokens and 1 token types"):
        vocabulary_of(path, ["a", "b"], [1])
