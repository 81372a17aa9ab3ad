"""Functions of the user's: the right one of those offered, with the right arguments, and its result in the answer."""

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from gptoss_cli.messages import Conversation, Effort, Message, user
from training.corpus import asking, forms, values
from training.corpus.analyses import analysis
from training.corpus.catalogue import FUNCTIONS, SKIES_SAID, Function
from training.corpus.dialog import (
    EFFORTS,
    LANGUAGES,
    Sample,
    call,
    developer,
    final,
    result,
    system,
    thought,
)

RENAMED = 0.35  # how many of the functions have other names for their arguments, and of the results for their fields
OTHER_NAMES = (
    *("place", "town", "location", "product", "item", "song", "thing", "person", "who", "recipient", "message", "body"),
    *("query", "what", "value", "subject", "content", "key", "label", "origin", "target", "length", "number", "user"),
)


def offered(random: Random, count: int, *including: Function) -> tuple[Function, ...]:
    """So many functions in any order, these among them."""
    others = random.sample([each for each in FUNCTIONS if each not in including], count - len(including))
    return tuple(random.sample([*including, *others], count))


def group(random: Random, count: int, *, held_out: bool) -> list[Sample]:
    """Questions below the same tools, most of which one of them answers; call, result and answer are one reply."""
    effort = random.choice(EFFORTS)
    tools = offered(random, random.choice((1, 2, 3)))
    names = {tool.name: {} if held_out else _other_names(random, tool) for tool in tools}
    head = [system(random, effort), developer(None, tuple(tool.named(names[tool.name]) for tool in tools))]
    samples = []
    for _ in range(count):
        if held_out or random.random() < 0.85:
            tool = random.choice(tools)
            samples.append(_called(random, head, effort, tool, names[tool.name], held_out))
        else:
            samples.append(_not_needed(random, head, effort))
    return samples


def _other_names(random: Random, tool: Function) -> dict[str, str]:
    """For a third of the functions: what its arguments are called has to be read where the tool is described."""
    if random.random() > RENAMED:
        return {}
    other = random.sample(OTHER_NAMES, len(tool.arguments))
    return {name: each for name, each in zip(tool.arguments, other, strict=True) if each not in tool.arguments}


def _called(
    random: Random,
    head: Sequence[Message],
    effort: Effort,
    function: Function,
    names: Mapping[str, str],
    held_out: bool,
) -> Sample:
    language = random.choice(LANGUAGES)
    arguments = {name: _drawn(random, pool, language, held_out) for name, pool in function.arguments.items()}
    wording = random.choice(function.asked[language][held_out])
    if not held_out and "text" not in arguments and wording[0] != "{":  # a mark after a text would be part of it
        wording = forms.dressed(random, wording, language)
    made = call(function.name, {names.get(name, name): value for name, value in arguments.items()})
    given = function.gives(random)
    said = given | ({"sky": SKIES_SAID[language][given["sky"]]} if "sky" in given else {})
    says = function.says[language].format(**arguments, **said)
    reply = [
        thought(analysis(random, effort, language, f"{function.name.replace('_', ' ')}")),
        made,
        result(made, json.dumps(given if held_out else _otherwise(random, given))),
        thought("The result is there."),
        final(says),
    ]
    conversation = Conversation((*head, user(wording.format(**arguments)), *reply))
    return Sample("functions", language, effort, conversation, len(head) + 1, function.name)


def _otherwise(random: Random, given: Mapping[str, Any]) -> Any:
    """The result as other functions of the same kind give it: its field with another name, or the value alone."""
    if random.random() > RENAMED:
        return given
    (value,) = given.values()
    return random.choice(({random.choice(OTHER_NAMES): value}, value))


def _drawn(random: Random, pool: str, language: str, held_out: bool) -> str | int:
    if pool == "minutes":
        return values.number(random, held_out=held_out) % 100 or 5
    if pool == "nights":
        return random.choice((4, 7, 10) if held_out else (2, 3, 5, 6, 8, 9))
    return values.value(random, pool, language, held_out=held_out)


def _not_needed(random: Random, head: Sequence[Message], effort: Effort) -> Sample:
    language = random.choice(LANGUAGES)
    intent = random.choice(asking.of(language))
    messages = [*head, user(asking.asked(random, intent, held_out=False))]
    reply = [thought(analysis(random, effort, language, intent.topic)), final(intent.answer)]
    conversation = Conversation((*messages, *reply))
    return Sample("guide", language, effort, conversation, len(messages), "functions offered", intent.keywords)
