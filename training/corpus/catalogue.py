"""The functions that `tiny` learns to call: how each is described, asked for, answered. Knows no conversation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from gptoss_cli.messages import ToolSpec

Wordings = tuple[tuple[str, ...], tuple[str, ...]]  # of training, of the evaluation
TYPES = {"minutes": "integer", "nights": "integer", "amount": "integer"}
SKIES = ("sunny", "rain", "clouds", "snow")
SKIES_SAID = {
    "English": {"sunny": "sunny", "rain": "raining", "clouds": "cloudy", "snow": "snowing"},
    "Chinese": {"sunny": "晴天", "rain": "下雨", "clouds": "陰天", "snow": "下雪"},
}


@dataclass(frozen=True)
class Function:
    """One function: how it is described, what its arguments are drawn from, how it is asked for, what it says.

    arguments: name -> pool of values. gives: a result's fields. says: the answer per language, from both.
    """

    name: str
    description: str
    arguments: dict[str, str]
    asked: dict[str, Wordings]
    gives: Callable[[Random], dict[str, Any]]
    says: dict[str, str]

    @property
    def spec(self) -> ToolSpec:
        return self.named({})

    def named(self, names: Mapping[str, str]) -> ToolSpec:
        """The function with other names for some of its arguments."""
        properties = {names.get(name, name): {"type": TYPES.get(name, "string")} for name in self.arguments}
        return ToolSpec(
            self.name,
            self.description,
            {"type": "object", "properties": properties, "required": list(properties)},
        )


def _weather(random: Random) -> dict[str, Any]:
    return {"sky": random.choice(SKIES)}


def _temperature(random: Random) -> dict[str, Any]:
    return {"degrees": random.randrange(2, 40)}


def _clock(random: Random) -> dict[str, Any]:
    return {"time": f"{random.randrange(0, 24):02}:{random.randrange(0, 60):02}"}


def _done(random: Random) -> dict[str, Any]:
    return {"ok": True}


def _price(random: Random) -> dict[str, Any]:
    return {"price": random.randrange(20, 900)}


def _distance(random: Random) -> dict[str, Any]:
    return {"kilometers": random.randrange(20, 900)}


def _id(random: Random) -> dict[str, Any]:
    return {"id": random.randrange(100, 1000)}


FUNCTIONS = (
    Function(
        "get_weather",
        "Gets the weather of a city.",
        {"city": "city"},
        {
            "English": (
                (
                    "what is the weather in {city}",
                    "how is the weather in {city}",
                    "weather in {city}",
                    "is it raining in {city}",
                    "tell me the weather in {city}",
                    "what is the weather like in {city}",
                    "{city} weather",
                    "how is the weather in {city} today",
                ),
                ("what is the weather in {city} today", "tell me how the weather is in {city}"),
            ),
            "Chinese": (
                (
                    "{city}的天氣如何",
                    "{city}天氣怎麼樣",
                    "查一下{city}的天氣",
                    "{city}現在下雨嗎",
                    "{city}的天氣",
                    "告訴我{city}的天氣",
                    "{city}今天的天氣好嗎",
                ),
                ("{city}今天天氣如何", "告訴我{city}天氣怎麼樣"),
            ),
        },
        _weather,
        {"English": "It is {sky} in {city}.", "Chinese": "{city}現在{sky}。"},
    ),
    Function(
        "get_temperature",
        "Gets the temperature in a city.",
        {"city": "city"},
        {
            "English": (
                (
                    "what is the temperature in {city}",
                    "how warm is it in {city}",
                    "how many degrees does {city} have",
                    "temperature in {city}",
                    "how cold is it in {city}",
                    "tell me the temperature in {city}",
                    "is it warm in {city}",
                ),
                ("how many degrees are there in {city}", "tell me how warm it is in {city}"),
            ),
            "Chinese": (
                (
                    "{city}幾度",
                    "{city}的氣溫是多少",
                    "{city}現在幾度",
                    "{city}熱不熱",
                    "查一下{city}的氣溫",
                    "{city}的溫度",
                    "告訴我{city}幾度",
                ),
                ("{city}的溫度是多少", "{city}現在的氣溫"),
            ),
        },
        _temperature,
        {"English": "It is {degrees} degrees in {city}.", "Chinese": "{city}現在 {degrees} 度。"},
    ),
    Function(
        "get_time",
        "Gets the local time of a city.",
        {"city": "city"},
        {
            "English": (
                (
                    "what time is it in {city}",
                    "what is the time in {city}",
                    "tell me the time in {city}",
                    "time in {city}",
                    "how late is it in {city}",
                    "what is the local time of {city}",
                ),
                ("tell me what time it is in {city}", "what is the local time in {city}"),
            ),
            "Chinese": (
                (
                    "{city}現在幾點",
                    "{city}幾點了",
                    "{city}的時間",
                    "{city}現在是什麼時間",
                    "查一下{city}的時間",
                    "告訴我{city}幾點",
                ),
                ("{city}現在幾點了", "告訴我{city}的時間"),
            ),
        },
        _clock,
        {"English": "It is {time} in {city}.", "Chinese": "{city}現在是 {time}。"},
    ),
    Function(
        "send_message",
        "Sends a text to a person.",
        {"to": "name", "text": "text"},
        {
            "English": (
                (
                    "send {to} the message: {text}",
                    "write to {to}: {text}",
                    "tell {to}: {text}",
                    "send a message to {to}: {text}",
                    "text {to}: {text}",
                    "message to {to}: {text}",
                    'send "{text}" to {to}',
                ),
                ("send a text to {to}: {text}", "write {to} the message: {text}"),
            ),
            "Chinese": (
                (
                    "傳訊息給{to}：{text}",
                    "寫給{to}：{text}",
                    "告訴{to}：{text}",
                    "傳給{to}：{text}",
                    "發訊息給{to}：{text}",
                    "把「{text}」傳給{to}",
                ),
                ("請傳訊息給{to}：{text}", "寫訊息給{to}：{text}"),
            ),
        },
        _done,
        {"English": "I sent the message to {to}.", "Chinese": "訊息已經傳給{to}。"},
    ),
    Function(
        "set_timer",
        "Sets a timer.",
        {"minutes": "minutes"},
        {
            "English": (
                (
                    "set a timer for {minutes} minutes",
                    "timer for {minutes} minutes",
                    "start a timer of {minutes} minutes",
                    "wake me in {minutes} minutes",
                    "set the timer to {minutes} minutes",
                    "{minutes} minutes timer",
                    "remind me in {minutes} minutes",
                ),
                ("start the timer for {minutes} minutes", "set a timer of {minutes} minutes"),
            ),
            "Chinese": (
                (
                    "設定{minutes}分鐘的計時器",
                    "計時{minutes}分鐘",
                    "{minutes}分鐘後叫我",
                    "設{minutes}分鐘計時器",
                    "幫我計時{minutes}分鐘",
                    "{minutes}分鐘後提醒我",
                ),
                ("請計時{minutes}分鐘", "幫我設定{minutes}分鐘的計時器"),
            ),
        },
        _done,
        {"English": "The timer is set to {minutes} minutes.", "Chinese": "計時器設為 {minutes} 分鐘。"},
    ),
    Function(
        "play_song",
        "Plays a song.",
        {"title": "song"},
        {
            "English": (
                (
                    "play {title}",
                    "play the song {title}",
                    "I want to hear {title}",
                    "start the song {title}",
                    "please play {title}",
                    "put on {title}",
                ),
                ("I want to hear the song {title}", "start {title}"),
            ),
            "Chinese": (
                ("播放{title}", "我想聽{title}", "放{title}這首歌", "播{title}", "放一首{title}", "來一首{title}"),
                ("我想聽{title}這首歌", "請播放{title}"),
            ),
        },
        _done,
        {"English": "Now {title} is playing.", "Chinese": "正在播放{title}。"},
    ),
    Function(
        "get_price",
        "Gets the price of a book.",
        {"title": "song"},
        {
            "English": (
                (
                    "what does the book {title} cost",
                    "how much is {title}",
                    "what is the price of {title}",
                    "price of the book {title}",
                    "tell me the price of {title}",
                    "how much does the book {title} cost",
                ),
                ("tell me what the book {title} costs", "what is the price for {title}"),
            ),
            "Chinese": (
                (
                    "{title}這本書多少錢",
                    "{title}的價格",
                    "{title}要多少錢",
                    "查一下{title}的價格",
                    "告訴我{title}多少錢",
                    "{title}價格是多少",
                ),
                ("{title}的價格是多少", "查一下{title}多少錢"),
            ),
        },
        _price,
        {"English": "{title} costs {price} dollars.", "Chinese": "{title}要 {price} 元。"},
    ),
    Function(
        "get_distance",
        "Gets the distance between two cities.",
        {"start": "city", "end": "city"},
        {
            "English": (
                (
                    "how far is it from {start} to {end}",
                    "what is the distance from {start} to {end}",
                    "distance from {start} to {end}",
                    "how many kilometers is it from {start} to {end}",
                    "I want to go from {start} to {end}, how far is it",
                    "is it far from {start} to {end}",
                ),
                ("tell me how far it is from {start} to {end}", "what is the distance between {start} and {end}"),
            ),
            "Chinese": (
                (
                    "從{start}到{end}有多遠",
                    "{start}到{end}的距離",
                    "{start}離{end}多遠",
                    "查一下從{start}到{end}的距離",
                    "從{start}到{end}要走幾公里",
                    "{start}和{end}距離多少",
                ),
                ("告訴我從{start}到{end}有多遠", "從{start}到{end}的距離是多少"),
            ),
        },
        _distance,
        {
            "English": "From {start} to {end} it is {kilometers} kilometers.",
            "Chinese": "從{start}到{end}有 {kilometers} 公里。",
        },
    ),
    Function(
        "book_hotel",
        "Books a hotel.",
        {"city": "city", "nights": "nights"},
        {
            "English": (
                (
                    "book a hotel in {city} for {nights} nights",
                    "I need a hotel in {city} for {nights} nights",
                    "a hotel in {city}, {nights} nights",
                    "hotel for {nights} nights in {city}",
                    "reserve {nights} nights in {city}",
                    "book {nights} nights in {city}",
                ),
                ("I need {nights} nights in {city}", "reserve a hotel in {city} for {nights} nights"),
            ),
            "Chinese": (
                (
                    "訂{city}的飯店{nights}晚",
                    "我要在{city}住{nights}晚",
                    "幫我訂{city}飯店，{nights}晚",
                    "在{city}訂{nights}晚飯店",
                    "預訂{city}{nights}晚",
                ),
                ("幫我訂{city}的飯店{nights}晚", "我要在{city}訂{nights}晚"),
            ),
        },
        _id,
        {
            "English": "The hotel in {city} is booked for {nights} nights, number {id}.",
            "Chinese": "{city}的飯店訂好了，{nights} 晚，編號 {id}。",
        },
    ),
    Function(
        "add_note",
        "Keeps a note.",
        {"text": "text"},
        {
            "English": (
                (
                    "note: {text}",
                    "make a note: {text}",
                    "write down: {text}",
                    "add a note: {text}",
                    "remember this: {text}",
                    "keep a note: {text}",
                ),
                ("add this note: {text}", "please note: {text}"),
            ),
            "Chinese": (
                (
                    "記下：{text}",
                    "筆記：{text}",
                    "新增筆記：{text}",
                    "幫我記：{text}",
                    "記一下：{text}",
                    "寫下：{text}",
                ),
                ("幫我記下：{text}", "新增一個筆記：{text}"),
            ),
        },
        _id,
        {"English": "The note has number {id}.", "Chinese": "筆記的編號是 {id}。"},
    ),
    Function(
        "get_birthday",
        "Looks up when a person was born.",
        {"name": "name"},
        {
            "English": (
                (
                    "when was {name} born",
                    "how old is {name}",
                    "what is the birthday of {name}",
                    "birthday of {name}",
                    "tell me the birthday of {name}",
                    "in which year was {name} born",
                ),
                ("tell me when {name} was born", "what year was {name} born"),
            ),
            "Chinese": (
                (
                    "{name}幾歲",
                    "{name}是哪年生的",
                    "{name}的生日",
                    "{name}哪年出生",
                    "查一下{name}的生日",
                    "告訴我{name}幾歲",
                ),
                ("查一下{name}哪年出生", "告訴我{name}的生日"),
            ),
        },
        lambda random: {"year": random.randrange(1940, 2016)},
        {"English": "{name} was born in {year}.", "Chinese": "{name}是 {year} 年生的。"},
    ),
)
