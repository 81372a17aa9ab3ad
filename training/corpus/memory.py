"""What the user said of himself some turns ago."""

from dataclasses import dataclass
from random import Random

from gptoss_cli.messages import Conversation, Message, user
from training.corpus import asking, forms, values
from training.corpus.analyses import analysis
from training.corpus.dialog import EFFORTS, LANGUAGES, Sample, final, system, thought

Wordings = tuple[tuple[str, ...], tuple[str, ...]]  # of training, of the evaluation


@dataclass(frozen=True)
class Fact:
    """A thing that can be remembered, in one language: how it is told, heard, asked for and known."""

    kind: str
    topic: str
    told: Wordings
    heard: str
    asked: Wordings
    known: str
    unknown: str


FACTS = {
    "English": (
        Fact(
            "name",
            "the name of the user",
            (
                (
                    "my name is {}",
                    "I am {}",
                    "I'm {}",
                    "call me {}",
                    "hello, my name is {}",
                    "hi, I am {}",
                    "people call me {}",
                    "{} is my name",
                    "you can call me {}",
                    "my friends call me {}",
                ),
                ("hello, I am {}", "hi, my name is {}", "please call me {}"),
            ),
            "Nice to meet you, {}!",
            (
                (
                    "what is my name",
                    "what's my name",
                    "do you know my name",
                    "who am I",
                    "do you remember my name",
                    "tell me my name",
                    "how am I called",
                    "what did I say my name is",
                    "can you say my name",
                    "and what is my name",
                ),
                ("do you still know my name", "can you tell me my name", "so what is my name"),
            ),
            "Your name is {}.",
            "You have not told me your name.",
        ),
        Fact(
            "color",
            "the favorite color of the user",
            (
                (
                    "my favorite color is {}",
                    "I like the color {}",
                    "{} is my favorite color",
                    "the color I like most is {}",
                    "I love the color {}",
                    "my favourite colour is {}",
                    "I like {} more than all other colors",
                    "of all colors I like {} best",
                ),
                ("the color I love is {}", "I like {} best of all colors", "well, my favorite color is {}"),
            ),
            "Your favorite color is {}: I will remember it.",
            (
                (
                    "what is my favorite color",
                    "what's my favorite color",
                    "which color do I like",
                    "do you remember my favorite color",
                    "tell me my favorite color",
                    "which color do I like most",
                    "what color do I like best",
                    "what is my favourite colour",
                    "do you know my favorite color",
                    "and my favorite color",
                ),
                ("do you know which color I like", "can you tell me my favorite color", "so what is my favorite color"),
            ),
            "Your favorite color is {}.",
            "You have not told me your favorite color.",
        ),
        Fact(
            "city",
            "the city of the user",
            (
                (
                    "I live in {}",
                    "I am from {}",
                    "my city is {}",
                    "my home is in {}",
                    "I come from {}",
                    "I'm from {}",
                    "I have a house in {}",
                    "I have lived in {} for years",
                    "the city I live in is {}",
                    "{} is my city",
                ),
                ("hello, I live in {}", "the city I come from is {}", "my house is in {}"),
            ),
            "So you live in {}.",
            (
                (
                    "where do I live",
                    "which city do I live in",
                    "where am I from",
                    "do you remember where I live",
                    "what is my city",
                    "tell me where I live",
                    "what city am I from",
                    "where is my home",
                    "do you know where I live",
                    "and where do I live",
                ),
                ("can you tell me where I live", "do you know my city", "so where do I live"),
            ),
            "You live in {}.",
            "You have not told me where you live.",
        ),
    ),
    "Chinese": (
        Fact(
            "name",
            "the name of the user",
            (
                (
                    "我叫{}",
                    "我是{}",
                    "我的名字是{}",
                    "叫我{}",
                    "你好，我叫{}",
                    "嗨，我是{}",
                    "大家叫我{}",
                    "你可以叫我{}",
                    "我的名字叫{}",
                    "朋友都叫我{}",
                ),
                ("你好，我是{}", "嗨，我叫{}", "請叫我{}"),
            ),
            "很高興認識你，{}！",
            (
                (
                    "我叫什麼名字",
                    "我的名字是什麼",
                    "你記得我的名字嗎",
                    "我是誰",
                    "我叫什麼",
                    "說出我的名字",
                    "你知道我的名字嗎",
                    "我剛才說我叫什麼",
                    "告訴我我的名字",
                    "那我叫什麼名字",
                ),
                ("你還記得我叫什麼嗎", "你知道我叫什麼名字嗎", "那我的名字是什麼"),
            ),
            "你的名字是{}。",
            "你還沒告訴我你的名字。",
        ),
        Fact(
            "color",
            "the favorite color of the user",
            (
                (
                    "我最喜歡的顏色是{}",
                    "我喜歡{}",
                    "我最喜歡{}",
                    "我最愛的顏色是{}",
                    "{}是我最喜歡的顏色",
                    "我愛{}",
                    "顏色裡我最喜歡{}",
                    "我喜歡的顏色是{}",
                ),
                ("我最愛{}", "我愛的顏色是{}", "{}是我最愛的顏色"),
            ),
            "你最喜歡{}，我記住了。",
            (
                (
                    "我最喜歡什麼顏色",
                    "我喜歡什麼顏色",
                    "我最喜歡的顏色是什麼",
                    "你記得我最喜歡的顏色嗎",
                    "我喜歡哪個顏色",
                    "我最愛什麼顏色",
                    "你知道我喜歡什麼顏色嗎",
                    "告訴我我最喜歡的顏色",
                    "我剛才說我喜歡什麼顏色",
                    "那我喜歡什麼顏色",
                ),
                ("你還記得我喜歡什麼顏色嗎", "你知道我最喜歡的顏色嗎", "那我最愛的顏色是什麼"),
            ),
            "你最喜歡的顏色是{}。",
            "你還沒告訴我你喜歡什麼顏色。",
        ),
        Fact(
            "city",
            "the city of the user",
            (
                (
                    "我住在{}",
                    "我來自{}",
                    "我家在{}",
                    "我是{}人",
                    "我在{}生活",
                    "我的家在{}",
                    "我在{}住了很多年",
                    "我住的城市是{}",
                    "我現在住{}",
                    "{}是我住的城市",
                ),
                ("我現在住在{}", "我住的地方是{}", "你好，我住在{}"),
            ),
            "原來你住在{}。",
            (
                (
                    "我住在哪裡",
                    "我住在哪個城市",
                    "我來自哪裡",
                    "你記得我住哪裡嗎",
                    "我的家在哪裡",
                    "我家在哪裡",
                    "你知道我住在哪裡嗎",
                    "告訴我我住在哪裡",
                    "我剛才說我住哪裡",
                    "那我住在哪裡",
                ),
                ("你還記得我住在哪裡嗎", "你知道我住哪個城市嗎", "那我住在哪個城市"),
            ),
            "你住在{}。",
            "你還沒告訴我你住在哪裡。",
        ),
    ),
}
ALSO = {"English": " and ", "Chinese": "，"}
MISHEARD = 0.15


