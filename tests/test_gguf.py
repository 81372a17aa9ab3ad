"""GGUF headers: what a good file says, and what damaged, hostile and foreign ones get for an answer."""

import ctypes
import struct
import time
import tracemalloc
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

from gptoss_cli.errors import BadInput, GptossError, ModelNotFound
from gptoss_cli.gguf import TENSOR_TYPES, Header
from gptoss_cli.weights import check_usable
from training.gguf_writer import Tensor, TensorType, Value, write

TINY = Path(__file__).parent.parent / "gptoss_cli/models/tiny.gguf"


def small(path: Path, metadata: dict[str, Value] | None = None, tensors: bool = True) -> Path:
    values: dict[str, Value] = {
        "general.architecture": "gpt-oss",
        "a.bool": True,
        "a.float": 0.5,
        "a.list": [1, 2, 3],
        "a.text": "文字",
        "tokenizer.ggml.tokens": ["a", "b", "文"],
    }
    data = [Tensor("w", (2, 32), TensorType.MXFP4, bytes(34)), Tensor("b", (3,), TensorType.F32, bytes(12))]
    write(path, values | (metadata or {}), data if tensors else [])
    return path


def test_a_header_is_read_as_it_was_written(tmp_path: Path) -> None:
    header = Header.read(small(tmp_path / "a.gguf"))
    assert header.version == 3
    assert header.architecture == "gpt-oss"
    assert header.values["a.bool"] is True
    assert header.values["a.float"] == 0.5
    assert header.numbers("a.list") == [1, 2, 3]
    assert header.text("a.text") == "文字"
    assert header.texts("tokenizer.ggml.tokens") == ["a", "b", "文"]
    assert header.texts("nothing") == header.numbers("nothing") == []
    assert [(each.name, each.shape, each.type, each.size_bytes) for each in header.tensors] == [
        ("w", (32, 2), "MXFP4", 34),
        ("b", (3,), "F32", 12),
    ]
    check_usable(header)


def test_the_built_in_model_is_usable() -> None:
    header = Header.read(TINY)
    check_usable(header)
    assert sum(each.size_bytes for each in header.tensors) < TINY.stat().st_size <= 6_000_000
    assert header.values["gpt-oss.attention.sliding_window"] == 128
    assert {each.type for each in header.tensors} == {"F32", "Q8_0", "MXFP4"}


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no file at"):
        Header.read(tmp_path / "none.gguf")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a GGUF file: it is empty"),
        (b"hello world", "is not a GGUF file: it begins with 'hello wo'"),
        (b"\x80\x02}q\x00", "is not a GGUF file: it begins with 80 02 7d 71 00"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "is not a GGUF file: it is a Git LFS pointer, not the file it stands for (git lfs pull)",
        ),
        (b"<!DOCTYPE html><html>", "is not a GGUF file: it is a web page"),
        (b"PK\x03\x04aaaaaaaa", "is not a GGUF file: it is a ZIP archive, or PyTorch weights"),
        (b'\x10\x00\x00\x00\x00\x00\x00\x00{"__metadata__"', "is not a GGUF file: it is a safetensors file"),
        (b"GGUF", "is cut off or damaged: a number at byte 4, and the file has 4"),
        (b"GGUF\x03\x00\x00\x00\x01", "is cut off or damaged: a number at byte 8, and the file has 9"),
        (b"GGUF\x00\x00\x00\x03" + bytes(16), "is a big-endian GGUF, which cannot be used here"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "has GGUF version 1; versions 2 and 3 are known"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0),
            "is damaged: 9,223,372,036,854,775,808 tensors; gpt-oss has some hundred",
        ),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40), "is damaged: 1,099,511,627,776 keys; gpt-oss has some hundred"),
    ],
)
def test_what_is_no_gguf_is_said_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(BadInput) as raised:
        Header.read(path)
    assert str(raised.value) == f"{path} {message}"


def pair(key: str, rest: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key.encode() + rest


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (pair("k", struct.pack("<IIQ", 9, 9, 1) + bytes(99)), "'k' is an array of arrays"),
        (
            pair("k", struct.pack("<IIQ", 9, 8, 2**60) + bytes(99)),
            "cut off or damaged: 1,152,921,504,606,846,976 texts in k at byte 49, and the file has 148",
        ),
        (
            pair("k", struct.pack("<IIQ", 9, 4, 2**62) + bytes(99)),
            "cut off or damaged: 4,611,686,018,427,387,904 numbers in k at byte 49",
        ),
        (pair("k", struct.pack("<IIQQ", 9, 8, 1, 2**63) + bytes(99)), "cut off or damaged: a list of texts at byte 49"),
        (
            pair("k", struct.pack("<IQ", 8, 2**64 - 1) + bytes(99)),
            "cut off or damaged: a text of 18,446,744,073,709,551,615 bytes at byte 45",
        ),
        (pair("k", struct.pack("<I", 77) + bytes(99)), "the value of 'k' has the unknown type 77"),
        (pair("k" * 70_000, bytes(99)), "is damaged: a name of 70,000 bytes"),
    ],
)
def test_hostile_values_are_refused(pairs: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pairs)
    with pytest.raises(BadInput) as raised:
        Header.read(path)
    assert message in str(raised.value)


