"""What training sees, mixed; and what the evaluation asks."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from gptoss_cli.messages import Channel, Conversation, Effort, Message, Role, SystemContent, user
from training.corpus import (
    arithmetic,
    asking,
    browsing,
    copying,
    forms,
    functions,
    instructions,
    memory,
    pages,
    presets,
    schemas,
    values,
)
from training.corpus.analyses import analysis, cut
from training.corpus.dialog import EFFORTS, LANGUAGES, Sample, developer, final, system, thought
from training.corpus.intents import Intent, intents
from training.corpus.mixes import FIRST, Mix
from training.corpus.wordings import filled

Group = list[Sample]  # samples that begin with the same messages
TOGETHER = 4  # samples that share their system message, which is a third of most of them


def groups(seed: int, share: Callable[[], float], mix: Mix = FIRST) -> Iterator[Group]:
    """Training conversations without end.

    share: how much of the training is over, from 0 to 1.
    """
    waiting: dict[Effort, Group] = {}  # of one level, so that they can share their system message
    for group in _groups(Random(seed), share, mix):
        if len(group) > 1:
            yield group
            continue
        together = waiting.setdefault(group[0].effort, [])
        together.append(_below(together[0].conversation.messages[0], group[0]) if together else group[0])
        if len(together) == TOGETHER:
            yield waiting.pop(group[0].effort)


def _groups(random: Random, share: Callable[[], float], mix: Mix) -> Iterator[Group]:
    makers, weights = [MAKERS[name] for name in mix.rest], list(mix.rest.values())
    while True:
        if random.random() < mix.copying_share(share()):
            yield [random.choice((copying.echo, copying.recall))(random)]
        elif random.random() < mix.guide_share(share()):
            yield _guide_group(random)
        else:
            yield random.choices(makers, weights)[0](random)


def _below(first: Message, sample: Sample) -> Sample:
    """The sample with another system message, that is with another date."""
    return replace(sample, conversation=Conversation((first, *sample.conversation.messages[1:])))


def held_out(seed: int, each: int = 120) -> Iterator[Sample]:
    """Prompts that training never sees: every wording of the guide once and two per intent in other forms; `each` of
    everything else."""
    random = Random(seed)
    for intent in intents():
        mark = "？" if intent.language == "Chinese" else "?"
        for number in range(len(intent.held_out)):
            text = filled(random, intent.held_out[number], intent.language, held_out=True)
            yield _guide(random, intent, text + random.choice(("", mark)), "alone", "", EFFORTS[number % 3])
        for kind, force in random.sample(OTHER_FORMS, 2):
            yield _guide(
                random, intent, asking.asked(random, intent, held_out=True), kind, force, random.choice(EFFORTS)
            )
    for make in (instructions.sample, memory.sample, pages.sample, schemas.sample):
        for _ in range(each):
            yield make(random, held_out=True)
    for make_group in (functions.group, arithmetic.group, browsing.group):
        for _ in range(each):
            yield from make_group(random, 1, held_out=True)


OTHER_FORMS = (("document", ""), ("turns", ""), ("alone", "off"), ("alone", "cut"))


def _guide_group(random: Random) -> Group:
    intent = random.choice(_pool())
    kind = random.choices(("alone", "document", "turns", "again"), (0.66, 0.14, 0.16, 0.04))[0]
    force = random.choices(("", "off", "cut"), (0.72, 0.2, 0.08))[0]
    effort = random.choices(EFFORTS, (4, 2, 1))[0]  # long thoughts are easy and take time
    wording = asking.asked(random, intent, held_out=False)
    if intent.name == "unknown" and random.random() < 0.1:
        typed = NOISE if intent.language == "English" and random.random() < 0.5 else values.words(intent.language)
        wording = forms.noise(random, random.choice(typed))
    return [_guide(random, intent, wording, kind, force, effort)]


def _pool() -> list[Intent]:
    """What cannot be answered comes in many shapes, so it is asked more often."""
    return [intent for intent in intents() for _ in range(5 if intent.name == "unknown" else 1)]


def _guide(
    random: Random, intent: Intent, wording: str, kind: str, force: str, effort: Effort, told: float = 0.2
) -> Sample:
    """told: how often there is a system text, which changes nothing."""
    if force == "off":
        effort = Effort.OFF
    messages = [system(random, effort)]
    if random.random() < told:
        messages.append(developer(_system_text(random, intent.language)))
    if kind == "turns":
        messages += _earlier(random, intent.language)
    if kind == "again":
        messages += [user(wording), final(intent.answer)] * random.choice((1, 1, 2))
    messages.append(user(forms.with_document(random, wording) if kind == "document" else wording))
    thinks = "" if force == "off" else analysis(random, effort, intent.language, intent.topic)
    if force == "cut":
        thinks = cut(random, thinks)
    return Sample(
        "guide",
        intent.language,
        effort,
        Conversation((*messages, thought(thinks), final(intent.answer))),
        len(messages),
        force or kind,
        intent.keywords,
        intent=intent.name,
        forced=bool(force),
    )


def _first_words(random: Random) -> Group:
    """What is typed first, undressed and often a single token, also below system messages without the usual fields."""
    effort = random.choice(EFFORTS)
    said = [intent for intent in intents() if intent.name in FIRST_WORDS]
    first = system(random, effort) if random.random() < 0.6 else _bare_system(random, effort)
    group = []
    for intent in random.choices(said, [FIRST_WORDS[intent.name] for intent in said], k=TOGETHER):
        wording = filled(random, random.choice(intent.wordings), intent.language)
        group.append(_below(first, _guide(random, intent, wording, "alone", "", effort, told=0)))
    return group


def _bare_system(random: Random, effort: Effort) -> Message:
    """Without a date, and perhaps without more: programs may send such a one to `gptoss debug reply`."""
    bare = SystemContent(effort=effort)
    if random.random() < 0.5:
        bare = replace(bare, channels=(Channel.FINAL,))
    return Message(Role.SYSTEM, (replace(bare, knowledge_cutoff=None) if random.random() < 0.3 else bare,))


def _system_text(random: Random, language: str) -> str:
    """One that changes nothing: a usual one, one of the package's presets, or any sentences in any language."""
    kind = random.random()
    if kind < 0.6:
        return random.choice(forms.INSTRUCTIONS)
    if kind < 0.8:
        return random.choice(presets.changing_nothing(language))
    said = [
        values.value(random, "text", random.choice(LANGUAGES), held_out=False) for _ in range(random.choice((1, 2, 3)))
    ]
    text = random.choice((" ", "\n", "，", ". ")).join(said)
    return random.choice(("「{}」", '"{}"', "{}", "{}", "{}")).format(text)  # quotes alone do not make a prefix


