"""What is copied: names, places, numbers. Per kind and language those of training, then those it never sees there.

Training mostly makes them up (`INVENTIONS`), so that copying is learnt as such and not by heart.
"""

import re
from collections.abc import Callable
from functools import cache
from random import Random

from training.corpus.intents import intents

Pool = tuple[tuple[str, ...], tuple[str, ...]]

POOLS: dict[str, dict[str, Pool]] = {
    "English": {
        "name": (
            (
                *("Ann", "Ben", "Carl", "Dora", "Emma", "Frank", "Greta", "Henry", "Iris", "Jack", "Kate", "Leo"),
                *("Maria", "Nina", "Otto", "Paula", "Rosa", "Sam", "Tina", "Victor", "Wendy", "Alice", "Bruno"),
                *("Clara", "David", "Elena", "Felix", "Hugo", "Julia", "Karl", "Linda", "Martin", "Nora", "Oscar"),
                *("Peter", "Robert", "Sofia", "Thomas", "Vera", "Walter", "Anita", "Boris", "Daniel", "Edith"),
            ),
            ("Mona", "Rico", "Selma", "Arno", "Lara", "Tobias", "Irma", "Denis", "Carola", "Ernest", "Marta", "Nils"),
        ),
        "color": (
            (
                *("red", "blue", "green", "yellow", "black", "white", "brown", "pink", "orange", "gray", "gold"),
                *("dark blue", "light green", "dark red", "light gray", "dark green", "light brown", "silver"),
            ),
            ("purple", "light blue", "dark brown", "light red", "violet", "dark gray"),
        ),
        "city": (
            (
                *("Taipei", "Tokyo", "Paris", "London", "Berlin", "Rome", "New York", "Seoul", "Madrid", "Vienna"),
                *("Oslo", "Cairo", "Delhi", "Sydney", "Chicago", "Lisbon", "Prague", "Boston", "Athens", "Dublin"),
                *("Hanoi", "Lima", "Milan", "Osaka", "Toronto", "Denver", "Geneva", "Moscow", "Dallas", "Bern"),
            ),
            ("Kyoto", "Warsaw", "Helsinki", "Naples", "Tainan", "Seattle", "Porto", "Havana", "Leeds", "Lyon"),
        ),
        "job": (
            (
                *("sailor", "baker", "pirate", "teacher", "doctor", "gardener", "farmer", "painter", "robot", "knight"),
                *("poet", "driver", "singer", "nurse", "pilot", "hunter", "clown", "tailor", "dancer", "wizard"),
            ),
            ("cook", "captain", "writer", "detective", "miner"),
        ),
        "dish": (
            ("rice", "soup", "bread", "pasta", "fish", "noodles", "pizza", "salad", "curry", "steak", "pancakes"),
            ("dumplings", "beans", "toast", "lentils", "potatoes"),
        ),
        "text": (
            (
                *("I am late", "See you soon", "The train is late", "Call me back", "Dinner is ready", "Good luck"),
                *("Come home", "I am at work", "The plan is good", "We start at nine", "Buy milk", "Open the door"),
                *("Call the office", "Water the plants", "Pay the rent", "Send the report", "Buy bread", "Read a book"),
            ),
            ("I am home", "The dinner is late", "Buy a book", "The report is good", "We start soon", "Pay the office"),
        ),
        "song": (
            ("Blue Moon", "Red River", "Green Hills", "Night Train", "Summer Rain", "Old Friend", "First Snow"),
            ("Blue River", "Summer Night", "Old Train", "Green Moon"),
        ),
        "prefix": (
            (
                *(
                    "Ahoy!",
                    "Well,",
                    "Dear friend,",
                    "Listen:",
                    "OK,",
                    "Sure!",
                    "Answer:",
                    "Yes,",
                    "My friend,",
                    "Look:",
                ),
                *("Hear me:", "Good news:", "In short:", "Note:", "Hm,", "Oh,", "Wow!", "Arr!", "So,", "Fine,"),
            ),
            ("Of course!", "Dear reader,", "Good friend,", "Short answer:", "Ho ho!", "My answer:", "Well well,"),
        ),
        "thing": (
            ("bridge", "tower", "museum", "library", "castle", "garden", "school", "station", "hotel", "theater"),
            ("harbor", "temple", "market"),
        ),
    },
    "Chinese": {
        "name": (
            (
                *("小明", "小美", "志明", "春嬌", "大華", "美玲", "建國", "淑芬", "家豪", "怡君", "俊傑", "雅婷"),
                *("王小明", "林美華", "陳大文", "張志明", "李春花", "黃建國", "吳淑芬", "劉家豪", "蔡怡君", "楊俊傑"),
                *("阿明", "阿華", "小安", "小文", "文雄", "麗華", "秀英", "玉珍", "國強", "美惠", "建宏", "雅文"),
            ),
            ("小華", "美君", "志豪", "家文", "王大明", "林志華", "陳美玲", "張家豪", "阿文", "建文", "小玲"),
        ),
        "color": (
            (
                "紅色",
                "藍色",
                "綠色",
                "黃色",
                "黑色",
                "白色",
                "棕色",
                "橘色",
                "灰色",
                "金色",
                "深藍色",
                "淺綠色",
                "深紅色",
            ),
            ("紫色", "粉紅色", "淺藍色", "深綠色", "銀色"),
        ),
        "city": (
            (
                *("台北", "東京", "巴黎", "倫敦", "柏林", "羅馬", "紐約", "首爾", "馬德里", "維也納", "奧斯陸"),
                *(
                    "開羅",
                    "德里",
                    "雪梨",
                    "芝加哥",
                    "里斯本",
                    "布拉格",
                    "波士頓",
                    "雅典",
                    "高雄",
                    "新竹",
                    "花蓮",
                    "基隆",
                ),
            ),
            ("台南", "台中", "京都", "大阪", "嘉義", "米蘭", "台東", "北京", "南京"),
        ),
        "job": (
            (
                "水手",
                "麵包師",
                "海盜",
                "老師",
                "醫生",
                "園丁",
                "農夫",
                "畫家",
                "機器人",
                "騎士",
                "詩人",
                "司機",
                "歌手",
            ),
            ("廚師", "船長", "作家", "偵探"),
        ),
        "dish": (
            ("飯", "湯", "麵包", "麵", "魚", "披薩", "沙拉", "咖哩", "牛排", "蛋餅", "水餃", "蛋糕"),
            ("豆腐", "火鍋", "肉粽", "蛋炒飯"),
        ),
        "text": (
            (
                *("我會晚到", "待會見", "火車晚到", "請回電", "晚餐好了", "祝你好運", "快回家", "我在上班", "計畫很好"),
                *("九點開始", "買牛奶", "請開門", "打電話給公司", "澆花", "繳房租", "寄報告", "買麵包", "看書"),
            ),
            ("我在家", "晚餐晚到", "買書", "報告很好", "請繳房租", "待會打電話"),
        ),
        "song": (
            ("藍色月亮", "紅河", "青山", "夜車", "夏天的雨", "老朋友", "初雪"),
            ("藍色的河", "夏天的夜", "青山的雪", "老火車"),
        ),
        "prefix": (
            (
                *(
                    "好的，",
                    "當然！",
                    "朋友，",
                    "聽好：",
                    "答案：",
                    "嗯，",
                    "喔，",
                    "親愛的朋友，",
                    "注意：",
                    "簡單說，",
                ),
                *("哈囉！", "是的，", "我的朋友，", "看：", "好消息：", "哇！", "那麼，"),
            ),
            ("沒問題！", "好朋友，", "我的答案：", "親愛的讀者，", "說明：", "好好好，"),
        ),
        "thing": (
            ("橋", "塔", "博物館", "圖書館", "城堡", "花園", "學校", "車站", "飯店", "劇院"),
            ("港", "寺", "市場"),
        ),
    },
}

