"""Copying, on its own: memory, arguments, results and quotes stand on it, so it is learnt first."""

from random import Random

from gptoss_cli.messages import Conversation, Effort, user
from training.corpus import values
from training.corpus.dialog import LANGUAGES, Sample, final, system, thought

SAY = {"English": ("say: {}", "repeat: {}", "repeat {}", 'say "{}"'), "Chinese": ("說：{}", "重複：{}", "請說「{}」")}
RECALL = {"English": ("what is {}", "{}?"), "Chinese": ("{}是什麼", "{}？")}


KINDS = ("name", "city", "color", "dish", "job", "song", "text")


def echo(random: Random) -> Sample:
    """Say a row of things again."""
    language = random.choice(LANGUAGES)
    text = " ".join(_thing(random, language) for _ in range(random.randrange(1, 7)))
    return _sample(random, language, random.choice(SAY[language]).format(text), text)


def recall(random: Random) -> Sample:
    """One of several pairs: what stands after a word."""
    language = random.choice(LANGUAGES)
    pairs = {_thing(random, language): _thing(random, language) for _ in range(random.randrange(2, 6))}
    listed = ", ".join(f"{key} = {value}" for key, value in pairs.items())
    key = random.choice(tuple(pairs))
    return _sample(random, language, f"{listed}. {random.choice(RECALL[language]).format(key)}", pairs[key])


def _thing(random: Random, language: str) -> str:
    if random.random() < 0.3:
        return str(values.number(random, held_out=False))
    return values.value(random, random.choice(KINDS), language, held_out=False)


def _sample(random: Random, language: str, question: str, says: str) -> Sample:
    messages = (system(random, Effort.LOW), user(question), thought("I repeat what is there."), final(says))
    return Sample("copying", language, Effort.LOW, Conversation(messages), 2)
