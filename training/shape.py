"""How large the model is. Knows no PyTorch, so that exporting does without."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Dimensions; windows on even layers, full attention on odd ones, as in gpt-oss."""

    vocabulary: int
    hidden: int = 256
    layers: int = 4
    heads: int = 8
    kv_heads: int = 4
    head_dim: int = 32
    experts: int = 8
    experts_used: int = 2
    expert_width: int = 256
    window: int = 128
    rope_base: float = 150000.0
    rope_factor: float = 32.0
    rope_original: int = 4096
    epsilon: float = 1e-5