# of made-up words: half of them easy ones; the others have every letter and the clusters of many languages
EASY = (
    ("b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "br", "tr", "st", "kl"),
    ("a", "e", "i", "o", "u", "a", "e", "o"),
    ("", "", "", "n", "r", "l", "s", "m", "t"),
)
ANY = (
    (
        *"bcdfghjklmnpqrstvwxyz",
        *("ch", "sh", "th", "wr", "cl", "bl", "gl", "fl", "sl", "pl", "cr", "dr", "fr", "gr", "pr", "sk", "sp", "sw"),
        *("", "", "lj", "sch", "zh", "qu", "ph", "kr", "gw", "ts"),
    ),
    ("a", "e", "i", "o", "u", "y", "ai", "ea", "ee", "ei", "ia", "ie", "oo", "ou", "au", "ue", "eya", "io"),
    ("", "", "n", "r", "l", "s", "m", "t", "k", "d", "ck", "ng", "th", "x", "z", "p", "w", "nd", "rt", "lf", "c", "v"),
)
INVENTED = 0.7  # how often training says a word of no pool
REPEATED = 0.25  # of the prefixes


@cache
def words(language: str) -> tuple[str, ...]:
    """Lower-case words of all that is asked and answered; single Chinese characters of that and of all values.

    Characters of held-out values, too: one that training never writes cannot be copied.
    """
    said = [" ".join((*each.wordings, each.answer)) for each in intents() if each.language == language]
    if language == "Chinese":
        said += [" ".join((*trained, *apart)) for trained, apart in POOLS[language].values()]
    texts = " ".join(said)
    found = re.findall(r"[\u4e00-\u9fff]" if language == "Chinese" else r"\b[a-z]{2,9}\b", texts)
    return tuple(sorted(set(found)))


def made(random: Random, language: str) -> str:
    """A word that nobody has heard: copying it takes reading it."""
    if language == "Chinese":
        return "".join(random.sample(words(language), random.choice((2, 2, 3))))
    sounds, counts = random.choice(((EASY, (1, 2, 2, 3)), (ANY, (1, 1, 2))))
    word = "".join(random.choice(each) for _ in range(random.choice(counts)) for each in sounds)
    return word.capitalize()


def _any(random: Random, language: str, count: int) -> str:
    """So many words or characters, in no order that makes sense."""
    said = random.sample(words(language), count)
    if language == "Chinese":
        return "".join(said)
    return " ".join(made(random, language).lower() if random.random() < 0.3 else word for word in said)


def _prefix(random: Random, language: str) -> str:
    """One to four words or characters, some of them said twice or three times: what repeats itself is hard to copy."""
    said = _any(random, language, random.choice((1, 1, 2, 2, 3) if language == "English" else (1, 2, 3, 4)))
    if random.random() < REPEATED:
        said = (" " if language == "English" else "").join([said] * random.choice((2, 2, 3)))
    return _first(said) + random.choice("!:,." if language == "English" else "！：，。")


def _first(text: str) -> str:
    return text[0].upper() + text[1:]


INVENTIONS: dict[str, dict[str, Callable[[Random], str]]] = {
    "English": {
        "name": lambda random: made(random, "English"),
        "color": lambda random: random.choice(("", "", "dark ", "light ")) + _any(random, "English", 1),
        "city": lambda random: made(random, "English"),
        "job": lambda random: _any(random, "English", 1),
        "dish": lambda random: _any(random, "English", 1),
        "text": lambda random: _first(_any(random, "English", random.randrange(2, 6))),
        "song": lambda random: _any(random, "English", 2).title(),
        "prefix": lambda random: _prefix(random, "English"),
        "thing": lambda random: _any(random, "English", 1),
    },
    "Chinese": {
        "name": lambda random: made(random, "Chinese"),
        "color": lambda random: _any(random, "Chinese", random.choice((1, 1, 2))) + "色",
        "city": lambda random: made(random, "Chinese"),
        "job": lambda random: made(random, "Chinese"),
        "dish": lambda random: _any(random, "Chinese", random.choice((1, 2, 3))),
        "text": lambda random: _any(random, "Chinese", random.randrange(2, 7)),
        "song": lambda random: random.choice(("", "的")).join(
            _any(random, "Chinese", count) for count in (random.choice((1, 2)), random.choice((1, 2)))
        ),
        "prefix": lambda random: _prefix(random, "Chinese"),
        "thing": lambda random: _any(random, "Chinese", random.choice((1, 2))),
    },
}


def value(random: Random, kind: str, language: str, *, held_out: bool) -> str:
    """One of a pool; in training mostly a made-up one, and never one that is held out."""
    trained, apart = POOLS[language][kind]
    if held_out:
        return random.choice(apart)
    if random.random() < INVENTED:
        drawn = INVENTIONS[language][kind](random)
        if drawn not in apart:
            return drawn
    return random.choice(trained)


def number(random: Random, *, held_out: bool) -> int:
    """10 to 999; those of the evaluation are the ones divisible by seven."""
    while True:
        drawn = random.randrange(10, 1000) if random.random() < 0.7 else random.randrange(2, 100)
        if (drawn % 7 == 0) is held_out:
            return drawn


def date(random: Random) -> str:
    return f"{random.randrange(2024, 2036)}-{random.randrange(1, 13):02}-{random.randrange(1, 29):02}"
