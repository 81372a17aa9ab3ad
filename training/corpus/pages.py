"""Answers in Markdown: the same things as a code block, as a list, as a table."""

import re
from dataclasses import dataclass
from random import Random

from gptoss_cli.messages import Conversation, user
from training.corpus import forms
from training.corpus.analyses import analysis
from training.corpus.dialog import EFFORTS, LANGUAGES, Sample, final, system, thought

Wordings = tuple[tuple[str, ...], tuple[str, ...]]  # of training, of the evaluation


@dataclass(frozen=True)
class Topic:
    """Things in rows of two columns, with the columns' names, and the code that shows them."""

    name: str
    said: tuple[str, ...]
    columns: tuple[str, str]
    rows: tuple[tuple[str, str], ...]
    code: str
    language: str = "sh"


TOPICS = {
    "English": (
        Topic(
            "commands",
            ("the commands", "the commands of gptoss", "gptoss commands"),
            ("command", "what it does"),
            (("`gptoss pull`", "fetch a model"), ("`gptoss run`", "one answer"), ("`gptoss chat`", "talk")),
            "gptoss pull gpt-oss:20b\ngptoss run gpt-oss:20b hello\ngptoss chat",
        ),
        Topic(
            "reasoning levels",
            ("the reasoning levels", "the levels of reasoning", "all reasoning levels"),
            ("level", "thoughts"),
            (("low", "short"), ("medium", "longer"), ("high", "long")),
            "gptoss run --reasoning low hello\ngptoss run --reasoning high hello",
        ),
        Topic(
            "models",
            ("the models", "the gpt-oss models", "all models"),
            ("model", "size"),
            (("gpt-oss:20b", "12 GB"), ("gpt-oss:120b", "63 GB"), ("tiny", "6 MB")),
            "gptoss pull gpt-oss:20b\ngptoss pull gpt-oss:120b",
        ),
        Topic(
            "days",
            ("the days of the week", "the week days", "all days of the week"),
            ("day", "number"),
            (("Monday", "1"), ("Tuesday", "2"), ("Wednesday", "3"), ("Thursday", "4"), ("Friday", "5")),
            "for day in Monday Tuesday Wednesday; do\n  echo $day\ndone",
        ),
        Topic(
            "fruits",
            ("fruits", "some fruits", "three fruits"),
            ("fruit", "color"),
            (("apple", "red"), ("banana", "yellow"), ("plum", "blue")),
            'fruits = ["apple", "banana", "plum"]\nprint(fruits)',
            "python",
        ),
        Topic(
            "numbers",
            ("the numbers from one to three", "numbers", "the first numbers"),
            ("number", "word"),
            (("1", "one"), ("2", "two"), ("3", "three")),
            "for number in range(1, 4):\n    print(number)",
            "python",
        ),
        Topic(
            "first steps",
            ("the first steps", "the first steps with gptoss", "the steps to start"),
            ("step", "command"),
            (("install", "`pip install gptoss`"), ("fetch", "`gptoss pull gpt-oss:20b`"), ("talk", "`gptoss chat`")),
            "pip install gptoss\ngptoss pull gpt-oss:20b\ngptoss chat",
        ),
    ),
    "Chinese": (
        Topic(
            "commands",
            ("指令", "gptoss 的指令", "所有指令"),
            ("指令", "用途"),
            (("`gptoss pull`", "下載模型"), ("`gptoss run`", "回答一次"), ("`gptoss chat`", "聊天")),
            "gptoss pull gpt-oss:20b\ngptoss run gpt-oss:20b 你好\ngptoss chat",
        ),
        Topic(
            "reasoning levels",
            ("推理強度", "所有推理強度", "推理的強度"),
            ("強度", "思考"),
            (("low", "短"), ("medium", "較長"), ("high", "長")),
            "gptoss run --reasoning low 你好\ngptoss run --reasoning high 你好",
        ),
        Topic(
            "models",
            ("模型", "gpt-oss 的模型", "所有模型"),
            ("模型", "大小"),
            (("gpt-oss:20b", "12 GB"), ("gpt-oss:120b", "63 GB"), ("tiny", "6 MB")),
            "gptoss pull gpt-oss:20b\ngptoss pull gpt-oss:120b",
        ),
        Topic(
            "days",
            ("星期", "一週的日子", "一週每天"),
            ("日子", "數字"),
            (("星期一", "1"), ("星期二", "2"), ("星期三", "3"), ("星期四", "4"), ("星期五", "5")),
            "for day in 星期一 星期二 星期三; do\n  echo $day\ndone",
        ),
        Topic(
            "fruits",
            ("水果", "一些水果", "三種水果"),
            ("水果", "顏色"),
            (("蘋果", "紅色"), ("香蕉", "黃色"), ("李子", "藍色")),
            'fruits = ["蘋果", "香蕉", "李子"]\nprint(fruits)',
            "python",
        ),
        Topic(
            "numbers",
            ("一到三的數字", "數字", "前三個數字"),
            ("數字", "英文"),
            (("1", "one"), ("2", "two"), ("3", "three")),
            "for number in range(1, 4):\n    print(number)",
            "python",
        ),
        Topic(
            "first steps",
            ("開始的步驟", "第一步", "使用 gptoss 的步驟"),
            ("步驟", "指令"),
            (("安裝", "`pip install gptoss`"), ("下載", "`gptoss pull gpt-oss:20b`"), ("聊天", "`gptoss chat`")),
            "pip install gptoss\ngptoss pull gpt-oss:20b\ngptoss chat",
        ),
    ),
}
ASKED: dict[str, dict[str, Wordings]] = {
    "code block": {
        "English": (
            (
                "show {} in a code block",
                "write {} as code",
                "give me a code block with {}",
                "a code block for {}",
                "show me code for {}",
                "write code for {}",
                "{} in a code block",
                "{} as code",
            ),
            ("write a code block for {}", "show me {} as code", "give me code for {}"),
        ),
        "Chinese": (
            ("用程式碼區塊寫{}", "給我{}的程式碼", "寫出{}的程式碼", "{}的程式碼", "用程式碼表示{}", "用程式碼列出{}"),
            ("用程式碼區塊列出{}", "請寫{}的程式碼", "給我看{}的程式碼"),
        ),
    },
    "list": {
        "English": (
            (
                "list {}",
                "give me a list of {}",
                "make a list of {}",
                "show {} as a list",
                "a list of {}",
                "write a list of {}",
                "{} as a list",
                "list {} for me",
            ),
            ("show me a list of {}", "please list {}", "write {} as a list"),
        ),
        "Chinese": (
            ("列出{}", "用清單列出{}", "給我{}的清單", "{}的清單", "做一個{}的清單", "用清單寫{}", "條列{}"),
            ("請列出{}", "寫一個{}的清單", "用清單給我{}"),
        ),
    },
    "table": {
        "English": (
            (
                "show {} in a table",
                "give me a table of {}",
                "make a table of {}",
                "show {} as a table",
                "a table of {}",
                "write a table of {}",
                "{} as a table",
                "put {} in a table",
            ),
            ("show me a table of {}", "write {} as a table", "please make a table of {}"),
        ),
        "Chinese": (
            (
                "用表格列出{}",
                "給我{}的表格",
                "{}的表格",
                "做一個{}的表格",
                "用表格寫{}",
                "把{}做成表格",
                "用表格表示{}",
            ),
            ("請用表格列出{}", "寫一個{}的表格", "用表格給我{}"),
        ),
    },
}


