"""Ways to ask for something: frames around what is wanted, and the words of slots. Knows no intent."""

import re
from collections.abc import Sequence
from random import Random

DOING = {
    "English": (
        "how do I {}",
        "how do I {}",
        "how can I {}",
        "how to {}",
        "how should I {}",
        "can I {}",
        "I want to {}",
        "I would like to {}",
        "is there a way to {}",
        "show me how to {}",
        "tell me how to {}",
        "what is the command to {}",
        "help me to {}",
        "{}",
    ),
    "Chinese": (
        "怎麼{}",
        "怎麼{}",
        "如何{}",
        "要怎麼{}",
        "該怎麼{}",
        "可以{}嗎",
        "能{}嗎",
        "我想{}",
        "我想要{}",
        "我要{}",
        "告訴我怎麼{}",
        "教我{}",
        "{}要怎麼做",
        "{}的指令是什麼",
        "{}",
    ),
}
EXPLAINING = {
    "English": (
        "what is {}",
        "explain {}",
        "can you explain {}",
        "tell me about {}",
        "what does {} mean",
        "what do you know about {}",
        "what is meant by {}",
        "I want to know about {}",
        "{}",
    ),
    "Chinese": (
        "什麼是{}",
        "{}是什麼",
        "說明{}",
        "解釋{}",
        "介紹{}",
        "{}是什麼意思",
        "可以說明{}嗎",
        "告訴我{}",
        "我想知道{}",
        "{}",
    ),
}
# words that training sees, and words that only the evaluation does
SLOTS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "English": {
        "country": (
            ("France", "Spain", "Italy", "Germany", "Brazil", "Canada", "China", "India", "Korea", "Mexico", "Egypt"),
            ("Japan", "Norway"),
        ),
        "person": (
            (
                "Albert Einstein",
                "Mozart",
                "Napoleon",
                "Marie Curie",
                "Shakespeare",
                "Beethoven",
                "Bach",
                "Plato",
                "Darwin",
            ),
            ("Isaac Newton", "Galileo"),
        ),
        "food": (
            ("rice", "soup", "bread", "pasta", "fish", "a cake", "potatoes", "noodles", "tea"),
            ("an egg", "beans"),
        ),
        "thing": (("sky", "moon", "sun", "sea", "sand", "earth", "snow", "river", "grass", "fire"), ("wind", "rain")),
        "quality": (("blue", "red", "hot", "cold", "deep", "white", "big", "heavy", "green", "wet"), ("salty", "dark")),
        "animal": (("cats", "dogs", "birds", "horses", "whales", "bees", "lions", "cows"), ("elephants", "mice")),
        "number": (("2", "3", "5", "7", "12", "20", "31", "100"), ("9", "44")),
        "tongue": (("German", "French", "Spanish", "Japanese", "Latin", "Italian"), ("Greek", "Polish")),
        "relative": (("boss", "mother", "teacher", "friend", "brother"), ("sister", "father")),
        "science": (
            ("quantum physics", "gravity", "the internet", "democracy", "a black hole", "electricity", "a car"),
            ("evolution", "the telephone"),
        ),
    },
    "Chinese": {
        "country": (
            ("法國", "西班牙", "義大利", "德國", "巴西", "加拿大", "中國", "印度", "韓國", "墨西哥", "埃及"),
            ("日本", "挪威"),
        ),
        "person": (("愛因斯坦", "莫札特", "拿破崙", "居禮夫人", "李白", "貝多芬", "孔子", "達爾文"), ("牛頓", "杜甫")),
        "food": (("飯", "湯", "麵包", "麵", "魚", "蛋糕", "馬鈴薯", "茶", "水餃"), ("蛋", "豆腐")),
        "thing": (("天空", "月亮", "太陽", "大海", "沙子", "地球", "雪", "河", "草", "火"), ("風", "星星")),
        "quality": (("是藍色的", "是紅色的", "很熱", "很冷", "很深", "是白色的", "很大", "很重"), ("是鹹的", "很亮")),
        "animal": (("貓", "狗", "鳥", "馬", "鯨魚", "蜜蜂", "獅子", "牛"), ("大象", "老鼠")),
        "number": (("2", "3", "5", "7", "12", "20", "31", "100"), ("9", "44")),
        "tongue": (("德文", "法文", "西班牙文", "日文", "義大利文"), ("希臘文", "韓文")),
        "relative": (("老闆", "媽媽", "老師", "朋友", "哥哥"), ("姊姊", "爸爸")),
        "science": (("量子物理", "重力", "網際網路", "民主", "黑洞", "電", "汽車"), ("演化", "電話")),
    },
}


def composed(language: str, doing: Sequence[str], explaining: Sequence[str]) -> list[str]:
    """Every frame around every phrase, without doubles."""
    framed = [frame.format(phrase) for frame in DOING[language] for phrase in doing]
    framed += [frame.format(phrase) for frame in EXPLAINING[language] for phrase in explaining]
    return list(dict.fromkeys(framed))


def filled(random: Random, wording: str, language: str, *, held_out: bool = False) -> str:
    """The wording with a word in each slot; held_out: a word that training never sees there."""
    return re.sub(r"{(\w+)}", lambda slot: random.choice(SLOTS[language][slot[1]][held_out]), wording)


def plain(wording: str) -> str:
    """What two wordings have in common that differ in spacing, punctuation and capitals only."""
    return re.sub(r"\W+", "", wording.lower())
