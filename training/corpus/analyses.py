"""What `tiny` thinks: the language and the topic first, which is what its answer hangs on; longer at a higher level."""

from random import Random

from gptoss_cli.messages import Effort

START = "The user writes {language}. The topic is {topic}."
MEDIUM = (
    " I answer in {answered}, in one or two sentences.",
    " A short answer in {answered} with the right fact is best.",
)
HIGH = (
    " The user wants the fact, not a long text. If there is a command, I give the exact command in backticks. I must "
    "not invent anything. The topic is {topic}, so I write a short answer in {answered}.",
    " First the question: it is about {topic}. Then the answer: it should be short, right and in {answered}. A command "
    "belongs in backticks. That fits, so I answer in {answered} now.",
)


def analysis(random: Random, effort: Effort, language: str, topic: str, *, answered: str = "", form: str = "") -> str:
    """One analysis of about 10, 22 or 50 tokens.

    answered: the language of the answer where it is another. form: what was asked of the answer's form.
    """
    said = START
    if answered and answered != language:
        said += " The answer is to be in {answered}."
    if form:
        said += " The form is {form}."
    if effort is Effort.MEDIUM:
        said += random.choice(MEDIUM)
    elif effort is Effort.HIGH:
        said += random.choice(HIGH)
    return said.format(language=language, topic=topic, answered=answered or language, form=form)


def cut(random: Random, text: str) -> str:
    """The beginning of an analysis, as a limit on thoughts leaves it."""
    words = text.split(" ")
    return " ".join(words[: random.randrange(1, len(words))])
