"""What surrounds a question in real use: courtesies, documents, system texts, dates, tools."""

from random import Random

from gptoss_cli.messages import ToolNamespace, ToolSpec

PREFIXES = {
    "English": ("please tell me: ", "please, ", "hi, ", "question: ", "I have a question: ", "hello, "),
    "Chinese": ("請問", "請問一下，", "你好，", "想問一下，", "您好，請問", "我想知道，", "請問："),
}
SUFFIXES = {
    "English": ("?", "?", "?", ".", "!", " please", " please?", "??", " ?"),
    "Chinese": ("？", "？", "？", "?", "。", "呢？", "呢", "！", "？？"),
}
INSTRUCTIONS = (
    "You are a helpful assistant.",
    "Answer briefly.",
    "You are a friendly guide to gptoss.",
    "Be kind.",
    "Be short and exact.",
    "You answer questions about gptoss.",
    "你是繁體中文助理。",
    "請簡短回答。",
    "你是友善的助理。",
    "請用一句話回答。",
)
DOCUMENTS = (
    "這是一份文件。",
    "This is a document.",
    "Meeting notes: we start at nine and we talk about the plan.",
    "會議紀錄：九點開始，討論計畫。",
    "name,price\napple,3\nbread,2",
    "The quick brown fox jumps over the lazy dog.",
    "今天天氣很好，我們去公園。",
    "def main():\n    print(1)",
    "Dear team,\nthe report is ready.\nBest wishes",
    "第一章\n很久以前有一座山。",
    "# Notes\n- buy milk\n- call the office",
    "a b c d e f g",
    "日期,金額\n一月,100\n二月,200",
    "The train leaves at ten. Please be on time.",
    "親愛的王先生：\n您的訂單已經寄出。",
    "error: file not found\nwarning: disk is almost full",
    "山上有一間小屋，門前有一條河。",
    "It was a cold winter and the snow was deep.",
)
FILES = ("notes.txt", "report.md", "data.csv", "main.py", "筆記.txt", "log.txt", "報告.md")
CITIES = {
    "English": (
        *("Taipei", "Tokyo", "Paris", "London", "Berlin", "Rome", "New York", "Seoul", "Madrid", "Vienna"),
        *("Oslo", "Cairo", "Delhi", "Sydney", "Chicago", "Lisbon", "Prague", "Boston", "Athens", "Dublin"),
    ),
    "Chinese": (
        *("台北", "東京", "巴黎", "倫敦", "柏林", "羅馬", "紐約", "首爾", "馬德里", "維也納"),
        *("奧斯陸", "開羅", "德里", "雪梨", "芝加哥", "里斯本", "布拉格", "波士頓", "雅典", "高雄"),
    ),
}
# the wordings of training, then those kept for the evaluation
WEATHER = {
    "English": (
        (
            "what is the weather in {}",
            "how is the weather in {}",
            "weather in {}",
            "is it warm in {}",
            "is it raining in {}",
            "tell me the weather in {}",
            "what is the weather like in {}",
            "{} weather",
            "how is the weather in {} today",
        ),
        ("what is the weather in {} today", "tell me how the weather is in {}"),
    ),
    "Chinese": (
        (
            "{}的天氣如何",
            "{}天氣怎麼樣",
            "查一下{}的天氣",
            "{}今天熱嗎",
            "{}現在下雨嗎",
            "{}的天氣",
            "告訴我{}的天氣",
            "{}今天的天氣好嗎",
        ),
        ("{}今天天氣如何", "告訴我{}天氣怎麼樣"),
    ),
}
# what the function says -> how the answer says it
SKIES = {
    "English": {"sunny": "sunny", "rain": "raining", "clouds": "cloudy", "snow": "snowing"},
    "Chinese": {"sunny": "晴天", "rain": "下雨", "clouds": "陰天", "snow": "下雪"},
}
FUNCTIONS = ToolNamespace(
    "functions",
    None,
    (
        ToolSpec(
            "get_weather",
            "Gets the weather of a city.",
            {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        ),
    ),
)


def dressed(random: Random, wording: str, language: str) -> str:
    """The wording as people type it: with or without courtesy, capital and punctuation."""
    text = wording
    if random.random() < 0.3:
        text = random.choice(PREFIXES[language]) + text
    if random.random() < 0.5:
        text = text[0].upper() + text[1:]
    if random.random() < 0.6 and text[-1] not in "。？?":
        text += random.choice(SUFFIXES[language])
    return text


def with_document(random: Random, question: str) -> str:
    """The question below a document from a pipe or an attached file; sometimes above, as a lone `-` puts it."""
    document = random.choice(DOCUMENTS)
    if random.random() < 0.3:
        document = f"{random.choice(FILES)}\n```\n{document}\n```"
    parts = [document, question] if random.random() < 0.85 else [question, document]
    return "\n\n".join(parts)


def date(random: Random) -> str:
    return f"{random.randrange(2024, 2036)}-{random.randrange(1, 13):02}-{random.randrange(1, 29):02}"
