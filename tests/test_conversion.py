"""Ollama's layout of gpt-oss, made from the built-in model, and back again."""

from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from ollama_layout import write_blob

from gptoss_cli.conversion import Conversion, origin
from gptoss_cli.errors import BadInput
from gptoss_cli.gguf import Array, Header, Tensor
from gptoss_cli.weights import check_usable


def converted(source: Path) -> Path:
    target = source.with_suffix(".gguf")
    conversion = Conversion(Header.read(source))
    seen = list(conversion.write(target))
    assert seen == sorted(seen)
    assert seen[-1] == conversion.size_bytes == target.stat().st_size
    return target


def data_of(header: Header, tensor: Tensor) -> bytes:
    start = header.data_start + tensor.offset
    return header.path.read_bytes()[start : start + tensor.size_bytes]


def contents(header: Header) -> dict[str, object]:
    """Every value as text, arrays included."""
    return {
        key: (header.texts(key) or header.numbers(key)) if isinstance(value, Array) else value
        for key, value in header.values.items()
    }


def test_a_blob_of_ollama_becomes_what_it_was_made_from(tmp_path: Path) -> None:
    blob = write_blob(tmp_path / "blob")
    with pytest.raises(BadInput, match="is in Ollama's own layout") as raised:
        check_usable(Header.read(blob))
    assert raised.value.hint == f"make a converted copy: gptoss import {blob} --convert"
    made, wanted = Header.read(converted(blob)), Header.read(TINY)
    check_usable(made)
    assert contents(made) == contents(wanted) | {"gptoss_cli.converted_from": origin(blob)}
    assert [(each.name, each.shape, each.type) for each in made.tensors] == [
        (each.name, each.shape, each.type) for each in wanted.tensors
    ]
    for one, other in zip(made.tensors, wanted.tensors, strict=True):
        assert data_of(made, one) == data_of(wanted, other), one.name


def test_the_layout_of_ollamas_first_files_is_undone(tmp_path: Path) -> None:
    """All is as it was, but that the biases of the experts have passed through BF16."""
    blob = write_blob(tmp_path / "blob", first=True)
    names = {each.name: each.type for each in Header.read(blob).tensors}
    assert names["blk.0.ffn_gate_up_exps.weight"] == "MXFP4_OLLAMA"
    assert names["blk.0.ffn_down_exps.bias"] == "BF16"
    made, wanted = Header.read(converted(blob)), Header.read(TINY)
    check_usable(made)
    assert made.values["gpt-oss.expert_feed_forward_length"] == 256
    found = {each.name: each for each in made.tensors}
    assert set(found) == {each.name for each in wanted.tensors}
    for tensor in wanted.tensors:
        mine, expected = found[tensor.name], data_of(wanted, tensor)
        assert (mine.shape, mine.type) == (tensor.shape, tensor.type)
        if "_exps.bias" in tensor.name:
            expected = (np.frombuffer(expected, np.uint32) & 0xFFFF0000).tobytes()
        assert data_of(made, mine) == expected, tensor.name


@pytest.mark.soak
def test_a_vocabulary_of_201088_tokens_is_carried_over_byte_by_byte(random_model: Path, tmp_path: Path) -> None:
    made = Header.read(converted(write_blob(tmp_path / "blob", source=random_model)))
    wanted = Header.read(random_model)
    assert len(made.texts("tokenizer.ggml.tokens")) == 201_088
    for key, value in wanted.values.items():
        if isinstance(value, Array):
            assert made.raw(key) == wanted.raw(key)
    for one, other in zip(made.tensors, wanted.tensors, strict=True):
        assert data_of(made, one) == data_of(wanted, other), one.name


def test_a_file_of_another_layout_is_refused() -> None:
    with pytest.raises(BadInput, match=r"tiny\.gguf is not in Ollama's layout: it says 'gpt-oss'"):
        Conversion(Header.read(TINY))
