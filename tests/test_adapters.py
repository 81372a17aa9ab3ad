"""LoRAs: what is one, and which model it is for."""

from pathlib import Path

import pytest
from conftest import TINY
from lora import EXPERTS, METADATA, WIDTH, matrix, pair, write_lora

from gptoss_cli.adapters import check_usable
from gptoss_cli.errors import BadInput
from gptoss_cli.gguf import Header
from training.gguf_writer import Tensor, TensorType, Value, write

Q, EXPS = "blk.0.attn_q.weight", "blk.0.ffn_gate_exps.weight"
MODEL = [Header.read(TINY)]


def test_a_lora_for_the_built_in_model_is_usable(tmp_path: Path) -> None:
    check_usable(Header.read(write_lora(tmp_path / "a.gguf", 1.0)), MODEL)
    tensors = [
        *pair("token_embd.weight", 2816, WIDTH),
        matrix("blk.0.attn_norm.weight", WIDTH),  # left out by llama.cpp
    ]
    write(tmp_path / "b.gguf", METADATA, tensors)
    with pytest.raises(BadInput, match="is for another model"):  # A and B change places there
        check_usable(Header.read(tmp_path / "b.gguf"), MODEL)
    tensors = [
        matrix("token_embd.weight.lora_a", 2816, 4),
        matrix("token_embd.weight.lora_b", WIDTH, 4),
        matrix("blk.0.attn_norm.weight", WIDTH),
    ]
    write(tmp_path / "b.gguf", METADATA, tensors)
    check_usable(Header.read(tmp_path / "b.gguf"), MODEL)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"general.type": "model"}, "is no adapter: it is a gpt-oss model"),
        ({"general.type": 1}, "is no adapter: it is a gpt-oss model"),
        ({"adapter.type": "ia3"}, "is an adapter of the type ia3; lora is the one that can be used"),
        ({"adapter.type": 1}, "is an adapter of the type unknown"),
        ({"general.architecture": "llama"}, "is an adapter for llama; gptoss runs gpt-oss only"),
        ({"adapter.lora.alpha": 16}, "is damaged: adapter.lora.alpha is no F32 number"),
        (
            {"adapter.alora.invocation_tokens": [1, 2]},
            "is an activated LoRA, which would be in force all the time here",
        ),
    ],
)
def test_what_is_no_lora_for_gpt_oss_says_what_it_is(metadata: dict[str, Value], message: str, tmp_path: Path) -> None:
    header = Header.read(write_lora(tmp_path / "a.gguf", 1.0, **metadata))
    with pytest.raises(BadInput) as raised:
        check_usable(header, MODEL)
    assert str(raised.value).startswith(f"{header.path} {message}")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([], "has no matrices"),
        (pair(Q, WIDTH, WIDTH)[:1], f"has only one matrix for {Q!r}"),
        ([matrix("x", 4)], "has a tensor 'x', which is neither .lora_a nor .lora_b"),
        (
            pair("blk.9.attn_q.weight", WIDTH, WIDTH),
            "is for another model: this one has no tensor 'blk.9.attn_q.weight'",
        ),
        (pair(Q, 128, WIDTH), f"is for another model: 128 x 4 and 4 x 256 cannot change {Q!r}, which is 256 x 256"),
        (pair(Q, WIDTH, 128), "is for another model: 256 x 4 and 4 x 128 cannot change"),
        ([pair(Q, WIDTH, WIDTH, rank=2)[0], pair(Q, WIDTH, WIDTH)[1]], "is for another model: 256 x 2 and 4 x 256"),
        (pair(EXPS, WIDTH, WIDTH, EXPERTS - 1), "is for another model: 256 x 4 x 7 and 4 x 256 x 7 cannot change"),
        (pair(EXPS, WIDTH, WIDTH), "is for another model: 256 x 4 and 4 x 256 cannot change"),
        (
            [
                Tensor(f"{Q}.lora_a", (4, WIDTH), TensorType.Q8_0, bytes(4 * WIDTH // 32 * 34)),
                matrix(f"{Q}.lora_b", WIDTH, 8),
            ],
            "is for another model: 256 x 4 and 8 x 256 cannot change",
        ),
    ],
)
def test_a_lora_for_another_model_says_where_it_does_not_fit(
    tensors: list[Tensor], message: str, tmp_path: Path
) -> None:
    write(tmp_path / "a.gguf", METADATA, tensors)
    with pytest.raises(BadInput) as raised:
        check_usable(Header.read(tmp_path / "a.gguf"), MODEL)
    assert str(raised.value).startswith(f"{tmp_path / 'a.gguf'} {message}")
