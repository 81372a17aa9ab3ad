"""What surrounds a question in real use: courtesies, documents, system texts."""

from random import Random

PREFIXES = {
    "English": ("please tell me: ", "please, ", "hi, ", "question: ", "I have a question: ", "hello, "),
    "Chinese": ("請問", "請問一下，", "你好，", "想問一下，", "您好，請問", "我想知道，", "請問："),
}
SUFFIXES = {
    "English": ("?", "?", "?", ".", "!", " please", " please?", "??", " ?"),
    "Chinese": ("？", "？", "？", "?", "。", "呢？", "呢", "！", "？？"),
}
# they change nothing
INSTRUCTIONS = (
    "You are a helpful assistant.",
    "Be kind.",
    "You answer questions about gptoss.",
    "Be friendly.",
    "You help people.",
    "Be exact.",
    "你是友善的助理。",
    "請友善。",
    "你回答 gptoss 的問題。",
    "請仔細。",
    "你幫助別人。",
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


def noise(random: Random, said: str) -> str:
    """What a cat types, or somebody who tries how much is taken: the same again and again."""
    return random.choice(("", "", " ", "\n")).join([said] * int(10 ** random.uniform(0.7, 2.4)))
