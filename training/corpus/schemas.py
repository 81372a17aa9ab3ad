"""Answers in JSON that follow a schema given in `# Response Formats`, with what the user says in its fields."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import jsonschema

from gptoss_cli.messages import Conversation, ResponseFormat, user
from training.corpus import values
from training.corpus.analyses import analysis
from training.corpus.dialog import EFFORTS, LANGUAGES, Sample, developer, final, system, thought


@dataclass(frozen=True)
class Field:
    """A property that a schema can have: its type, what it is drawn from, how it is said."""

    name: str
    kind: str
    drawn: Callable[[Random, str, bool], Any]
    said: dict[str, str]


def _pool(kind: str) -> Callable[[Random, str, bool], Any]:
    return lambda random, language, held_out: values.value(random, kind, language, held_out=held_out)


def _number(random: Random, language: str, held_out: bool) -> int:
    return values.number(random, held_out=held_out)


def _age(random: Random, language: str, held_out: bool) -> int:
    return values.number(random, held_out=held_out) % 90 + 10


def _flag(random: Random, language: str, held_out: bool) -> bool:
    return random.random() < 0.5


def _dishes(random: Random, language: str, held_out: bool) -> list[str]:
    drawn = [values.value(random, "dish", language, held_out=held_out) for _ in range(random.choice((2, 3)))]
    return list(dict.fromkeys(drawn))


FIELDS = (
    Field("name", "string", _pool("name"), {"English": "name {}", "Chinese": "名字{}"}),
    Field("city", "string", _pool("city"), {"English": "city {}", "Chinese": "城市{}"}),
    Field("color", "string", _pool("color"), {"English": "color {}", "Chinese": "顏色{}"}),
    Field("job", "string", _pool("job"), {"English": "job {}", "Chinese": "工作{}"}),
    Field("dish", "string", _pool("dish"), {"English": "dish {}", "Chinese": "菜{}"}),
    Field("title", "string", _pool("song"), {"English": "title {}", "Chinese": "標題{}"}),
    Field("age", "integer", _age, {"English": "age {}", "Chinese": "年齡 {}"}),
    Field("count", "integer", _number, {"English": "count {}", "Chinese": "數量 {}"}),
    Field("price", "number", _number, {"English": "price {}", "Chinese": "價格 {}"}),
    Field("year", "integer", _number, {"English": "year {}", "Chinese": "年份 {}"}),
    Field("open", "boolean", _flag, {"English": "open {}", "Chinese": "營業{}"}),
    Field("new", "boolean", _flag, {"English": "new {}", "Chinese": "全新{}"}),
    Field("dishes", "array", _dishes, {"English": "dishes {}", "Chinese": "菜單{}"}),
)
FORMATS = ("person", "item", "place", "order", "entry", "card", "record")
ASKED = {
    "English": (
        ("{}", "Here it is: {}", "Please fill it in: {}", "Make JSON of this: {}", "As JSON: {}", "JSON, please: {}"),
        ("Please make JSON of this: {}", "Fill it in: {}"),
    ),
    "Chinese": (
        ("{}", "資料：{}", "請填入：{}", "轉成 JSON：{}", "請給 JSON：{}", "用 JSON 表示：{}"),
        ("請轉成 JSON：{}", "請用 JSON 表示：{}"),
    ),
}
YES = {"English": {True: "yes", False: "no"}, "Chinese": {True: "是", False: "否"}}


def sample(random: Random, *, held_out: bool) -> Sample:
    """A schema of two to four fields, a text with their values in any order, and the object."""
    language, effort = random.choice(LANGUAGES), random.choice(EFFORTS)
    fields = random.sample(FIELDS, random.choice((2, 3, 3, 4, 4)))
    filled = {field.name: field.drawn(random, language, held_out) for field in fields}
    said = [field.said[language].format(_said(filled[field.name], language)) for field in fields]
    if random.random() < 0.5:
        random.shuffle(said)
    text = random.choice(ASKED[language][held_out]).format(("，" if language == "Chinese" else ", ").join(said))
    schema = schema_of(fields)
    messages = [
        system(random, effort),
        developer(None, formats=(ResponseFormat(random.choice(FORMATS), schema),)),
        user(text),
    ]
    document = json.dumps(filled, ensure_ascii=False)
    thinks = analysis(random, effort, language, "JSON", form=", ".join(filled))
    reply = [thought(thinks), final(document)]
    return Sample(
        "JSON",
        language,
        effort,
        Conversation((*messages, *reply)),
        len(messages),
        str(len(fields)),
        check=partial(satisfies, schema),
    )


def schema_of(fields: list[Field]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        field.name: {"type": "array", "items": {"type": "string"}} if field.kind == "array" else {"type": field.kind}
        for field in fields
    }
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def satisfies(schema: dict[str, Any], text: str) -> bool:
    """Whether `text` is JSON that the schema allows."""
    try:
        jsonschema.validate(json.loads(text), schema)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


def _said(value: Any, language: str) -> str:
    match value:
        case bool():
            return YES[language][value]
        case list():
            return ("、" if language == "Chinese" else " and ").join(value)
        case _:
            return str(value)
