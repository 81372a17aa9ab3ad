"""Small LoRAs for the built-in model, written as llama.cpp's convert_lora_to_gguf.py writes them."""

from pathlib import Path

import numpy as np

from training.gguf_writer import Tensor, TensorType, Value, write

WIDTH, VOCABULARY, EXPERTS, RANK = 256, 2816, 8, 4  # of tiny
METADATA: dict[str, Value] = {
    "general.type": "adapter",
    "general.architecture": "gpt-oss",
    "adapter.type": "lora",
    "adapter.lora.alpha": 8.0,
}
# tensor -> (width, height, experts or 0)
CHANGED = {
    "blk.0.attn_q.weight": (WIDTH, WIDTH, 0),
    "blk.3.attn_output.weight": (WIDTH, WIDTH, 0),
    "blk.1.ffn_up_exps.weight": (WIDTH, WIDTH, EXPERTS),
    "output.weight": (WIDTH, VOCABULARY, 0),
}


def matrix(name: str, *shape: int, scale: float = 0.0) -> Tensor:
    """Normally distributed numbers; shape as numpy has it, without a leading 0."""
    lengths = tuple(length for length in shape if length)
    numbers = np.random.default_rng(1).normal(0, 1, lengths).astype(np.float32) * np.float32(scale)
    return Tensor(name, lengths, TensorType.F32, numbers.tobytes())


def pair(name: str, width: int, height: int, experts: int = 0, scale: float = 0.0, rank: int = RANK) -> list[Tensor]:
    """A and B for one tensor; with a scale of 0 B is zero, and nothing changes."""
    return [
        matrix(f"{name}.lora_a", experts, rank, width, scale=1.0),
        matrix(f"{name}.lora_b", experts, height, rank, scale=scale),
    ]


def write_lora(path: Path, scale: float, **metadata: Value) -> Path:
    """Changes attention, experts and the output of tiny by about `scale`."""
    tensors = [each for name, shape in CHANGED.items() for each in pair(name, *shape, scale=scale)]
    write(path, METADATA | metadata, tensors)
    return path
