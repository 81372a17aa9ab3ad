"""gpt-oss in PyTorch, small: what llama.cpp's `gpt-oss` graph computes, for training. Knows ids, not texts."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.shape import Shape

ALPHA, LIMIT = 1.702, 7.0  # the clamped SwiGLU: openai/gpt-oss gpt_oss/torch/model.py, swiglu


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

    def forward(self, x: Tensor, mask: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """x [rows, tokens, hidden]; mask [rows or 1, 1, tokens, tokens] of 0 and -inf."""
        shape, (rows, count, _) = self.shape, x.shape
        q = rotate(self.q(x).view(rows, count, shape.heads, -1), cosine, sine)
        k = rotate(self.k(x).view(rows, count, shape.kv_heads, -1), cosine, sine)
        v = self.v(x).view(rows, count, shape.kv_heads, -1)
        repeat = shape.heads // shape.kv_heads
        q = q.transpose(1, 2).reshape(rows * shape.kv_heads, repeat * count, -1)  # heads that share keys stand together
        k = k.permute(0, 2, 3, 1).reshape(rows * shape.kv_heads, -1, count)
        v = v.transpose(1, 2).reshape(rows * shape.kv_heads, count, -1)
        scores = torch.bmm(q * shape.head_dim**-0.5, k).view(rows, shape.heads, count, count) + mask
        sinks = self.sinks.view(1, -1, 1, 1).expand(rows, -1, count, 1)
        weights = torch.cat([scores, sinks], dim=-1).softmax(-1)[..., :-1]
        mixed = torch.bmm(weights.reshape(rows * shape.kv_heads, repeat * count, count), v)
        return self.out(mixed.view(rows, shape.heads, count, -1).transpose(1, 2).reshape(rows, count, -1))


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

    def forward(self, x: Tensor, mask: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
        x = x + self.attention(self.norm(x), mask, cosine, sine)
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

    def forward(
        self, ids: Tensor, branches: Tensor | None = None, positions: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(hidden states [rows, tokens, hidden] before the head, balance loss) of ids [rows, tokens].

        branches, positions [rows, tokens] of rows that have several texts with one beginning, which is branch 0: a
        token sees the beginning and its own branch. Without them each row is one text.
        """
        if positions is None:
            positions = torch.arange(ids.shape[1])[None]
        angles, scale = rope_frequencies(self.shape)
        turned = positions[:, :, None, None] * angles
        cosine, sine = turned.cos() * scale, turned.sin() * scale
        distance = positions[:, None, :, None] - positions[:, None, None, :]
        hidden = distance < 0
        if branches is not None:
            of, before = branches[:, None, :, None], branches[:, None, None, :]
            hidden = hidden | ((before != of) & (before != 0))
        full = torch.zeros(distance.shape).masked_fill(hidden, -torch.inf)
        window = full.masked_fill(distance >= self.shape.window, -torch.inf)
        x, balance = self.embedding(ids), torch.zeros(())
        for layer, block in enumerate(self.blocks):
            x, more = block(x, window if layer % 2 == 0 else full, cosine, sine)
            balance = balance + more
        return self.norm(x), balance / len(self.blocks)
