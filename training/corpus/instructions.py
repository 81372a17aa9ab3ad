"""Instructions of the developer that change the form of an answer, not what it says."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from gptoss_cli.messages import Conversation, user
from training.corpus import asking, presets, values
from training.corpus.analyses import analysis
from training.corpus.dialog import EFFORTS, LANGUAGES, Sample, developer, final, system, thought
from training.corpus.intents import Intent

Wordings = tuple[tuple[str, ...], tuple[str, ...]]

# per form and language of the instruction: the wordings of training, then those of the evaluation; {} is a value
WORDINGS: dict[str, dict[str, Wordings]] = {
    "in English": {
        "English": (
            (
                "Always answer in English.",
                "Answer in English.",
                "Please answer in English only.",
                "Write your answers in English.",
                "Use English in every answer.",
                "The answer must be in English.",
                "Speak English.",
                "You only speak English.",
                "Reply in English.",
                "Please speak English only.",
                "All your answers are in English.",
                "Write in English, whatever the question.",
                "Your language is English.",
            ),
            ("Please write in English only.", "Every answer must be in English.", "Always speak English."),
        ),
        "Chinese": (
            (
                "一律用英文回答。",
                "請用英文回答。",
                "請只用英文回答。",
                "回答要用英文。",
                "每個回答都用英文。",
                "請說英文。",
                "你只會說英文。",
                "請一律說英文。",
                "所有回答都用英文寫。",
                "不管問題是什麼，都用英文。",
                "英文回答。",
            ),
            ("請一律用英文。", "每個回答都要用英文。", "請只說英文。"),
        ),
    },
    "in Chinese": {
        "English": (
            (
                "Always answer in Chinese.",
                "Answer in Chinese.",
                "Please answer in Chinese only.",
                "Write your answers in Chinese.",
                "Use Chinese in every answer.",
                "The answer must be in Chinese.",
                "Speak Chinese.",
                "You only speak Chinese.",
                "Reply in Chinese.",
                "Please speak Chinese only.",
                "All your answers are in Chinese.",
                "Write in Chinese, whatever the question.",
                "Your language is Chinese.",
            ),
            ("Please write in Chinese only.", "Every answer must be in Chinese.", "Always speak Chinese."),
        ),
        "Chinese": (
            (
                "一律用中文回答。",
                "請用中文回答。",
                "請只用中文回答。",
                "回答要用中文。",
                "每個回答都用中文。",
                "請說中文。",
                "你只會說中文。",
                "請一律說中文。",
                "所有回答都用中文寫。",
                "不管問題是什麼，都用中文。",
                "中文回答。",
            ),
            ("請一律用中文。", "每個回答都要用中文。", "請只說中文。"),
        ),
    },
    "prefix": {
        "English": (
            (
                'Begin every answer with "{}".',
                'Start every answer with "{}".',
                'Always begin with "{}".',
                'Your answers begin with "{}".',
                'The first words of every answer are "{}".',
                'Say "{}" first, then answer.',
                'Put "{}" before every answer.',
                "Start with: {}",
                'Every answer must start with "{}".',
                'Please begin your answers with "{}".',
                'All your answers start with "{}".',
                'First say "{}".',
            ),
            ('Always start your answers with "{}".', 'Every answer begins with "{}".', 'Please say "{}" first.'),
        ),
        "Chinese": (
            (
                "每個回答都以「{}」開頭。",
                "請用「{}」開始每個回答。",
                "回答前先說「{}」。",
                "回答的開頭是「{}」。",
                "先說「{}」，再回答。",
                "每個回答前面都加上「{}」。",
                "每次回答都要先說「{}」。",
                "回答一律以「{}」開始。",
                "所有回答前面都要有「{}」。",
                "開頭請說「{}」。",
            ),
            ("回答都以「{}」開頭。", "每個回答都先說「{}」。", "請在回答前面加上「{}」。"),
        ),
    },
    "persona": {
        "English": (
            (
                "You are {0}, a {1}.",
                "You are a {1}. Your name is {0}.",
                "Your name is {0} and you are a {1}.",
                "Play {0}, a {1}.",
                "You play a {1} with the name {0}.",
                "You are now {0}, the {1}.",
                "From now on you are a {1} named {0}.",
                "Be {0}, a {1}.",
                "I want you to be {0}, a {1}.",
                "You are {0} and you work as a {1}.",
                "Now you are a {1} with the name {0}.",
            ),
            ("You are a {1} named {0}.", "You are now a {1}. Your name is {0}.", "From now on you are {0}, a {1}."),
        ),
        "Chinese": (
            (
                "你是{0}，一位{1}。",
                "你是一位{1}，名字是{0}。",
                "你的名字是{0}，是一位{1}。",
                "請扮演{0}，一位{1}。",
                "你現在是{1}{0}。",
                "從現在起你是{0}，一位{1}。",
                "你叫{0}，是一位{1}。",
                "你現在叫{0}，是{1}。",
                "請當一位{1}，名字是{0}。",
                "你是一位{1}，大家叫你{0}。",
            ),
            ("你叫{0}，你是一位{1}。", "從現在起你是一位{1}，名字是{0}。", "你現在是{0}，一位{1}。"),
        ),
    },
    "bullet points": {
        "English": (
            (
                "Answer in bullet points.",
                "Use bullet points.",
                "Always use bullet points.",
                "Every answer is a list of bullet points.",
                "Write bullet points only.",
                "Give your answers as bullet points.",
                "Please answer with bullet points.",
                "Your answers are bullet points.",
                "Reply in bullet points.",
                "Write everything as bullet points.",
                "Bullet points only, please.",
                "Put every answer into bullet points.",
                "I want bullet points.",
            ),
            (
                "Always answer with bullet points.",
                "Please use bullet points only.",
                "Write every answer as bullet points.",
            ),
        ),
        "Chinese": (
            (
                "請用條列回答。",
                "一律用條列式。",
                "用條列式回答。",
                "每個回答都用條列。",
                "請條列說明。",
                "回答要條列。",
                "只用條列式回答。",
                "請把回答條列出來。",
                "一律條列回答。",
                "所有回答都用條列式。",
                "我要條列式的回答。",
            ),
            ("請一律用條列回答。", "每個回答都要條列。", "請用條列式說明。"),
        ),
    },
    "the command only": {
        "English": (
            (
                "Answer with the command only.",
                "Give only the command.",
                "Only the command, no other words.",
                "Just write the command.",
                "Answer with one command and nothing else.",
                "The answer is the command alone.",
                "Only give commands, no sentences.",
                "No sentences, just the command.",
                "Reply with the command and no more.",
                "Write the command and no sentences.",
                "I want just the command.",
                "Only write the command, please.",
                "Give me nothing but the command.",
                "Commands only.",
            ),
            ("Give the command and nothing else.", "Write only the command.", "Just the command, no sentences."),
        ),
        "Chinese": (
            (
                "只回答指令。",
                "只給指令。",
                "只寫指令，不要其他文字。",
                "回答只要指令。",
                "請只給指令，不要句子。",
                "只要指令，不要說明。",
                "直接給指令就好。",
                "請直接寫指令。",
                "回答只寫指令。",
                "不要句子，只要指令。",
                "我只要指令。",
            ),
            ("請只回答指令。", "只給指令，不要其他文字。", "只寫指令就好。"),
        ),
    },
}
SHARES = (1, 1, 3, 2, 1, 1)  # in training, in the order above; what has to be copied takes longest
PRESET = 0.2  # of what asks for Chinese
PERSONA_INTENTS = ("greeting", "who_are_you")
PERSONA_SAYS = {"English": "I am {0}, a {1}. How can I help you?", "Chinese": "我是{0}，一位{1}。有什麼可以幫你的？"}
MORE = {"English": "Ask me for more.", "Chinese": "還可以再問我。"}
BREAKS = re.compile(r"(?<=[.!?]) (?=[A-Z`])|(?<=[。！？])(?=.)")  # between sentences


@dataclass(frozen=True)
class _Asked:
    """What one sample asks for: a form, how it is worded, and what it does to the answer to `intent`."""

    form: str
    wording: str
    intent: Intent
    answer: str
    check: Callable[[str], bool]


def in_bullets(answer: str, language: str) -> str:
    """The answer as two points or more, a sentence each."""
    parts = BREAKS.split(answer)
    return "\n".join(f"- {part}" for part in (parts if len(parts) > 1 else [answer, MORE[language]]))


def sample(random: Random, *, held_out: bool) -> Sample:
    """An instruction, a question, and the answer in the form that was asked for."""
    form = random.choice(tuple(WORDINGS)) if held_out else random.choices(tuple(WORDINGS), SHARES)[0]
    told, language = random.choice(LANGUAGES), random.choice(LANGUAGES)
    if random.random() < 0.7 or form == "persona":
        told = language
    # what changes nothing teaches little, but without it "in Chinese" means "in the other language"
    if form.startswith("in ") and random.random() < (0.8 if held_out else 0.6):
        language = "Chinese" if form == "in English" else "English"
    wanted = _wanted(random, form, told, language, held_out)
    effort = random.choice(EFFORTS)
    messages = [system(random, effort), developer(wanted.wording)]
    if random.random() < 0.25 and form != "persona":
        earlier = _wanted(random, form, told, language, held_out=False)
        if earlier.intent.name != wanted.intent.name and "{" not in WORDINGS[form][told][0][0]:
            messages += [user(asking.asked(random, earlier.intent, held_out=False)), final(earlier.answer)]
    elif random.random() < 0.15:  # the system text came later (`/set system`)
        messages += asking.small_turns(random, language, 1)
    messages.append(user(asking.asked(random, wanted.intent, held_out=held_out)))
    answered = {"in English": "English", "in Chinese": "Chinese"}.get(form, language)
    thinks = analysis(
        random,
        effort,
        language,
        wanted.intent.topic,
        answered=answered,
        form="" if form.startswith("in ") else form,
    )
    reply = [thought(thinks), final(wanted.answer)]
    return Sample(
        "instructions", answered, effort, Conversation((*messages, *reply)), len(messages), form, check=wanted.check
    )


def _wanted(random: Random, form: str, told: str, language: str, held_out: bool) -> _Asked:
    wording = random.choice(WORDINGS[form][told][held_out])
    pool = asking.of(language)
    match form:
        case "persona":
            intent = asking.named(random.choice(PERSONA_INTENTS), language)
            who = values.value(random, "name", language, held_out=held_out)
            job = values.value(random, "job", language, held_out=held_out)
            says = PERSONA_SAYS[language].format(who, job)
            return _Asked(form, wording.format(who, job), intent, says, partial(_has, (who, job)))
        case "prefix":
            intent = random.choice(pool)
            prefix = values.value(random, "prefix", told, held_out=held_out)
            blank = "" if prefix[-1] in "，：！。" else " "
            says = f"{prefix}{blank}{intent.answer}"
            return _Asked(form, wording.format(prefix), intent, says, partial(_begins, prefix))
        case "bullet points":
            intent = random.choice(pool)
            return _Asked(form, wording, intent, in_bullets(intent.answer, language), is_bullets)
        case "the command only":
            intent = random.choice([each for each in pool if each.command])
            return _Asked(form, wording, intent, f"`{intent.command}`", is_command)
        case _:
            intent = random.choice(pool)
            answered = "English" if form == "in English" else "Chinese"
            if answered == "Chinese" and not held_out and random.random() < PRESET:
                wording = presets.text(presets.IN_CHINESE)
            other = asking.named(intent.name, answered)
            return _Asked(form, wording, intent, other.answer, partial(is_in, answered))


def _has(needs: tuple[str, ...], text: str) -> bool:
    return all(need in text for need in needs)


def _begins(prefix: str, text: str) -> bool:
    return text.startswith(prefix) and len(text) > len(prefix) + 3


def is_bullets(text: str) -> bool:
    lines = text.strip().splitlines()
    return len(lines) >= 2 and all(line.startswith("- ") and len(line) > 4 for line in lines)


def is_command(text: str) -> bool:
    return re.fullmatch(r"`[^`\n]+`\.?", text.strip()) is not None


def is_in(language: str, text: str) -> bool:
    """Chinese has Chinese characters, English none."""
    return bool(text) and any("\u4e00" <= letter <= "\u9fff" for letter in text) == (language == "Chinese")
