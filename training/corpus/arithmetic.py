"""The built-in tool `python`: sums are computed, not guessed, where it is offered."""

import operator
from random import Random

from gptoss_cli.harmony.schema import PYTHON
from gptoss_cli.messages import Conversation, Effort, Message, user
from training.corpus import forms, values
from training.corpus.analyses import analysis
from training.corpus.dialog import EFFORTS, LANGUAGES, Sample, builtin_call, final, result, system, thought

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
SAID = {
    "English": {
        "+": ("{} + {}", "{} plus {}", "the sum of {} and {}"),
        "-": ("{} - {}", "{} minus {}", "the difference of {} and {}"),
        "*": ("{} * {}", "{} times {}", "{} x {}", "the product of {} and {}"),
    },
    "Chinese": {
        "+": ("{} + {}", "{} 加 {}", "{}加{}", "{} 加上 {}"),
        "-": ("{} - {}", "{} 減 {}", "{}減{}", "{} 減去 {}"),
        "*": ("{} * {}", "{} 乘以 {}", "{}乘{}", "{} x {}"),
    },
}
# those of training, those of the evaluation
FRAMES = {
    "English": (
        (
            "what is {}",
            "how much is {}",
            "calculate {}",
            "compute {}",
            "{} = ?",
            "{}",
            "tell me {}",
            "please compute {}",
        ),
        ("can you calculate {}", "please tell me how much {} is", "I want to know {}"),
    ),
    "Chinese": (
        ("{}是多少", "{}等於多少", "計算{}", "請算{}", "{}", "算一下{}", "{} = ？", "幫我算{}"),
        ("請計算{}", "幫我計算{}", "請問{}等於多少"),
    ),
}
SAYS = {"English": "{} = {}.", "Chinese": "{} = {}。"}


def group(random: Random, count: int, *, held_out: bool) -> list[Sample]:
    """Questions below the same system message; the code, its output and the answer are one reply."""
    effort = random.choice(EFFORTS)
    head = system(random, effort, PYTHON)
    return [_sample(random, effort, head, held_out) for _ in range(count)]


def _sample(random: Random, effort: Effort, head: Message, held_out: bool) -> Sample:
    language, sign = random.choice(LANGUAGES), random.choice(tuple(OPERATIONS))
    left, right = (values.number(random, held_out=held_out) for _ in range(2))
    wording = random.choice(SAID[language][sign]).format(left, right)
    question = random.choice(FRAMES[language][held_out]).format(wording)
    if not held_out and random.random() < 0.5:
        question = forms.dressed(random, question, language)
    computed = f"{left} {sign} {right}"
    made = builtin_call("python", f"print({computed})")
    output = str(OPERATIONS[sign](left, right))
    reply = [
        thought(analysis(random, effort, language, f"computing {computed}")),
        made,
        result(made, output),
        thought("The output is the result."),
        final(SAYS[language].format(computed, output)),
    ]
    conversation = Conversation((head, user(question), *reply))
    return Sample("python", language, effort, conversation, 2, sign)
