"""gpt-oss in PyTorch, small: what llama.cpp's `gpt-oss` graph computes, for training. Knows ids, not texts."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.shape import Shape

ALPHA, LIMIT = 1.702, 7.0  # the clamped SwiGLU: openai/gpt-oss gpt_oss/torch/model.py, swiglu


class Span(NamedTuple):
    """The tokens `start` to `end` of a row, which see the first `shared` ones and themselves, and stand after them."""

    row: int
    shared: int
    start: int
    end: int


def rope_frequencies(shape: Shape) -> tuple[Tensor, float]:
    """(angle per position of each of head_dim/2 pairs, scale of cosine and sine): YaRN as ggml computes it.

    ggml floors and ceils the correction dimensions (ggml.c, ggml_rope_yarn_corr_dims); gpt-oss's reference code does
    not, and at this size the difference shows.
    """
    pairs = torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim
    fast = shape.rope_base**-pairs

    def dimension(rotations: float) -> float:
        ratio = shape.rope_original / (rotations * 2 * math.pi)
        return shape.head_dim * math.log(ratio) / (2 * math.log(shape.rope_base))

    low, high = max(0, math.floor(dimension(32.0))), min(shape.head_dim - 1, math.ceil(dimension(1.0)))
    place = torch.arange(shape.head_dim // 2, dtype=torch.float32)
    ramp = 1 - ((place - low) / max(0.001, high - low)).clamp(0, 1)
    angles = fast / shape.rope_factor * (1 - ramp) + fast * ramp
    return angles, 0.1 * math.log(shape.rope_factor) + 1


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """x [tokens, heads, head_dim] turned, its halves being the pairs (GPT-NeoX order)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    gate = gate.clamp(max=LIMIT)
    return gate * torch.sigmoid(ALPHA * gate) * (up.clamp(-LIMIT, LIMIT) + 1)


