"""Writes gpt-oss models with random weights: the shapes of the real ones, and replies that never end.

    python -m benchmarks.random_model OUT.gguf [--layers N] [--vocab o200k_base.tiktoken[.xz]]

writes a model with the exact shapes of gpt-oss-20b (hidden 2880, 32 experts, vocabulary 201,088) and N layers, about
half a gigabyte each, and 1.2 GB for the embedding and the head.
"""

import argparse
import base64
import lzma
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gptoss_cli.harmony.tokenizer import O200K_HARMONY_SIZE, O200K_HARMONY_SPECIALS
from training.gguf_writer import Tensor, TensorType, Value, write

STEP_DEVIATION = 73.6  # of whole numbers drawn evenly from -127 to 127
MXFP4_DEVIATION = 2.9  # of 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives
VOCABULARY = Path(__file__).parent.parent / "tests/data/harmony/o200k_base.tiktoken.xz"


@dataclass(frozen=True)
class Shape:
    """Dimensions of a gpt-oss model; the defaults are those of the 20b (its config.json)."""

    layers: int = 24
    hidden: int = 2880
    heads: int = 64
    kv_heads: int = 8
    head_dim: int = 64
    experts: int = 32
    experts_used: int = 4
    expert_width: int = 2880
    window: int = 128
    n_ctx_train: int = 131072


SMALL = Shape(layers=2, hidden=64, heads=2, kv_heads=1, head_dim=32, experts=4, experts_used=4, expert_width=64)


def read_vocabulary(path: Path = VOCABULARY) -> list[bytes]:
    """The tokens of a tiktoken rank file, compressed or not, in rank order."""
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    return [base64.b64decode(line.split()[0]) for line in data.splitlines()]


