"""Samples as ids and weights, in batches of rows of like length. Rendered exactly as inference renders."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import numpy as np

from gptoss_cli.harmony import schema
from gptoss_cli.harmony.render import render
from gptoss_cli.harmony.tokenizer import O200K_HARMONY_SPECIALS, Tokenizer
from gptoss_cli.messages import Channel, Conversation, Message, Role
from training import bpe
from training.corpus import Sample, groups
from training.corpus.catalogue import FUNCTIONS

Pair = tuple[list[int], list[float]]  # ids and their weights

LONGEST = 640  # ids; a longer conversation is left out, unless it is one of a group
REPEATED_WIDTHS = (96, 96, 96, 192, 384)  # ids in a row that repeats itself
# until which share of training there are such rows only, until when they are many, and how many then and later
REPEATS_ONLY, REPEATS_MANY = 0.02, 0.4
REPEATS = (0.1, 0.03)
POOL = 256  # groups that are sorted by length at a time
THOUGHTS_COUNT = 0.5  # against 1 for headers, calls and answers: thoughts are easy, and many
TOPIC_COUNTS = 3.0  # in them: what the answer hangs on
TOPIC = re.compile(r"The topic is ([^.]*)\.")


@dataclass(frozen=True)
class Batch:
    """ids [rows, tokens]; weights of predicting each id, 0 for prompts and padding.

    branches [tokens], of a group: 0 for the messages they share, then 1, 2, … per conversation. positions [tokens], of
    a group: each conversation goes on after the shared messages.
    """

    ids: np.ndarray
    weights: np.ndarray
    branches: np.ndarray | None = None
    positions: np.ndarray | None = None


def vocabulary(size: int, seed: int) -> list[bytes]:
    """Ordinary tokens learnt from the corpus, so many that there are at most `size` with the control tokens."""
    texts: list[str] = []
    for group in islice(groups(seed, lambda: 0.5), 8000):
        for sample in group:
            texts += [message.text for message in sample.conversation.messages if message.text]
    texts += SYSTEM_WORDS * 500
    return bpe.learn(texts, size - len(O200K_HARMONY_SPECIALS))


def tokenizer(pieces: list[bytes]) -> Tokenizer:
    """Of ordinary tokens, the control tokens after them."""
    return Tokenizer(pieces, {text: len(pieces) + place for place, text in enumerate(O200K_HARMONY_SPECIALS)})


# what render puts around the corpus: the system message, headers, tools
SYSTEM_WORDS = [
    "You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\nCurrent date: ",
    "\n\nReasoning: low\n\nReasoning: medium\n\nReasoning: high",
    "\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message.",
    "\nCalls to these tools must go to the commentary channel: 'functions'.",
    "# Instructions\n\n",
    "# Tools\n\n## functions\n\nnamespace functions {\n\n",
    "}) => any;\n\n} // namespace functions",
    *(schema.tool(function.spec) for function in FUNCTIONS),
    schema.namespace(schema.BROWSER),
    schema.namespace(schema.PYTHON),
    "# Response Formats\n\n## person\n\n",
    '{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},"price":{"type":"number"},',
    '"open":{"type":"boolean"},"dishes":{"type":"array","items":{"type":"string"}}},"required":["name"],',
    '"additionalProperties":false}',
    "system",
    "developer",
    "user",
    "assistant",
    "analysis",
    "commentary",
    "final",
    " to=functions.get_weather",
    " to=python code",
    " to=browser.search code",
    " to=browser.open code",
    " to=assistant",
    "json",
]


def encode(sample: Sample, tokenizer: Tokenizer) -> tuple[list[int], list[float]]:
    """The ids of a sample and the weight of each: more than 0 on what the model itself writes."""
    messages = sample.conversation.messages
    ids = list(render(Conversation(messages[: sample.reply_from]), tokenizer).tokens)
    weights = [0.0] * len(ids)
    opened = True  # whether the prompt has written <|start|>assistant
    for message in messages[sample.reply_from :]:
        more, weight = _weighed(message, tokenizer)
        skipped = 1 + len(tokenizer.encode(Role.ASSISTANT)) if opened else 0
        if message.role is Role.TOOL:
            ids += [*more, *_opening(tokenizer)]
            weights += [0.0] * (len(more) + len(_opening(tokenizer)))
        else:
            ids += more[skipped:]
            weights += weight[skipped:]
        opened = message.role is Role.TOOL
    if messages[-1].channel is Channel.FINAL:
        ids[-1] = tokenizer.special.return_
    if sample.forced:  # all but what follows the last header
        last = max(place for place, id in enumerate(ids) if id == tokenizer.special.message)
        weights[: last + 1] = [0.0] * (last + 1)
    return ids, weights


def _opening(tokenizer: Tokenizer) -> list[int]:
    return [tokenizer.special.start, *tokenizer.encode(Role.ASSISTANT)]


def _weighed(message: Message, tokenizer: Tokenizer) -> tuple[list[int], list[float]]:
    """One message of a reply, with its header, and weights of its ids."""
    ids = list(render(Conversation((message,)), tokenizer, next_role=None, keep_analysis=True).tokens)
    weights = [1.0] * len(ids)
    if message.channel is Channel.ANALYSIS and message.recipient is None:
        start = ids.index(tokenizer.special.message) + 1
        weights[start:-1] = _of_thought(message.text, ids[start:-1], tokenizer)
    return ids, weights


def _of_thought(text: str, ids: list[int], tokenizer: Tokenizer) -> list[float]:
    """The weight of each id of a thought."""
    found = TOPIC.search(text)
    begin, end = (len(text[:place].encode()) for place in found.span(1)) if found else (0, 0)
    weights, place = [], 0
    for id in ids:
        after = place + len(tokenizer.piece(id))
        weights.append(TOPIC_COUNTS if begin < after and place < end else THOUGHTS_COUNT)
        place = after
    return weights


def batches(
    seed: int, tokenizer: Tokenizer, tokens: int, share: Callable[[], float], rank: int = 0, workers: int = 1
) -> Iterator[Batch]:
    """Batches of about `tokens` ids without end: rows of about the same length, or one group of conversations.

    share: how much of the training is over. rank, workers: those of one of several processes, which all make the same
    batches and take those of about the same size at the same time, so that none waits for another.
    """
    random = Random(seed)
    source = groups(seed, share)
    ordinary = tokenizer.n_vocab - len(O200K_HARMONY_SPECIALS)
    while True:
        encoded = [
            [repeated(random, ordinary)]
            if random.random() < repeats_share(share())
            else [encode(sample, tokenizer) for sample in next(source)]
            for _ in range(POOL * workers)
        ]
        single = sorted(
            (group[0] for group in encoded if len(group) == 1 and len(group[0][0]) <= LONGEST),
            key=lambda pair: len(pair[0]),
        )
        ready = [*_rows(single, tokens), *(packed(group) for group in encoded if len(group) > 1)]
        ready.sort(key=lambda batch: batch.ids.size)
        shifts = [ready[start : start + workers] for start in range(0, len(ready) - workers + 1, workers)]
        for shift in random.sample(shifts, len(shifts)):
            yield shift[rank]


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


def _rows(encoded: list[Pair], tokens: int) -> Iterator[Batch]:
    rows: list[Pair] = []
    for pair in encoded:
        if rows and (len(rows) + 1) * len(pair[0]) > tokens:
            yield _padded(rows)
            rows = []
        rows.append(pair)
    if rows:
        yield _padded(rows)


def _padded(rows: list[Pair]) -> Batch:
    width = max(len(ids) for ids, _ in rows)
    ids = np.zeros((len(rows), width), np.int64)
    weights = np.zeros((len(rows), width), np.float32)
    for place, (row, weight) in enumerate(rows):
        ids[place, : len(row)] = row
        weights[place, : len(row)] = weight
    return Batch(ids, weights)


def packed(group: list[Pair]) -> Batch:
    """One row: what all begin with, once, and then how each goes on."""
    shortest = min(len(ids) for ids, _ in group)
    first = group[0][0]
    same = next((place for place in range(shortest) if len({ids[place] for ids, _ in group}) > 1), shortest)
    same = min(same, next(place for place, weight in enumerate(group[0][1]) if weight))
    ids, weights = first[:same], [0.0] * same
    branches, positions = [0] * same, list(range(same))
    for number, (whole, weight) in enumerate(group, start=1):
        ids += whole[same:]
        weights += weight[same:]
        branches += [number] * (len(whole) - same)
        positions += range(same, len(whole))
    return Batch(
        np.array([ids], np.int64), np.array([weights], np.float32), np.array(branches), np.array(positions, np.int64)
    )