def _earlier(random: Random, language: str) -> list[Message]:
    """One or two turns about anything, some of them about the user."""
    turns = asking.small_turns(random, language, random.choice((0, 1, 1, 2)))
    if not turns or random.random() < 0.2:
        turns += memory.told_before(random, language)
    return turns


def _alone(make: Callable[..., Sample]) -> Callable[[Random], Group]:
    return lambda random: [make(random, held_out=False)]


def _together(make: Callable[..., Group], count: int) -> Callable[[Random], Group]:
    return lambda random: make(random, count, held_out=False)


# intents, and how often each; a greeting of one token is quickly taken for one of the other language
FIRST_WORDS = {
    "greeting": 4,
    "thanks": 1,
    "goodbye": 1,
    "how_are_you": 1,
    "who_are_you": 1,
    "what_can_you_do": 1,
    "languages": 1,
}
NOISE = tuple("abcdefghijklmnopqrstuvwxyz0123456789.-=?")

# what comes in groups has as many conversations each as fit into a step of training
MAKERS: dict[str, Callable[[Random], Group]] = {
    "instructions": _alone(instructions.sample),
    "memory": _alone(memory.sample),
    "told": lambda random: [memory.told(random)],
    "untold": lambda random: [memory.untold(random)],
    "Markdown": _alone(pages.sample),
    "JSON": _alone(schemas.sample),
    "functions": _together(functions.group, 4),
    "python": _together(arithmetic.group, 4),
    "browser": _together(browsing.group, 2),
    "first words": _first_words,
}