class Attention(nn.Module):
    """Grouped-query attention with a learnt sink per head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        inner, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.q, self.k, self.v = (nn.Linear(shape.hidden, width) for width in (inner, kv, kv))
        self.out = nn.Linear(inner, shape.hidden)
        self.sinks = nn.Parameter(torch.zeros(shape.heads))

    def forward(self, x: Tensor, spans: Sequence[Span], mask: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """x [rows, tokens, hidden]; mask [positions, positions] of 0 and -inf."""
        shape, (rows, count, _) = self.shape, x.shape
        q = rotate(self.q(x).view(rows, count, shape.heads, -1), cosine, sine) * shape.head_dim**-0.5
        k = rotate(self.k(x).view(rows, count, shape.kv_heads, -1), cosine, sine)
        v = self.v(x).view(rows, count, shape.kv_heads, -1)
        mixed = [self._mixed(q, k, v, span, mask) for span in spans]
        return self.out(torch.cat(mixed).view(rows, count, -1))

    def _mixed(self, q: Tensor, k: Tensor, v: Tensor, span: Span, mask: Tensor) -> Tensor:
        """What the tokens of a span read: [tokens, heads * head_dim]."""
        shape, (row, shared, start, end) = self.shape, span
        count, seen = end - start, shared + end - start
        if shared:
            keys, values = (torch.cat([each[row, :shared], each[row, start:end]]) for each in (k, v))
        else:
            keys, values = k[row, start:end], v[row, start:end]
        # heads that share keys stand together
        asked = q[row, start:end].transpose(0, 1).reshape(shape.kv_heads, -1, shape.head_dim)
        scores = torch.bmm(asked, keys.permute(1, 2, 0)).view(shape.heads, count, seen) + mask[shared:seen, :seen]
        sinks = self.sinks.view(-1, 1, 1).expand(-1, count, 1)
        weights = torch.cat([scores, sinks], dim=-1).softmax(-1)[..., :-1]
        read = torch.bmm(weights.reshape(shape.kv_heads, -1, seen), values.transpose(0, 1))
        return read.view(shape.heads, count, -1).transpose(0, 1).reshape(count, -1)


class Experts(nn.Module):
    """A mixture of experts; weights [expert, out, in] as GGUF keeps them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        hidden, width = shape.hidden, shape.expert_width
        self.router = nn.Linear(hidden, shape.experts)
        self.gate_up = nn.Parameter(torch.randn(shape.experts, 2 * width, hidden) / math.sqrt(hidden))
        self.gate_up_bias = nn.Parameter(torch.zeros(shape.experts, 2 * width))
        self.down = nn.Parameter(torch.randn(shape.experts, hidden, width) / math.sqrt(width) / 2)
        self.down_bias = nn.Parameter(torch.zeros(shape.experts, hidden))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(the mixture, x's shape [rows, tokens, hidden]; the load-balancing loss of Switch Transformers)."""
        shape, whole = self.shape, x.shape
        x = x.reshape(-1, shape.hidden)
        logits = self.router(x)
        chosen, experts = logits.topk(shape.experts_used, dim=-1)
        weights = chosen.softmax(-1).view(-1, 1)
        order = experts.view(-1).argsort(stable=True)  # tokens of one expert stand together
        sizes = torch.bincount(experts.view(-1), minlength=shape.experts)
        inputs = x[order // shape.experts_used].split(sizes.tolist())
        # unbound once: indexing one expert at a time would build a full gradient for each
        hidden = torch.cat(
            [
                functional.linear(*each)
                for each in zip(inputs, self.gate_up.unbind(), self.gate_up_bias.unbind(), strict=True)
            ]
        )
        gate, up = hidden.chunk(2, dim=-1)
        acted = swiglu(gate, up).split(sizes.tolist())
        mixed = torch.cat(
            [functional.linear(*each) for each in zip(acted, self.down.unbind(), self.down_bias.unbind(), strict=True)]
        )
        out = torch.zeros_like(x).index_add(0, order // shape.experts_used, mixed.to(x.dtype) * weights[order])
        share = sizes / sizes.sum()
        return out.view(whole), shape.experts * (share * logits.softmax(-1).mean(0)).sum()


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(shape.hidden, shape.epsilon)
        self.attention = Attention(shape)
        self.post_norm = nn.RMSNorm(shape.hidden, shape.epsilon)
        self.experts = Experts(shape)

    def forward(
        self, x: Tensor, spans: Sequence[Span], mask: Tensor, cosine: Tensor, sine: Tensor
    ) -> tuple[Tensor, Tensor]:
        x = x + self.attention(self.norm(x), spans, mask, cosine, sine)
        mixed, balance = self.experts(self.post_norm(x))
        return x + mixed, balance


class GptOss(nn.Module):
    """The whole model."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.hidden)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, shape.epsilon)
        self.head = nn.Linear(shape.hidden, shape.vocabulary, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.5)
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(self, ids: Tensor, spans: Sequence[Span] = ()) -> tuple[Tensor, Tensor]:
        """(hidden states [rows, tokens, hidden] before the head, balance loss) of ids [rows, tokens].

        spans: all tokens in order, for rows that have several texts with one beginning. Without them each row is one
        text.
        """
        rows, count = ids.shape
        spans = spans or [Span(row, 0, 0, count) for row in range(rows)]
        positions = torch.cat([torch.arange(each.shared, each.shared + each.end - each.start) for each in spans])
        angles, scale = rope_frequencies(self.shape)
        turned = positions.view(rows, count, 1, 1) * angles
        cosine, sine = turned.cos() * scale, turned.sin() * scale
        place = torch.arange(int(positions.max()) + 1)
        distance = place[:, None] - place[None, :]
        full = torch.zeros(distance.shape).masked_fill(distance < 0, -torch.inf)
        window = full.masked_fill(distance >= self.shape.window, -torch.inf)
        x, balance = self.embedding(ids), torch.zeros(())
        for layer, block in enumerate(self.blocks):
            x, more = block(x, spans, window if layer % 2 == 0 else full, cosine, sine)
            balance = balance + more
        return self.norm(x), balance / len(self.blocks)
