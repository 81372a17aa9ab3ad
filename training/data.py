"""Samples as ids and weights, in batches of rows of like length. Rendered exactly as inference renders."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import numpy as np

from gptoss_cli.harmony.render import render
from gptoss_cli.harmony.tokenizer import O200K_HARMONY_SPECIALS, Tokenizer
from gptoss_cli.messages import Channel, Conversation, Role
from training import bpe
from training.corpus import Sample, samples

LONGEST = 448  # ids; a longer conversation is left out


@dataclass(frozen=True)
class Batch:
    """ids [rows, tokens]; weights of predicting each id, 0 for prompts and padding."""

    ids: np.ndarray
    weights: np.ndarray


def tokenizer(size: int, seed: int) -> tuple[Tokenizer, list[bytes]]:
    """A vocabulary of at most `size` ids learnt from the corpus, the control tokens last; and its ordinary tokens."""
    texts: list[str] = []
    for sample in islice(samples(seed), 6000):
        for message in sample.conversation.messages:
            texts += [message.text] if message.text else []
    texts += SYSTEM_WORDS * 500
    pieces = bpe.learn(texts, size - len(O200K_HARMONY_SPECIALS))
    specials = {text: len(pieces) + place for place, text in enumerate(O200K_HARMONY_SPECIALS)}
    return Tokenizer(pieces, specials), pieces


# what render puts around the corpus: the system message, headers, tools
SYSTEM_WORDS = [
    "You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\nCurrent date: ",
    "\n\nReasoning: low\n\nReasoning: medium\n\nReasoning: high",
    "\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message.",
    "\nCalls to these tools must go to the commentary channel: 'functions'.",
    "# Instructions\n\n",
    "# Tools\n\n## functions\n\nnamespace functions {\n\n// Gets the weather of a city.\ntype get_weather = (_: {\n",
    "city: string,\n}) => any;\n\n} // namespace functions",
    "system",
    "developer",
    "user",
    "assistant",
    "analysis",
    "commentary",
    "final",
    "functions.get_weather",
    " to=functions.get_weather",
    " to=assistant",
    "json",
]


def encode(sample: Sample, tokenizer: Tokenizer) -> tuple[list[int], list[float]]:
    """The ids of a sample and the weight of each: 1 on what the model itself writes."""
    messages = sample.conversation.messages
    prompt = list(render(Conversation(messages[: sample.reply_from]), tokenizer).tokens)
    reply = _reply_ids(messages[sample.reply_from :], tokenizer)
    first = reply.index(tokenizer.special.end) + 1 if sample.forced else 0
    if sample.forced:
        first += reply[first:].index(tokenizer.special.message) + 1
    return prompt + reply, [0.0] * (len(prompt) + first) + [1.0] * (len(reply) - first)


def _reply_ids(messages: tuple, tokenizer: Tokenizer) -> list[int]:
    ids = list(render(Conversation(messages), tokenizer, next_role=None, keep_analysis=True).tokens)
    opened = 1 + len(tokenizer.encode(Role.ASSISTANT))  # the prompt ends with it
    if messages[-1].channel is Channel.FINAL:
        ids[-1] = tokenizer.special.return_
    return ids[opened:]


def batches(seed: int, tokenizer: Tokenizer, tokens: int) -> Iterator[Batch]:
    """Batches of about `tokens` ids without end; rows of one batch have about the same length."""
    random = Random(seed)
    source = samples(seed)
    while True:
        encoded = sorted(
            (pair for sample in islice(source, 256) if len((pair := encode(sample, tokenizer))[0]) <= LONGEST),
            key=lambda pair: len(pair[0]),
        )
        yield from random.sample(ready := list(_rows(encoded, tokens)), len(ready))


def _rows(encoded: list[tuple[list[int], list[float]]], tokens: int) -> Iterator[Batch]:
    rows: list[tuple[list[int], list[float]]] = []
    for pair in encoded:
        if rows and (len(rows) + 1) * len(pair[0]) > tokens:
            yield _padded(rows)
            rows = []
        rows.append(pair)
    if rows:
        yield _padded(rows)


def _padded(rows: list[tuple[list[int], list[float]]]) -> Batch:
    width = max(len(ids) for ids, _ in rows)
    ids = np.zeros((len(rows), width), np.int64)
    weights = np.zeros((len(rows), width), np.float32)
    for place, (row, weight) in enumerate(rows):
        ids[place, : len(row)] = row
        weights[place, : len(row)] = weight
    return Batch(ids, weights)
