"""gpt-oss files of any shape with a hole in place of their weights: what a memory plan reads, and nothing more."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.random_model import Shape, metadata, read_vocabulary
from gptoss_cli.harmony.tokenizer import O200K_HARMONY_SIZE
from training.gguf_writer import Tensor, TensorType, Value, write_hollow

HUGE = Shape(layers=36, experts=4096)  # two terabytes: no machine has them
BIG = {"20b": Shape(), "120b": Shape(layers=36, experts=128)}


def layout(shape: Shape) -> Iterator[Tensor]:
    """The tensors of the published conversions, without data; llama.cpp checks names and shapes when it loads them."""
    q8, mxfp4, f32 = TensorType.Q8_0, TensorType.MXFP4, TensorType.F32
    inner, kv, hidden = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim, shape.hidden
    yield Tensor("token_embd.weight", (O200K_HARMONY_SIZE, hidden), q8)
    for layer in range(shape.layers):
        at = f"blk.{layer}."
        for name, rows, width in (
            ("attn_q", inner, hidden),
            ("attn_k", kv, hidden),
            ("attn_v", kv, hidden),
            ("attn_output", hidden, inner),
        ):
            yield Tensor(f"{at}{name}.weight", (rows, width), q8)
            yield Tensor(f"{at}{name}.bias", (rows,), f32)
        for name, size in (("attn_norm", hidden), ("post_attention_norm", hidden), ("attn_sinks", shape.heads)):
            yield Tensor(f"{at}{name}.weight", (size,), f32)
        yield Tensor(f"{at}ffn_gate_inp.weight", (shape.experts, hidden), f32)
        yield Tensor(f"{at}ffn_gate_inp.bias", (shape.experts,), f32)
        for name, rows, width in (
            ("gate", shape.expert_width, hidden),
            ("up", shape.expert_width, hidden),
            ("down", hidden, shape.expert_width),
        ):
            yield Tensor(f"{at}ffn_{name}_exps.weight", (shape.experts, rows, width), mxfp4)
            yield Tensor(f"{at}ffn_{name}_exps.bias", (shape.experts, rows), f32)
    yield Tensor("output_norm.weight", (hidden,), f32)
    yield Tensor("output.weight", (O200K_HARMONY_SIZE, hidden), q8)


def hollow(path: Path, shape: Shape, extra: dict[str, Value] | None = None) -> Path:
    """Written at `path`, without a vocabulary of its own unless `extra` brings one: llama.cpp loads it all the same."""
    keys = {key: value for key, value in metadata(shape, []).items() if not key.startswith("tokenizer.")}
    keys |= {"tokenizer.ggml.model": "none", "gpt-oss.vocab_size": O200K_HARMONY_SIZE}
    write_hollow(path, keys | (extra or {}), layout(shape))
    return path


def huge(path: Path) -> Path:
    """A model that no machine has memory for, with the vocabulary that `run` asks for."""
    keys = metadata(HUGE, read_vocabulary())
    return hollow(path, HUGE, {key: value for key, value in keys.items() if key.startswith("tokenizer.")})
