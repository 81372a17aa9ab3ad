"""What a gpt-oss model is made of and what running it takes, in bytes, by its header alone. Knows no machine.

The formulas are llama.cpp's own arithmetic for one sequence, flash attention and F16 keys and values.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gptoss_cli.errors import BadInput
from gptoss_cli.gguf import Array, Header

LAYER = re.compile(r"blk\.(\d+)\.")
EXPERTS = re.compile(r"ffn_(up|down|gate|gate_up)_(ch|)exps")  # llama.cpp, common/common.h, LLM_FFN_EXPS_REGEX
MOST_LAYERS = 1024
PAD = 256  # llama-context.cpp and llama-kv-cache-iswa.cpp round cells up to it
F16, F32 = 2, 4


@dataclass(frozen=True)
class Layer:
    """Bytes of a layer's experts and of all else in it; windowed: it attends to the last `window` tokens only."""

    rest_bytes: int
    expert_bytes: int
    windowed: bool


@dataclass(frozen=True)
class Shape:
    """Dimensions of a model, and the bytes of its parts in the file."""

    layers: tuple[Layer, ...]
    embedding_bytes: int  # is read row by row: llama.cpp leaves it in RAM
    head_bytes: int  # the output matrix and its norm
    hidden: int
    heads: int
    kv_heads: int
    key_length: int
    value_length: int
    window: int
    experts: int
    experts_used: int
    expert_width: int
    n_ctx_train: int

    @classmethod
    def of(cls, headers: Sequence[Header]) -> "Shape":
        """The shape of the model whose header, or headers if it is split, these are. Raises BadInput."""
        first = headers[0]
        count = _number(first, "block_count", 0)
        if not 1 <= count <= MOST_LAYERS:
            raise BadInput(f"{first.path} is damaged: it says that it has {count:,} layers", hint="download it again")
        rest, experts, embedding, head = [0] * count, [0] * count, 0, 0
        for tensor in (tensor for header in headers for tensor in header.tensors):
            found = LAYER.match(tensor.name)
            layer = int(found[1]) if found else count
            if layer < count and EXPERTS.search(tensor.name):
                experts[layer] += tensor.size_bytes
            elif layer < count:
                rest[layer] += tensor.size_bytes
            elif tensor.name.startswith("output"):
                head += tensor.size_bytes
            else:
                embedding += tensor.size_bytes
        heads = _number(first, "attention.head_count", 64)
        hidden = _number(first, "embedding_length", 2880)
        key_length = _number(first, "attention.key_length", hidden // max(heads, 1))
        windows = _windows(first, count)
        return cls(
            tuple(Layer(*each) for each in zip(rest, experts, windows, strict=True)),
            embedding,
            head,
            hidden=hidden,
            heads=heads,
            kv_heads=_number(first, "attention.head_count_kv", heads),
            key_length=key_length,
            value_length=_number(first, "attention.value_length", key_length),
            window=_number(first, "attention.sliding_window", 128),
            experts=_number(first, "expert_count", 32),
            experts_used=_number(first, "expert_used_count", 4),
            expert_width=_number(first, "expert_feed_forward_length", hidden),
            n_ctx_train=_number(first, "context_length", 131072),
        )

    @property
    def weight_bytes(self) -> int:
        return self.embedding_bytes + self.head_bytes + sum(map(_all_bytes, self.layers))

    def kv_bytes(self, layer: Layer, n_ctx: int, n_ubatch: int) -> int:
        """Keys and values of one layer in a context of n_ctx tokens, exactly."""
        return self._cells(layer, n_ctx, n_ubatch) * self.kv_heads * (self.key_length + self.value_length) * F16

    def expert_bytes_read(self, layer: Layer) -> int:
        """What decoding one token reads of a layer's experts: the chosen ones, not all."""
        return layer.expert_bytes * min(self.experts_used, self.experts) // max(self.experts, 1)

    def kv_bytes_read(self, layer: Layer, depth: int) -> int:
        """Keys and values that decoding one token reads when `depth` tokens are before it."""
        tokens = min(depth, self.window) if layer.windowed else depth
        return tokens * self.kv_heads * (self.key_length + self.value_length) * F16

    def compute_bytes(self, n_ctx: int, n_ubatch: int) -> int:
        """Buffers of one device that computes layers, when logits are wanted for one token only.

        The most that is alive at once: three results of the chosen experts, three residual streams, the attention's
        output, and the masks. Within 1 % of what llama.cpp 0.5.0-dev reports for the shapes of 20b and 120b; too much
        where attention is wider than the experts.
        """
        n_ubatch = min(n_ubatch, n_ctx)
        widths = 3 * self.experts_used * self.expert_width + 3 * self.hidden + self.heads * self.value_length
        return n_ubatch * widths * F32 + self._mask_bytes(n_ctx, n_ubatch)

    def input_bytes(self, n_ctx: int, n_ubatch: int) -> int:
        """Buffers in RAM when GPUs compute all: what goes in."""
        return min(n_ubatch, n_ctx) * self.hidden * F32 + self._mask_bytes(n_ctx, n_ubatch)

    def _mask_bytes(self, n_ctx: int, n_ubatch: int) -> int:
        """One F16 mask for all layers of a kind (llama-graph.cpp, build_attn_inp_kq_mask)."""
        kinds = {layer.windowed: layer for layer in self.layers}
        cells = sum(self._cells(layer, n_ctx, n_ubatch) for layer in kinds.values())
        return cells * min(n_ubatch, n_ctx) * F16

    def _cells(self, layer: Layer, n_ctx: int, n_ubatch: int) -> int:
        """A window keeps what one decode of n_ubatch tokens may need of it (llama-kv-cache-iswa.cpp)."""
        cells = _padded(n_ctx)
        return _padded(min(cells, self.window + min(n_ubatch, n_ctx))) if layer.windowed else cells

    def sized(self, weight_bytes: int) -> "Shape":
        """This shape in a file of that size: quantizations of gpt-oss differ in all but the experts."""
        experts = sum(layer.expert_bytes for layer in self.layers)
        share = max(0, weight_bytes - experts) / (self.weight_bytes - experts)
        return replace(
            self,
            layers=tuple(replace(each, rest_bytes=round(each.rest_bytes * share)) for each in self.layers),
            embedding_bytes=round(self.embedding_bytes * share),
            head_bytes=round(self.head_bytes * share),
        )


def _all_bytes(layer: Layer) -> int:
    return layer.rest_bytes + layer.expert_bytes


def _padded(cells: int) -> int:
    return -(-cells // PAD) * PAD


def _number(header: Header, key: str, default: int) -> int:
    """The whole number at gpt-oss.`key`; the largest one of an array."""
    key = f"{header.architecture}.{key}"
    value = header.values.get(key, default)
    if isinstance(value, Array):
        return max(header.numbers(key), default=default)
    return value if isinstance(value, int) else default


def _windows(header: Header, count: int) -> list[bool]:
    """Which layers have a window: every first of two, unless the file says otherwise (llama.cpp, openai-moe.cpp)."""
    key = f"{header.architecture}.attention.sliding_window_pattern"
    if len(told := header.numbers(key)) == count:
        return [bool(each) for each in told]
    period = _number(header, "attention.sliding_window_pattern", 2)
    return [period == 0 or layer % period < period - 1 for layer in range(count)]


def _published(layers: int, experts: int) -> Shape:
    """Their config.json on the Hub; tensors as llama.cpp's conversion stores them (experts MXFP4, matrices Q8_0)."""
    hidden = width = 2880
    inner, kv, vocabulary = 64 * 64, 8 * 64, 201088
    matrices = (2 * inner + 2 * kv) * hidden // 32 * 34
    vectors = (inner + 2 * kv + 3 * hidden + 64 + experts * hidden + experts) * F32
    expert = 3 * (hidden * width // 32 * 17 + hidden * F32)
    return Shape(
        tuple(Layer(matrices + vectors, experts * expert, layer % 2 == 0) for layer in range(layers)),
        embedding_bytes=vocabulary * hidden // 32 * 34,
        head_bytes=vocabulary * hidden // 32 * 34 + hidden * F32,
        hidden=hidden,
        heads=64,
        kv_heads=8,
        key_length=64,
        value_length=64,
        window=128,
        experts=experts,
        experts_used=4,
        expert_width=width,
        n_ctx_train=131072,
    )


PUBLISHED = {"gpt-oss:20b": _published(24, 32), "gpt-oss:120b": _published(36, 128)}


def of_size(weight_bytes: int) -> Shape:
    """The shape of a gpt-oss of which only the size is known: that of 20b or 120b, whichever is nearer."""
    nearest = min(PUBLISHED.values(), key=lambda shape: abs(shape.weight_bytes - weight_bytes))
    return nearest.sized(weight_bytes)