def sample(random: Random, *, held_out: bool) -> Sample:
    """One to three facts, told in one turn or several, other turns between, and a question for one of them.

    In training sometimes for one that was not told; and what was told is misheard at times.
    """
    language, effort = random.choice(LANGUAGES), random.choice(EFFORTS)
    facts = random.sample(FACTS[language], random.choice((1, 1, 2, 2, 3)))
    wanted = random.choice(facts)
    known = {fact.kind: values.value(random, fact.kind, language, held_out=held_out) for fact in facts}
    messages = [system(random, effort), *_told(random, facts, known, language, held_out)]
    messages += asking.small_turns(random, language, random.choice((0, 0, 1, 1, 2)))
    if not held_out and len(facts) < 3 and random.random() < 0.12:
        wanted = random.choice([fact for fact in FACTS[language] if fact.kind not in known])
    wording = random.choice(wanted.asked[held_out])
    mark = random.choice(("", "?" if language == "English" else "？"))
    messages.append(user(wording + mark if held_out else forms.dressed(random, wording, language)))
    remembered = known.get(wanted.kind)
    says = wanted.known.format(remembered) if remembered else wanted.unknown
    reply = [thought(analysis(random, effort, language, wanted.topic)), final(says)]
    return Sample("memory", language, effort, Conversation((*messages, *reply)), len(messages), wanted.kind)


def untold(random: Random) -> Sample:
    """A question for a fact when none was told."""
    language, effort = random.choice(LANGUAGES), random.choice(EFFORTS)
    fact = random.choice(FACTS[language])
    turns = asking.small_turns(random, language, random.choice((0, 0, 0, 1)))
    asked = user(forms.dressed(random, random.choice(fact.asked[0]), language))
    reply = [thought(analysis(random, effort, language, fact.topic)), final(fact.unknown)]
    conversation = Conversation((system(random, effort), *turns, asked, *reply))
    return Sample("memory", language, effort, conversation, len(turns) + 2, "untold")


def told(random: Random) -> Sample:
    """The turn in which a fact is told, and not asked for: the thought says which."""
    language, effort = random.choice(LANGUAGES), random.choice(EFFORTS)
    fact, value, said = _one_told(random, language)
    reply = [
        thought(analysis(random, effort, language, f"{fact.topic} which is told now")),
        final(fact.heard.format(value)),
    ]
    conversation = Conversation((system(random, effort), said, *reply))
    return Sample("memory", language, effort, conversation, 2, "told")


def told_before(random: Random, language: str) -> list[Message]:
    """The same turn as history has it, without thoughts."""
    fact, value, said = _one_told(random, language)
    return [said, final(fact.heard.format(value))]


def _one_told(random: Random, language: str) -> tuple[Fact, str, Message]:
    """A fact, its value, and the message in which training tells it."""
    fact = random.choice(FACTS[language])
    value = values.value(random, fact.kind, language, held_out=False)
    return fact, value, user(_dressed(random, fact.told[0], value, language))


def _told(random: Random, facts: list[Fact], known: dict[str, str], language: str, held_out: bool) -> list[Message]:
    if len(facts) == 2 and random.random() < 0.3:  # in one breath
        said = ALSO[language].join(random.choice(fact.told[held_out]).format(known[fact.kind]) for fact in facts)
        return [user(said), final(facts[0].heard.format(known[facts[0].kind]))]
    messages: list[Message] = []
    for fact in facts:
        wordings = fact.told[held_out]
        value = known[fact.kind]
        said = random.choice(wordings).format(value) if held_out else _dressed(random, wordings, value, language)
        misheard = not held_out and random.random() < MISHEARD  # what counts is what the user said
        heard = values.value(random, fact.kind, language, held_out=False) if misheard else value
        messages += [user(said), final(fact.heard.format(heard))]
    return messages


def _dressed(random: Random, wordings: tuple[str, ...], value: str, language: str) -> str:
    """As people type it: with or without a capital and a full stop."""
    text = random.choice(wordings).format(value)
    if random.random() < 0.5:
        text = text[0].upper() + text[1:]
    if random.random() < 0.5:
        text += random.choice(("。", "！") if language == "Chinese" else (".", "!"))
    return text
