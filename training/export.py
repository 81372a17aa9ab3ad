"""Writes a trained model as GGUF: experts in MXFP4, matrices in Q8_0, biases and norms in F32."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gptoss_cli.harmony.tokenizer import O200K_HARMONY_SPECIALS
from gptoss_cli.vocabulary import byte_letters
from training import bpe, mxfp4
from training.gguf_writer import Tensor, TensorType, Value, write
from training.shape import Shape

N_CTX_TRAIN = 131072

# A template in the published layout, for programs that want one; gptoss itself renders Harmony by token
CHAT_TEMPLATE = """\
<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.
Knowledge cutoff: 2024-06
Current date: {{ strftime_now("%Y-%m-%d") }}

Reasoning: {{ reasoning_effort | default("medium") }}

# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>
{%- for message in messages -%}
{%- if message.role in ("system", "developer") -%}
<|start|>developer<|message|># Instructions

{{ message.content }}<|end|>
{%- elif message.role == "user" -%}
<|start|>user<|message|>{{ message.content }}<|end|>
{%- elif message.role == "assistant" -%}
<|start|>assistant<|channel|>final<|message|>{{ message.content }}<|end|>
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}
"""


def export(weights: dict[str, np.ndarray], pieces: list[bytes], shape: Shape, path: Path) -> None:
    """The model at `path`; weights by the names of training.model's parameters."""
    write(path, {**_architecture(shape), **_vocabulary(pieces)}, list(_tensors(weights, shape)))


def _architecture(shape: Shape) -> dict[str, Value]:
    """The keys of the published gpt-oss GGUFs (ggml-org/gpt-oss-20b-GGUF)."""
    return {
        "general.architecture": "gpt-oss",
        "general.name": "tiny",
        "general.description": "A toy gpt-oss trained from scratch for gptoss; see training/README.md",
        "general.license": "apache-2.0",
        "general.file_type": 38,  # llama.h, LLAMA_FTYPE_MOSTLY_MXFP4_MOE
        "gpt-oss.block_count": shape.layers,
        "gpt-oss.context_length": N_CTX_TRAIN,
        "gpt-oss.embedding_length": shape.hidden,
        "gpt-oss.feed_forward_length": shape.expert_width,
        "gpt-oss.attention.head_count": shape.heads,
        "gpt-oss.attention.head_count_kv": shape.kv_heads,
        "gpt-oss.attention.key_length": shape.head_dim,
        "gpt-oss.attention.value_length": shape.head_dim,
        "gpt-oss.attention.sliding_window": shape.window,
        "gpt-oss.attention.layer_norm_rms_epsilon": shape.epsilon,
        "gpt-oss.rope.freq_base": shape.rope_base,
        "gpt-oss.rope.scaling.type": "yarn",
        "gpt-oss.rope.scaling.factor": shape.rope_factor,
        "gpt-oss.rope.scaling.original_context_length": shape.rope_original,
        "gpt-oss.expert_count": shape.experts,
        "gpt-oss.expert_used_count": shape.experts_used,
        "gpt-oss.expert_feed_forward_length": shape.expert_width,
    }


def _vocabulary(pieces: list[bytes]) -> dict[str, Value]:
    letters = byte_letters()

    def written(piece: bytes) -> str:
        return "".join(letters[byte] for byte in piece)

    specials = {text: len(pieces) + place for place, text in enumerate(O200K_HARMONY_SPECIALS)}
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-4o",
        "tokenizer.ggml.tokens": [*map(written, pieces), *specials],
        "tokenizer.ggml.token_type": [1] * len(pieces) + [3] * len(specials),  # normal, control
        "tokenizer.ggml.merges": [f"{written(left)} {written(right)}" for left, right in bpe.merges(pieces)],
        "tokenizer.ggml.bos_token_id": specials["<|startoftext|>"],
        "tokenizer.ggml.eos_token_id": specials["<|return|>"],
        "tokenizer.ggml.padding_token_id": specials["<|endoftext|>"],
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def _tensors(weights: dict[str, np.ndarray], shape: Shape) -> Iterator[Tensor]:
    yield q8("token_embd.weight", weights["embedding.weight"])
    for layer in range(shape.layers):
        source, target = f"blocks.{layer}.", f"blk.{layer}."
        yield f32(f"{target}attn_norm.weight", weights[f"{source}norm.weight"])
        for mine, theirs in (("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("out", "attn_output")):
            yield q8(f"{target}{theirs}.weight", weights[f"{source}attention.{mine}.weight"])
            yield f32(f"{target}{theirs}.bias", weights[f"{source}attention.{mine}.bias"])
        yield f32(f"{target}attn_sinks.weight", weights[f"{source}attention.sinks"])
        yield f32(f"{target}post_attention_norm.weight", weights[f"{source}post_norm.weight"])
        yield f32(f"{target}ffn_gate_inp.weight", weights[f"{source}experts.router.weight"])
        yield f32(f"{target}ffn_gate_inp.bias", weights[f"{source}experts.router.bias"])
        for part, name in ((0, "gate"), (1, "up")):
            for suffix, kind in (("gate_up", "weight"), ("gate_up_bias", "bias")):
                half = np.split(weights[f"{source}experts.{suffix}"], 2, axis=1)[part]
                make = mxfp4_tensor if kind == "weight" else f32
                yield make(f"{target}ffn_{name}_exps.{kind}", half)
        yield mxfp4_tensor(f"{target}ffn_down_exps.weight", weights[f"{source}experts.down"])
        yield f32(f"{target}ffn_down_exps.bias", weights[f"{source}experts.down_bias"])
    yield f32("output_norm.weight", weights["norm.weight"])
    yield q8("output.weight", weights["head.weight"])


def f32(name: str, values: np.ndarray) -> Tensor:
    return Tensor(name, values.shape, TensorType.F32, values.astype(np.float32).tobytes())


def q8(name: str, values: np.ndarray) -> Tensor:
    """Q8_0: blocks of 32 signed bytes with an F16 scale (ggml-quants.c, quantize_row_q8_0_ref)."""
    blocks = np.zeros(values.size // 32, dtype=[("scale", "<f2"), ("values", "i1", 32)])
    rows = values.astype(np.float32).reshape(-1, 32)
    scale = np.abs(rows).max(1, keepdims=True) / 127
    blocks["scale"] = scale[:, 0]
    blocks["values"] = np.round(np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0))
    return Tensor(name, values.shape, TensorType.Q8_0, blocks.tobytes())


def mxfp4_tensor(name: str, values: np.ndarray) -> Tensor:
    return Tensor(name, values.shape, TensorType.MXFP4, mxfp4.pack(*mxfp4.quantize(values)))
