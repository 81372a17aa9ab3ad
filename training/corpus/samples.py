"""Whole conversations out of intents, analyses and forms."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from gptoss_cli.messages import (
    Channel,
    Conversation,
    DeveloperContent,
    Effort,
    Message,
    Role,
    SystemContent,
    user,
)
from training.corpus import forms
from training.corpus.analyses import analysis, cut
from training.corpus.intents import Intent, intents
from training.corpus.wordings import filled

EFFORTS = (Effort.LOW, Effort.MEDIUM, Effort.HIGH)


@dataclass(frozen=True)
class Sample:
    """A conversation whose messages from `reply_from` on are the reply to learn.

    forced: the analysis was emptied (`--reasoning off`) or cut (`--max-thinking`), and the answer's header put there:
    only the answer itself is the model's own.
    """

    kind: str
    language: str
    effort: Effort
    conversation: Conversation
    reply_from: int
    intent: Intent | None = None
    forced: bool = False


def samples(seed: int) -> Iterator[Sample]:
    """Training conversations without end."""
    random = Random(seed)
    pool = [intent for intent in intents() for _ in range(3 if intent.name == "unknown" else 1)]
    while True:
        if random.random() < 0.08:
            yield _weather(random, random.choice(("English", "Chinese")), held_out=False)
        else:
            intent = random.choice(pool)
            kind = random.choices(("plain", "document", "turns"), (0.74, 0.12, 0.14))[0]
            force = random.choices(("", "off", "cut"), (0.80, 0.14, 0.06))[0]
            yield _sample(random, intent, _asked(random, intent), kind, force, random.choice(EFFORTS))


def held_out(seed: int) -> Iterator[Sample]:
    """Prompts with the wordings that training never sees: each once as it is, and two per intent in other forms."""
    random = Random(seed)
    for intent in intents():
        mark = "？" if intent.language == "Chinese" else "?"
        for number, wording in enumerate(intent.held_out):
            text = filled(random, wording, intent.language, held_out=True) + random.choice(("", mark))
            yield _sample(random, intent, text, "plain", "", EFFORTS[number % 3])
        for kind, force in random.sample(OTHER_FORMS, 2):
            text = filled(random, random.choice(intent.held_out), intent.language, held_out=True)
            yield _sample(random, intent, text, kind, force, random.choice(EFFORTS))
    for language in ("English", "Chinese"):
        for _ in range(20):
            yield _weather(random, language, held_out=True)


OTHER_FORMS = (("document", ""), ("turns", ""), ("plain", "off"), ("plain", "cut"))


def _asked(random: Random, intent: Intent) -> str:
    """One of the training wordings, dressed; those put together from phrases are many, and come up as often in all."""
    source = intent.composed if intent.composed and random.random() < 0.5 else intent.wordings
    return forms.dressed(random, filled(random, random.choice(source), intent.language), intent.language)


def _sample(random: Random, intent: Intent, wording: str, kind: str, force: str, effort: Effort) -> Sample:
    if force == "off":
        effort = Effort.OFF
    messages = _opening(random, effort, functions=random.random() < 0.05)
    if kind == "turns":
        for _ in range(random.choice((1, 1, 2))):
            earlier = random.choice([each for each in intents() if each.language == intent.language])
            messages += [user(_asked(random, earlier)), *_reply(random, earlier, Effort.LOW, "")]
    text = forms.with_document(random, wording) if kind == "document" else wording
    messages.append(user(text))
    reply_from = len(messages)
    messages += _reply(random, intent, effort, force)
    name = force or kind
    return Sample(
        name, intent.language, effort, Conversation(tuple(messages)), reply_from, intent, forced=force in ("off", "cut")
    )


def _opening(random: Random, effort: Effort, functions: bool = False) -> list[Message]:
    messages = [Message(Role.SYSTEM, (SystemContent(date=forms.date(random), effort=effort),))]
    instructions = random.choice(forms.INSTRUCTIONS) if random.random() < 0.2 else None
    if instructions or functions:
        tools = (forms.FUNCTIONS,) if functions else ()
        messages.append(Message(Role.DEVELOPER, (DeveloperContent(instructions, tools),)))
    return messages


def _reply(random: Random, intent: Intent, effort: Effort, force: str) -> list[Message]:
    thought = "" if force == "off" else analysis(random, effort, intent.language, intent.topic)
    if force == "cut":
        thought = cut(random, thought)
    return [
        Message(Role.ASSISTANT, (thought,), Channel.ANALYSIS),
        Message(Role.ASSISTANT, (intent.answer,), Channel.FINAL),
    ]


def _weather(random: Random, language: str, *, held_out: bool) -> Sample:
    """A call of the one function, or the answer after its result."""
    effort = random.choice(EFFORTS)
    city = random.choice(forms.CITIES[language])
    question = random.choice(forms.WEATHER[language][held_out]).format(city)
    messages = _opening(random, effort, functions=True)
    messages.append(user(question if held_out else forms.dressed(random, question, language)))
    call = [
        Message(Role.ASSISTANT, (analysis(random, effort, language, f"weather in {city}"),), Channel.ANALYSIS),
        Message(
            Role.ASSISTANT,
            (json.dumps({"city": city}, ensure_ascii=False),),
            Channel.COMMENTARY,
            recipient="functions.get_weather",
            content_type="<|constrain|>json",
        ),
    ]
    if random.random() < 0.6:
        return Sample("call", language, effort, Conversation((*messages, *call)), len(messages))
    sky = random.choice(tuple(forms.SKIES[language]))
    result = Message(
        Role.TOOL,
        (json.dumps({"sky": sky}),),
        Channel.COMMENTARY,
        name="functions.get_weather",
        recipient="assistant",
    )
    messages += [*call, result]
    said = forms.SKIES[language][sky]
    answer = f"It is {said} in {city}." if language == "English" else f"{city}現在{said}。"
    reply = [
        Message(Role.ASSISTANT, (f"The result says {sky} in {city}.",), Channel.ANALYSIS),
        Message(Role.ASSISTANT, (answer,), Channel.FINAL),
    ]
    return Sample("result", language, effort, Conversation((*messages, *reply)), len(messages))