def byte_texts() -> list[str]:
    """How GPT-2 vocabularies write each byte: itself when it is printable, else a letter from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def token_texts(pieces: Sequence[bytes], specials: dict[str, int], size: int) -> tuple[list[str], list[int]]:
    """The vocabulary as a GGUF holds it: texts, and types (1 normal, 3 control, 5 unused: llama.h llama_token_type)."""
    table = {byte: ord(text) for byte, text in enumerate(byte_texts())}
    texts = [piece.decode("latin-1").translate(table) for piece in pieces]
    texts += [f"[PAD{id}]" for id in range(len(pieces), size)]
    types = [1] * len(pieces) + [5] * (size - len(pieces))
    for text, id in specials.items():
        texts[id], types[id] = text, 3
    return texts, types


def metadata(shape: Shape, pieces: Sequence[bytes]) -> dict[str, Value]:
    """The keys of the published gpt-oss GGUFs."""
    specials = dict(O200K_HARMONY_SPECIALS)
    texts, types = token_texts(pieces, specials, O200K_HARMONY_SIZE)
    return {
        "general.architecture": "gpt-oss",
        "general.name": f"random gpt-oss, {shape.layers} layers",
        "general.file_type": 38,
        "gpt-oss.block_count": shape.layers,
        "gpt-oss.context_length": shape.n_ctx_train,
        "gpt-oss.embedding_length": shape.hidden,
        "gpt-oss.feed_forward_length": shape.expert_width,
        "gpt-oss.attention.head_count": shape.heads,
        "gpt-oss.attention.head_count_kv": shape.kv_heads,
        "gpt-oss.attention.key_length": shape.head_dim,
        "gpt-oss.attention.value_length": shape.head_dim,
        "gpt-oss.attention.sliding_window": shape.window,
        "gpt-oss.attention.layer_norm_rms_epsilon": 1e-5,
        "gpt-oss.rope.freq_base": 150000.0,
        "gpt-oss.rope.scaling.type": "yarn",
        "gpt-oss.rope.scaling.factor": 32.0,
        "gpt-oss.rope.scaling.original_context_length": 4096,
        "gpt-oss.expert_count": shape.experts,
        "gpt-oss.expert_used_count": shape.experts_used,
        "gpt-oss.expert_feed_forward_length": shape.expert_width,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-4o",
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [f"{texts[1]} {texts[2]}"],  # llama.cpp's tokenizer is never asked
        "tokenizer.ggml.bos_token_id": specials["<|startoftext|>"],
        "tokenizer.ggml.eos_token_id": specials["<|return|>"],
    }


def tensors(shape: Shape, seed: int = 0) -> Iterator[Tensor]:
    """Random weights that keep activations at about 1; experts in MXFP4, matrices in Q8_0, the rest in F32.

    A reply never ends by itself: dimension 0 of the residual stream is the same for every token, because no layer adds
    to it, and the head turns it into a large negative logit for every control token. The other logits have a standard
    deviation of about 3, as in a trained model.
    """
    random = np.random.default_rng(seed)
    inner, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    embedding = _q8(random, O200K_HARMONY_SIZE, shape.hidden, gain=math.sqrt(shape.hidden))
    embedding["values"][:, 0, 0] = 127
    yield Tensor("token_embd.weight", (O200K_HARMONY_SIZE, shape.hidden), TensorType.Q8_0, embedding.tobytes())
    for layer in range(shape.layers):
        at = f"blk.{layer}."
        yield _f32(f"{at}attn_norm.weight", np.ones(shape.hidden))
        for name, width in (("q", inner), ("k", kv), ("v", kv)):
            weight = _q8(random, width, shape.hidden, gain=4 if name == "v" else 1)  # what came before has weight
            yield Tensor(f"{at}attn_{name}.weight", (width, shape.hidden), TensorType.Q8_0, weight.tobytes())
            yield _f32(f"{at}attn_{name}.bias", np.zeros(width))
        weight = _q8(random, shape.hidden, inner)
        weight["scale"][0] = 0
        yield Tensor(f"{at}attn_output.weight", (shape.hidden, inner), TensorType.Q8_0, weight.tobytes())
        yield _f32(f"{at}attn_output.bias", np.zeros(shape.hidden))
        yield _f32(f"{at}attn_sinks.weight", random.normal(size=shape.heads))
        yield _f32(f"{at}post_attention_norm.weight", np.ones(shape.hidden))
        yield _f32(f"{at}ffn_gate_inp.weight", random.normal(scale=0.05, size=(shape.experts, shape.hidden)))
        yield _f32(f"{at}ffn_gate_inp.bias", np.zeros(shape.experts))
        for name, rows, width in (
            ("gate", shape.expert_width, shape.hidden),
            ("up", shape.expert_width, shape.hidden),
            ("down", shape.hidden, shape.expert_width),
        ):
            experts = _mxfp4(random, shape.experts, rows, width)
            if name == "down":
                experts["values"][:, 0] = 0
            at_name = f"{at}ffn_{name}_exps.weight"
            yield Tensor(at_name, (shape.experts, rows, width), TensorType.MXFP4, experts.tobytes())
            yield _f32(f"{at}ffn_{name}_exps.bias", np.zeros((shape.experts, rows)))
    yield _f32("output_norm.weight", np.ones(shape.hidden))
    head = _q8(random, O200K_HARMONY_SIZE, shape.hidden, gain=3)
    muted = head[min(O200K_HARMONY_SPECIALS.values()) :]
    muted["scale"], muted["values"] = 10, 0
    muted["values"][:, 0, 0] = -127
    yield Tensor("output.weight", (O200K_HARMONY_SIZE, shape.hidden), TensorType.Q8_0, head.tobytes())


def _f32(name: str, values: np.ndarray) -> Tensor:
    return Tensor(name, values.shape, TensorType.F32, values.astype(np.float32).tobytes())


def _q8(random: np.random.Generator, rows: int, width: int, gain: float = 1.0) -> np.ndarray:
    """Q8_0: 32 signed bytes with an F16 scale. The product with a vector of deviation 1 has the deviation `gain`."""
    blocks = np.empty((rows, width // 32), dtype=[("scale", "<f2"), ("values", "i1", 32)])
    blocks["scale"] = gain / (STEP_DEVIATION * math.sqrt(width))
    blocks["values"] = random.integers(-127, 128, size=(rows, width // 32, 32), dtype=np.int8)
    return blocks


def _mxfp4(random: np.random.Generator, experts: int, rows: int, width: int) -> np.ndarray:
    """MXFP4: 32 four-bit floats with one exponent byte, 2**(byte - 127). The gain is about 1."""
    blocks = np.empty((experts, rows, width // 32), dtype=[("exponent", "u1"), ("values", "u1", 16)])
    blocks["exponent"] = 127 - round(math.log2(MXFP4_DEVIATION * math.sqrt(width)))
    blocks["values"] = random.integers(0, 256, size=(experts, rows, width // 32, 16), dtype=np.uint8)
    return blocks


def write_random(path: Path, shape: Shape, vocabulary: Path = VOCABULARY) -> None:
    """A random-weight model at `path`; a SMALL one takes about two seconds."""
    write(path, metadata(shape, read_vocabulary(vocabulary)), tensors(shape))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocab", type=Path, default=VOCABULARY)
    arguments = parser.parse_args()
    write_random(arguments.out, Shape(layers=arguments.layers), arguments.vocab)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
