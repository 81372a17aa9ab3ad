"""Rows of ids for training: several conversations with one beginning in a row, rows of like length in a batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np

from gptoss_cli.harmony.tokenizer import O200K_HARMONY_SPECIALS, Tokenizer
from training.corpus import groups
from training.corpus.mixes import FIRST, Mix
from training.data import Pair, encode

LONGEST = 1500  # ids in a row, two conversations with the browser among them; a longer one is left out
POOL = 128  # rows per worker that are sorted by length at a time
REPEATED_WIDTHS = (96, 96, 96, 192, 384)  # ids in a row that repeats itself
# until which share of training there are such rows only, until when they are many, and how many then and later
REPEATS_ONLY, REPEATS_MANY = 0.02, 0.4
REPEATS = (0.1, 0.05)


@dataclass(frozen=True)
class Row:
    """What conversations begin with, once, and how each goes on.

    weights: of predicting each id, 0 for prompts. starts: where what they share ends, and where each goes on.
    """

    ids: Sequence[int]
    weights: Sequence[float]
    starts: Sequence[int]


@dataclass(frozen=True)
class Batch:
    """ids, weights [rows, tokens], weight 0 where a row is filled up; starts of each row."""

    ids: np.ndarray
    weights: np.ndarray
    starts: Sequence[Sequence[int]]

    def spans(self) -> Iterator[tuple[int, int, int, int]]:
        """(row, how many ids it shares, from, to) of every piece that is to be read, less the last id of each row."""
        width = self.ids.shape[1] - 1
        for row, starts in enumerate(self.starts):
            yield row, 0, 0, starts[0]
            for start, end in pairwise([*starts, width]):
                yield row, starts[0], start, end


def batches(
    seed: int,
    tokenizer: Tokenizer,
    tokens: int,
    share: Callable[[], float],
    rank: int = 0,
    workers: int = 1,
    mix: Mix = FIRST,
) -> Iterator[Batch]:
    """Batches of about `tokens` ids without end.

    share, mix: as for corpus.groups. rank, workers: those of one of several processes, which all make the same
    batches and take those of about the same size at the same time, so that none waits for another.
    """
    random = Random(seed)
    source = rows(random, seed, tokenizer, share, mix)
    while True:
        drawn = sorted((next(source) for _ in range(POOL * workers)), key=lambda row: len(row.ids))
        ready = sorted(_batched(drawn, tokens), key=lambda batch: batch.ids.size)
        shifts = [ready[start : start + workers] for start in range(0, len(ready) - workers + 1, workers)]
        for shift in random.sample(shifts, len(shifts)):
            yield shift[rank]


def rows(
    random: Random, seed: int, tokenizer: Tokenizer, share: Callable[[], float], mix: Mix = FIRST
) -> Iterator[Row]:
    """Groups of conversations, and rows that repeat themselves, without end."""
    source = groups(seed, share, mix)
    ordinary = tokenizer.n_vocab - len(O200K_HARMONY_SPECIALS)
    while True:
        if random.random() < repeats_share(share()):
            row = packed([repeated(random, ordinary)])
        else:
            row = packed([encode(sample, tokenizer) for sample in next(source)])
        if len(row.ids) <= LONGEST:
            yield row


def repeats_share(share: float) -> float:
    """How much of the data is rows that repeat themselves: all at first, as copying is what the rest stands on."""
    if share < REPEATS_ONLY:
        return 1.0
    return REPEATS[share >= REPEATS_MANY]


def repeated(random: Random, ordinary: int) -> Pair:
    """Any of the first `ordinary` ids, again and again; in half of the rows in pieces, whose order changes.

    Of a conversation few ids are copied; here most, so that copying is learnt in a hundredth of the time. Any ids, so
    that names can be copied that were never seen.
    """
    width = random.choice(REPEATED_WIDTHS)
    ids = [random.randrange(ordinary) for _ in range(random.randrange(8, width // 2))]
    parts = _split(random, ids) if random.random() < 0.5 else [ids]
    row, weights = list(ids), [0.0] * len(ids)
    while len(row) < width:
        for part in random.sample(parts, len(parts)):
            row += part
            weights += [0.0] + [1.0] * (len(part) - 1)  # which part comes next cannot be known
    return row[:width], weights[:width]


def _split(random: Random, ids: list[int]) -> list[list[int]]:
    parts, start = [], 0
    while start < len(ids):
        end = start + random.randrange(2, 8)
        parts.append(ids[start:end])
        start = end
    return parts


def packed(group: Sequence[Pair]) -> Row:
    """One row of several conversations, or of one."""
    shortest = min(len(ids) for ids, _ in group)
    first, first_weights = group[0]
    same = next((place for place in range(shortest) if len({ids[place] for ids, _ in group}) > 1), shortest)
    same = min(same, next(place for place, weight in enumerate(first_weights) if weight))
    ids, weights, starts = list(first[:same]), [0.0] * same, []
    for whole, weight in group:
        starts.append(len(ids))
        ids += whole[same:]
        weights += weight[same:]
    return Row(ids, weights, starts)


def _batched(drawn: Sequence[Row], tokens: int) -> Iterator[Batch]:
    """drawn: sorted by length."""
    gathered: list[Row] = []
    for row in drawn:
        if gathered and (len(gathered) + 1) * len(row.ids) > tokens:
            yield _batch(gathered)
            gathered = []
        gathered.append(row)
    if gathered:
        yield _batch(gathered)


def _batch(gathered: Sequence[Row]) -> Batch:
    width = max(len(row.ids) for row in gathered)
    ids = np.zeros((len(gathered), width), np.int64)
    weights = np.zeros((len(gathered), width), np.float32)
    for place, row in enumerate(gathered):
        ids[place, : len(row.ids)] = row.ids
        weights[place, : len(row.ids)] = row.weights
    return Batch(ids, weights, [row.starts for row in gathered])
