"""The vocabulary, and samples as ids and weights, rendered exactly as inference renders."""

import re
from itertools import islice

from gptoss_cli.harmony import schema
from gptoss_cli.harmony.render import render
from gptoss_cli.harmony.tokenizer import O200K_HARMONY_SPECIALS, Tokenizer
from gptoss_cli.messages import Channel, Conversation, Effort, Message, Role
from training import bpe
from training.corpus import Sample, groups
from training.corpus.catalogue import FUNCTIONS

Pair = tuple[list[int], list[float]]  # ids and their weights

THOUGHTS_COUNT = 0.5  # against 1 for headers, calls and answers: thoughts are easy, and many
DECISION_COUNTS = 3.0  # in them: topic, form, language, which the answer hangs on
UNTHOUGHT_COUNTS = 2.0  # an answer without thoughts (`--reasoning off`): it has to find the topic itself
AFTER = len(". T")  # the word that tells whether more is decided
DECISION = re.compile(r"(?<=The topic is )[^.,]*(?=\.)| The form is [^.]*| The answer is to be in \w+")


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
    if sample.effort is Effort.OFF:
        weights = [weight * UNTHOUGHT_COUNTS for weight in weights]
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
    spans = [(_bytes(text, found.start()), _bytes(text, found.end() + AFTER)) for found in DECISION.finditer(text)]
    weights, place = [], 0
    for id in ids:
        after = place + len(tokenizer.piece(id))
        decides = any(begin < after and place < end for begin, end in spans)
        weights.append(DECISION_COUNTS if decides else THOUGHTS_COUNT)
        place = after
    return weights


def _bytes(text: str, place: int) -> int:
    """How many bytes come before the character at `place`."""
    return len(text[:place].encode())