def sample(random: Random, *, held_out: bool) -> Sample:
    """One topic in one form."""
    language, effort = random.choice(LANGUAGES), random.choice(EFFORTS)
    form = random.choices(tuple(ASKED), (1, 1, 1) if held_out else (1, 2, 1))[0]  # lists are taken for other forms
    topic = random.choice(TOPICS[language])
    question = random.choice(ASKED[form][language][held_out]).format(random.choice(topic.said))
    if not held_out:
        question = forms.dressed(random, question, language)
    messages = [system(random, effort), user(question)]
    thinks = analysis(random, effort, language, topic.name, form=f"a {form}")
    reply = [thought(thinks), final(written(topic, form))]
    needs = tuple(topic.code.split("\n")[:1]) if form == "code block" else (topic.rows[0][0], topic.rows[-1][0])
    return Sample("Markdown", language, effort, Conversation((*messages, *reply)), 2, form, needs, check=CHECKS[form])


def written(topic: Topic, form: str) -> str:
    match form:
        case "code block":
            return f"```{topic.language}\n{topic.code}\n```"
        case "list":
            return "\n".join(f"- {thing}: {other}" for thing, other in topic.rows)
        case _:
            lines = [topic.columns, ("---", "---"), *topic.rows]
            return "\n".join(f"| {left} | {right} |" for left, right in lines)


def is_code_block(text: str) -> bool:
    return re.fullmatch(r"```\w*\n.+\n```", text.strip(), re.DOTALL) is not None


def is_list(text: str) -> bool:
    lines = text.strip().splitlines()
    return len(lines) >= 2 and all(line.startswith("- ") for line in lines)


def is_table(text: str) -> bool:
    lines = text.strip().splitlines()
    return (
        len(lines) >= 3
        and re.fullmatch(r"\|( ?-+ ?\|)+", lines[1]) is not None
        and len({line.count("|") for line in lines}) == 1
    )


CHECKS = {"code block": is_code_block, "list": is_list, "table": is_table}
