"""What `tiny` thinks: the language and the topic first, which is what its answer hangs on; longer at a higher level."""

from random import Random

from gptoss_cli.messages import Effort

LOW = ("The user writes {language}. The topic is {topic}.",)
MEDIUM = (
    "The user writes {language}. The topic is {topic}. I answer in {language}, in one or two sentences.",
    "The user writes {language}. The topic is {topic}. A short answer in {language} with the right fact is best.",
)
HIGH = (
    "The user writes {language}. The topic is {topic}. Let me think about what is wanted here. The user asks "
    "about {topic} and wants the fact, not a long text. If there is a command, I give the exact command in "
    "backticks. I must not invent anything that I do not know. I check again: the language is {language} and "
    "the topic is {topic}. Now I write a short answer in {language}.",
    "The user writes {language}. The topic is {topic}. First I think about the question: it is about {topic}. "
    "Then I think about the answer: it should be short, right and in {language}. A command belongs in "
    "backticks. There is no need for a tool. I look at it once more: {language}, {topic}. That fits, and I am "
    "sure enough. So I answer in {language} now, in one or two sentences.",
)


def analysis(random: Random, effort: Effort, language: str, topic: str) -> str:
    """One analysis of about 10, 25 or 85 tokens."""
    templates = {Effort.LOW: LOW, Effort.MEDIUM: MEDIUM, Effort.HIGH: HIGH}[effort]
    return random.choice(templates).format(language=language, topic=topic)


def cut(random: Random, text: str) -> str:
    """The beginning of an analysis, as a limit on thoughts leaves it."""
    words = text.split(" ")
    return " ".join(words[: random.randrange(1, len(words))])