def test_a_key_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    twice = pair("k", struct.pack("<II", 4, 1)) * 2
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + twice)
    with pytest.raises(BadInput, match="the key 'k' occurs twice"):
        Header.read(path)


def test_bytes_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", struct.pack("<IQ", 8, 2) + b"\xff\xfe"))
    with pytest.raises(BadInput, match="is damaged: a text that is no UTF-8 at byte 45"):
        Header.read(path)
    texts = struct.pack("<IIQQ", 9, 8, 2, 1) + b"a" + struct.pack("<Q", 1) + b"\xff"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", texts))
    header = Header.read(path)  # a list is only read when it is asked for
    with pytest.raises(BadInput, match="is damaged: text 1 of k is no UTF-8"):
        header.texts("k")


def test_a_file_of_gigabytes_that_is_all_header_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", struct.pack("<IQ", 8, 2**34)))
        file.truncate(2**35)  # sparse: takes no room
    with pytest.raises(BadInput, match="is damaged: a text of 17,179,869,184 bytes at byte 45 of its header"):
        Header.read(path)


def test_a_text_of_many_megabytes_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", struct.pack("<IQ", 8, 10**8)))
        file.truncate(2**27)
    tracemalloc.start()
    with pytest.raises(BadInput, match="is damaged: a text of 100,000,000 bytes"):
        Header.read(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10**6


def test_a_list_of_millions_of_empty_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", struct.pack("<IIQ", 9, 8, 2**23)))
        file.truncate(2**27)
    with pytest.raises(BadInput, match="is damaged: 8,388,608 texts in k"):
        Header.read(path)


def test_versions_2_and_3_are_the_same_but_for_the_number(tmp_path: Path) -> None:
    path = small(tmp_path / "a.gguf")
    data = path.read_bytes()
    path.write_bytes(data[:4] + struct.pack("<I", 2) + data[8:])
    header = Header.read(path)
    assert header.version == 2
    assert header.texts("tokenizer.ggml.tokens") == ["a", "b", "文"]


def test_an_alignment_of_its_own_is_honoured(tmp_path: Path) -> None:
    path = small(tmp_path / "a.gguf", {"general.alignment": 8})
    assert Header.read(path).data_start % 8 == 0
    small(path, {"general.alignment": 24})
    with pytest.raises(BadInput, match=r"general\.alignment is 24, not a power of two"):
        Header.read(path)
    small(path, {"general.alignment": 64})
    assert [each.offset for each in Header.read(path).tensors] == [0, 64]
    small(path, {"general.alignment": 128})
    with pytest.raises(BadInput, match="tensor 'b' is at 64, no multiple of 128"):
        Header.read(path)


def tensor_info(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    lengths = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return struct.pack("<Q", len(name)) + name.encode() + lengths + struct.pack("<IQ", kind, offset)


@pytest.mark.parametrize(
    ("infos", "message"),
    [
        ([("w", (2**62, 2**62), 0, 0)], "tensor 'w' has 4611686018427387904 x 4611686018427387904 elements"),
        ([("w", (33,), 39, 0)], "tensor 'w' has rows of 33, not a multiple of 32"),
        ([("w", (4,), 0, 16)], "tensor 'w' is at 16, no multiple of 32"),
        ([("w", (4,), 99, 0)], "tensor 'w' has the unknown type 99"),
        ([("w", (1,) * 5, 0, 0)], "tensor 'w' has 5 dimensions"),
        ([("w", (), 0, 0)], "tensor 'w' has 0 dimensions"),
        ([("w", (4,), 0, 0), ("w", (4,), 0, 32)], "there are two tensors 'w'"),
        ([("w", (4,), 0, 2**64 - 32)], "is cut off: its tensors need 18,446,744,073,709,5"),
    ],
)
def test_hostile_tensors_are_refused(
    infos: list[tuple[str, tuple[int, ...], int, int]], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.gguf"
    table = b"".join(tensor_info(*each) for each in infos)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, len(infos), 0) + table + bytes(200))
    with pytest.raises(BadInput) as raised:
        Header.read(path)
    assert message in str(raised.value)


def test_the_table_of_tensor_types_is_that_of_llama_cpp() -> None:
    package = find_spec("llama_cpp")
    assert package is not None
    assert package.origin is not None
    ggml = ctypes.CDLL(str(next((Path(package.origin).parent / "lib").glob("libggml-base.*"))))
    ggml.ggml_type_name.restype = ctypes.c_char_p
    ggml.ggml_blck_size.restype = ctypes.c_int64
    ggml.ggml_type_size.restype = ctypes.c_size_t
    for kind, expected in TENSOR_TYPES.items():
        name = ggml.ggml_type_name(kind).decode().upper()
        assert (name, ggml.ggml_blck_size(kind), ggml.ggml_type_size(kind)) == expected


@pytest.mark.parametrize("missing", [1, 30])
def test_a_file_that_is_cut_off_names_both_sizes(missing: int, tmp_path: Path) -> None:
    path = small(tmp_path / "a.gguf")
    whole = path.read_bytes()
    needed = len(whole) - 20  # the last tensor's padding
    path.write_bytes(whole[: needed - missing])
    with pytest.raises(BadInput, match=rf"is cut off: its tensors need {needed} bytes and it has {needed - missing}"):
        Header.read(path)


def test_a_tensor_that_lies_beyond_the_file_is_refused(tmp_path: Path) -> None:
    path = small(tmp_path / "a.gguf")
    data = path.read_bytes()
    name = struct.pack("<Q", 1) + b"b" + struct.pack("<IQ", 1, 3)
    place = data.index(name) + len(name) + 4
    path.write_bytes(data[:place] + struct.pack("<Q", 2**63) + data[place + 8 :])
    with pytest.raises(BadInput, match="is cut off"):
        Header.read(path)


@pytest.mark.parametrize(
    ("metadata", "tensors", "message"),
    [
        ({"general.architecture": "llama"}, True, "is a llama model; gptoss runs gpt-oss only"),
        ({"general.architecture": "gptoss"}, True, "is in Ollama's own layout (gptoss), which llama.cpp cannot read"),
        ({"general.architecture": "eagle3"}, True, "is a draft model (eagle3), not gpt-oss itself"),
        ({"general.architecture": "clip"}, True, "is a projector for images, not a model"),
        ({"general.type": "mmproj"}, True, "is a projector for images, not a model"),
        ({"general.type": "adapter"}, True, "is an adapter (LoRA), not a model"),
        ({"split.no": 1, "split.count": 3}, True, "is part 2 of a split model"),
        ({"general.architecture": "", "split.no": 2}, True, "is part 3 of a split model"),  # it has no other keys
        ({"general.architecture": "", "general.type": "imatrix"}, True, "is an importance matrix, not a model"),
        ({"general.architecture": ""}, True, "is a nameless model; gptoss runs gpt-oss only"),
        ({}, False, "has a vocabulary and no weights"),
    ],
)
def test_files_that_are_not_the_model_say_what_they_are(
    metadata: dict[str, Value], tensors: bool, message: str, tmp_path: Path
) -> None:
    header = Header.read(small(tmp_path / "a.gguf", metadata, tensors))
    with pytest.raises(BadInput) as raised:
        check_usable(header)
    assert str(raised.value) == f"{header.path} {message}"


def test_the_other_parts_of_a_split_model_must_be_there_and_whole(tmp_path: Path) -> None:
    first = small(tmp_path / "m-00001-of-00002.gguf", {"split.no": 0, "split.count": 2}, tensors=False)
    second = tmp_path / "m-00002-of-00002.gguf"
    with pytest.raises(ModelNotFound, match=f"no file at {second}"):
        check_usable(Header.read(first))
    small(second, {"split.no": 1, "split.count": 2})
    check_usable(Header.read(first))
    second.write_bytes(second.read_bytes()[:-60])
    with pytest.raises(BadInput, match=f"{second} is cut off"):
        check_usable(Header.read(first))


def test_the_header_of_a_full_vocabulary_takes_a_fraction_of_a_second(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    tokens = [f"token{id}" for id in range(201_088)]
    merges = [f"ab{id} cd{id}" for id in range(446_189)]  # as many as the published model has
    small(path, {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": merges})
    started = time.process_time()
    header = Header.read(path)
    assert time.process_time() - started < 0.6
    assert header.texts("tokenizer.ggml.tokens") == tokens


def test_no_damage_is_answered_with_anything_but_an_error_of_ours(tmp_path: Path) -> None:
    data = small(tmp_path / "a.gguf").read_bytes()
    path = tmp_path / "b.gguf"
    random = Random(1)
    for _ in range(1_000):
        damaged = bytearray(data)
        for _ in range(random.randrange(1, 6)):
            place = random.randrange(4, len(damaged))
            if random.random() < 0.3:
                damaged[place : place + 8] = struct.pack("<Q", random.choice((2**63, 2**64 - 1, 2**32, 0, 255)))
            else:
                damaged[place] = random.randrange(256)
        if random.random() < 0.2:
            del damaged[random.randrange(4, len(damaged)) :]
        path.write_bytes(damaged)
        try:
            header = Header.read(path)
            check_usable(header)
            header.texts("tokenizer.ggml.tokens")
            header.numbers("a.list")
        except GptossError:
            pass
