"""Random and mutated replies: no exception, nothing lost, nothing twice, no half character."""

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from harmony_cases import TOOLS, cases

from gptoss_cli.harmony.parser import Parser
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Delta, Message


def check(tokenizer: Tokenizer, ids: list[int]) -> None:
    """The properties of any reply."""
    parser = Parser(tokenizer, TOOLS)
    events = [event for id in ids for event in parser.feed(id)] + parser.close()
    messages = [event for event in events if isinstance(event, Message)]
    seen = [id for message in messages for id in message.tokens]
    places = Counter(seen) + Counter(id for note in parser.diagnostics for id in note.tokens)
    texts = Counter(id for id in ids if tokenizer.is_text(id))
    placed = Counter({id: count for id, count in places.items() if tokenizer.is_text(id)})
    # the word that the prompt opened belongs to the first message, if there is one that uses it
    assert placed in (texts, texts + Counter(tokenizer.encode("assistant"))), ids
    streamed = "".join(event.text for event in events if isinstance(event, Delta))
    assert streamed == "".join(message.text for message in messages), ids
    assert parser.stop is not None
    assert all(delta.text for delta in events if isinstance(delta, Delta))


def uniform(random: Random, tokenizer: Tokenizer) -> list[int]:
    """Any ids, control tokens a third of them, some that do not exist."""
    specials = [*tokenizer.specials.values(), tokenizer.n_vocab, -1, tokenizer.n_vocab + 1000]
    return [
        random.choice(specials) if random.random() < 0.33 else random.randrange(tokenizer.n_vocab)
        for _ in range(random.randrange(1, 24))
    ]


def mutated(random: Random, tokenizer: Tokenizer, replies: list[list[int]]) -> list[int]:
    """A real reply with some ids dropped, doubled, exchanged or replaced, or two replies run together."""
    ids = list(random.choice(replies))
    for _ in range(random.randrange(1, 5)):
        place = random.randrange(len(ids))
        match random.randrange(5):
            case 0 if len(ids) > 1:
                del ids[place]
            case 1:
                ids.insert(place, ids[random.randrange(len(ids))])
            case 2:
                other = random.randrange(len(ids))
                ids[place], ids[other] = ids[other], ids[place]
            case 3:
                ids[place] = random.choice(uniform(random, tokenizer))
            case _:
                ids[place:] = random.choice(replies)
    return ids


def sequences(seed: int, count: int, tokenizer: Tokenizer) -> Iterator[list[int]]:
    random = Random(seed)
    replies = [case["tokens"] for case in cases("parse")]
    for number in range(count):
        yield uniform(random, tokenizer) if number % 2 else mutated(random, tokenizer, replies)


def test_random_and_mutated_replies(o200k: Tokenizer) -> None:
    for ids in sequences(1, 8_000, o200k):
        check(o200k, ids)


@pytest.mark.soak
def test_100_000_random_and_mutated_replies(o200k: Tokenizer) -> None:
    for ids in sequences(2, 100_000, o200k):
        check(o200k, ids)


def test_real_replies_cut_at_every_token(o200k: Tokenizer) -> None:
    for case in cases("parse"):
        for length in range(len(case["tokens"]) + 1):
            check(o200k, case["tokens"][:length])


def test_random_replies_in_a_small_vocabulary(tiny_tokenizer: Tokenizer) -> None:
    random = Random(3)
    for _ in range(3_000):
        check(tiny_tokenizer, uniform(random, tiny_tokenizer))
