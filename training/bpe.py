"""Byte-level byte-pair encoding: a vocabulary learnt from texts, in merge order, for gpt-oss's pre-tokenizer."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable

import regex

from gptoss_cli.harmony.tokenizer import PATTERN

Pair = tuple[int, int]


def learn(texts: Iterable[str], size: int) -> list[bytes]:
    """`size` tokens: the 256 bytes, then one per merge, the most frequent pair first (Sennrich et al. 2016).

    A token's place is its rank, so tiktoken and llama.cpp merge in the order in which they were learnt.
    """
    words = Counter(part.encode() for text in texts for piece in regex.findall(PATTERN, text) for part in _parts(piece))
    tokens = [bytes([byte]) for byte in range(256)]
    known = set(tokens)
    sequences = [(list(word), count) for word, count in words.items()]
    counts, places = _count(sequences)
    while len(tokens) < size and counts:
        pair = max(counts, key=lambda pair: (counts[pair], -pair[0], -pair[1]))
        if counts[pair] < 2:
            break
        merged = tokens[pair[0]] + tokens[pair[1]]
        if merged in known or not _short(merged):  # known along another way: a second id would never be used
            counts[pair] = 0
            continue
        known.add(merged)
        tokens.append(merged)
        _merge(pair, len(tokens) - 1, sequences, counts, places)
    return tokens


def _parts(piece: str) -> list[str]:
    """A piece without the mark or blank before its word, unless a lower-case word follows a blank.

    So a name is the same tokens in a sentence, after a quote and at the start of a line, and can be copied from one to
    the other.
    """
    found = regex.match(r"[^\p{L}\p{N}](?=\p{L})", piece)
    if not found or regex.match(r" \p{Ll}", piece):
        return [piece]
    return [found[0], piece[found.end() :]]


def _short(token: bytes) -> bool:
    """At most two Chinese characters: whole phrases as tokens would not be met again in other wordings."""
    return token.isascii() or len(token) <= 6


def merges(tokens: list[bytes]) -> list[tuple[bytes, bytes]]:
    """The two tokens that each token after the bytes was merged from: the last pair left when it is encoded."""
    ranks = {token: rank for rank, token in enumerate(tokens)}
    return [_halves(token, ranks) for token in tokens[256:]]


def _halves(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(parts[place] + parts[place + 1], len(ranks)) for place in range(len(parts) - 1)]
        place = pairs.index(min(pairs))
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts[0], parts[1]


def _count(sequences: list[tuple[list[int], int]]) -> tuple[Counter[Pair], dict[Pair, set[int]]]:
    counts: Counter[Pair] = Counter()
    places: dict[Pair, set[int]] = defaultdict(set)
    for index, (ids, count) in enumerate(sequences):
        for pair in itertools.pairwise(ids):
            counts[pair] += count
            places[pair].add(index)
    return counts, places


def _merge(
    pair: Pair, id: int, sequences: list[tuple[list[int], int]], counts: Counter[Pair], places: dict[Pair, set[int]]
) -> None:
    for index in places.pop(pair, set()):
        ids, count = sequences[index]
        for old in itertools.pairwise(ids):
            counts[old] -= count
        merged: list[int] = []
        for each in ids:
            if merged and (merged[-1], each) == pair and each is not None:
                merged[-1] = id
            else:
                merged.append(each)
        ids[:] = merged
        for new in itertools.pairwise(ids):
            counts[new] += count
            places[new].add(index)
    counts.pop(pair, None)
