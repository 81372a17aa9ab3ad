"""Questions to the guide, as people type them, and its answers."""

from random import Random

from gptoss_cli.messages import Message, user
from training.corpus import forms
from training.corpus.dialog import final
from training.corpus.intents import Intent, intents
from training.corpus.wordings import filled


def of(language: str) -> list[Intent]:
    return [each for each in intents() if each.language == language]


def named(name: str, language: str) -> Intent:
    return next(each for each in of(language) if each.name == name)


def asked(random: Random, intent: Intent, *, held_out: bool) -> str:
    """A wording, dressed; in training those put together from phrases are many, and come up as often in all."""
    if held_out:
        return filled(random, random.choice(intent.held_out), intent.language, held_out=True)
    source = intent.composed if intent.composed and random.random() < 0.5 else intent.wordings
    return forms.dressed(random, filled(random, random.choice(source), intent.language), intent.language)


def small_turns(random: Random, language: str, count: int) -> list[Message]:
    """Earlier turns about anything, as history has them: without thoughts."""
    messages: list[Message] = []
    for _ in range(count):
        intent = random.choice(of(language))
        messages += [user(asked(random, intent, held_out=False)), final(intent.answer)]
    return messages
