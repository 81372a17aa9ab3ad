"""Reads an exported model back, the opposite of `export`, so that a training can go on from it."""

from pathlib import Path

import numpy as np

from gptoss_cli import vocabulary
from gptoss_cli.gguf import Header, Tensor
from training import mxfp4
from training.shape import Shape

# PyTorch's names of a layer's parameters -> those of the tensors, in the order in which they are joined
NAMES = {
    "norm.weight": ("attn_norm.weight",),
    "attention.sinks": ("attn_sinks.weight",),
    "post_norm.weight": ("post_attention_norm.weight",),
    "experts.router.weight": ("ffn_gate_inp.weight",),
    "experts.router.bias": ("ffn_gate_inp.bias",),
    "experts.gate_up": ("ffn_gate_exps.weight", "ffn_up_exps.weight"),
    "experts.gate_up_bias": ("ffn_gate_exps.bias", "ffn_up_exps.bias"),
    "experts.down": ("ffn_down_exps.weight",),
    "experts.down_bias": ("ffn_down_exps.bias",),
    **{
        f"attention.{mine}.{kind}": (f"{theirs}.{kind}",)
        for mine, theirs in (("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("out", "attn_output"))
        for kind in ("weight", "bias")
    },
}


def restore(path: Path) -> tuple[dict[str, np.ndarray], list[bytes], Shape]:
    """(weights by the names of training.model's parameters, ordinary tokens, dimensions) of a file that `export` wrote.

    Raises ModelNotFound, BadInput; KeyError for another model's file.
    """
    header = Header.read(path)
    data = np.memmap(path, np.uint8, "r", header.data_start)
    tensors = {tensor.name: _values(data, tensor) for tensor in header.tensors}
    words = vocabulary.load(path)
    pieces = [words.piece(id) for id in range(words.n_vocab - len(words.specials))]
    weights = {
        "embedding.weight": tensors["token_embd.weight"],
        "norm.weight": tensors["output_norm.weight"],
        "head.weight": tensors["output.weight"],
    }
    shape = Shape(vocabulary=words.n_vocab)
    for layer in range(shape.layers):
        for mine, theirs in NAMES.items():
            parts = [tensors[f"blk.{layer}.{name}"] for name in theirs]
            weights[f"blocks.{layer}.{mine}"] = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return weights, pieces, shape


def _values(data: np.ndarray, tensor: Tensor) -> np.ndarray:
    raw = data[tensor.offset : tensor.offset + tensor.size_bytes]
    shape = tensor.shape[::-1]
    match tensor.type:
        case "F32":
            return np.frombuffer(raw.tobytes(), np.float32).reshape(shape).copy()
        case "Q8_0":  # see training.export.q8
            blocks = np.frombuffer(raw.tobytes(), dtype=[("scale", "<f2"), ("values", "i1", 32)])
            return (blocks["scale"].astype(np.float32)[:, None] * blocks["values"]).astype(np.float32).reshape(shape)
        case _:
            return mxfp4.dequantize(*mxfp4.unpack(raw.tobytes(), shape))
