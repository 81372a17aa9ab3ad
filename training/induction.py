"""Weights to begin with that copy already: an induction head by hand (Olsson et al. 2022, In-context Learning and
Induction Heads). Training then only has to keep it; found by itself it took most of a training, and for numbers only.

Layer 0 tells every token which one stood before it; layer 1, which sees everything, looks for the place where the
current token stood before the one there, and says what is there. The 256 directions of the hidden state are cut in
three: what a token is matched by, where the token before it is noted, and what is copied.
"""

import torch
from torch import Tensor

from training.model import GptOss, rope_frequencies

NEXT_TO = 4.0  # of keys and queries that know positions only: e times as much for the token before as for another
NOTED = 1.5
MATCHED = 2.0
SAID = 2.0
SINK = 10.0  # between the score of a match, about 19, and of anything else, 0 ± 5
LOGITS = 0.17
SLOW_PAIRS = 8  # of 16: turned so little by positions that they can be compared over hundreds of tokens


@torch.no_grad()
def prepare(model: GptOss) -> None:
    """Overwrites parts of the first two attention layers and of the head."""
    shape = model.shape
    directions = torch.linalg.qr(torch.randn(shape.hidden, shape.hidden))[0]
    code, noted, copied = directions.split([64, 64, 128])
    _note_the_token_before(model, code, noted)
    _look_it_up(model, code, noted, copied, directions[:128])
    same = model.embedding.weight @ copied.T @ directions[:128]
    model.head.weight += LOGITS * same


def _note_the_token_before(model: GptOss, code: Tensor, noted: Tensor) -> None:
    attention, size = model.blocks[0].attention, model.shape.head_dim
    angles, _ = rope_frequencies(model.shape)
    shared = model.shape.heads // model.shape.kv_heads
    for kv in range(len(code) // size):
        head, own = kv * shared * size, kv * size
        for weight in (attention.q.weight[head : head + size], attention.k.weight[own : own + size]):
            weight.mul_(0.1)
        attention.q.bias[head : head + size] = torch.cat([torch.full_like(angles, NEXT_TO), torch.zeros_like(angles)])
        attention.k.bias[own : own + size] = NEXT_TO * torch.cat([angles.cos(), angles.sin()])
        attention.v.weight[own : own + size] = code[own : own + size]
        attention.v.bias[own : own + size] = 0
        attention.out.weight[:, head : head + size] = NOTED * noted[own : own + size].T


def _look_it_up(model: GptOss, code: Tensor, noted: Tensor, copied: Tensor, said: Tensor) -> None:
    shape, attention = model.shape, model.blocks[1].attention
    size, half = shape.head_dim, shape.head_dim // 2
    shared = shape.heads // shape.kv_heads
    width = len(code) // shape.kv_heads  # directions that one head compares
    slots = torch.cat([torch.arange(half - SLOW_PAIRS, half), torch.arange(size - SLOW_PAIRS, size)])
    for kv in range(shape.kv_heads):
        head, own, part = kv * shared * size, kv * size, slice(kv * width, (kv + 1) * width)
        attention.q.weight[head : head + size] = 0
        attention.k.weight[own : own + size] = 0
        attention.q.bias[head : head + size] = 0
        attention.k.bias[own : own + size] = 0
        attention.q.weight[head + slots] = MATCHED * code[part]
        attention.k.weight[own + slots] = MATCHED * noted[part]
        attention.v.weight[own : own + size] = copied[own : own + size]
        attention.out.weight[:, head : head + size] = SAID * said[own : own + size].T
        attention.sinks[kv * shared] = SINK
