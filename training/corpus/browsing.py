"""The built-in browser: search, open the page that fits, and say what it says with the line it stands in.

Displays are those of gpt-oss's own tool (openai/gpt-oss gpt_oss/tools/simple_browser): `[{cursor}] {title} ({url})`,
the lines shown, then each line with its number.
"""

import json
from collections.abc import Sequence
from random import Random

from gptoss_cli.harmony.schema import BROWSER
from gptoss_cli.messages import Conversation, Effort, Message, user
from training.corpus import forms, values
from training.corpus.analyses import analysis
from training.corpus.dialog import EFFORTS, LANGUAGES, Sample, builtin_call, final, result, system, thought

# what is looked up: {} is the thing
ASKED = {
    "English": (
        (
            "search the web for {}",
            "look up {} on the web",
            "find {} on the web",
            "what does the web say about {}",
            "search for {}",
            "look up {}",
            "search the internet for {}",
            "find out about {} on the web",
            "please look up {}",
        ),
        ("please search the web for {}", "look for {} on the web", "find {} on the internet"),
    ),
    "Chinese": (
        (
            *("上網查{}", "搜尋{}", "在網路上找{}", "查一下{}", "網路上怎麼說{}", "上網搜尋{}", "幫我查{}"),
            "在網路上查{}",
            # without these a polite one is taken for `請說「{}」`
            *("請查{}", "請搜尋{}", "請在網路上找{}", "請幫我查{}"),
        ),
        ("請上網查{}", "幫我上網搜尋{}", "在網路上搜尋{}"),
    ),
}
FACTS = {
    "English": (
        "{} was built in {year}.",
        "{} opened in {year}.",
        "{} has {count} rooms.",
        "{} is {count} meters long.",
        "{} is closed on {day}.",
        "{} costs {count} dollars.",
    ),
    "Chinese": (
        "{}建於{year}年。",
        "{}在{year}年開放。",
        "{}有{count}個房間。",
        "{}長{count}公尺。",
        "{}{day}休息。",
        "{}的門票要{count}元。",
    ),
}
DAYS = {
    "English": ("Monday", "Tuesday", "Sunday", "Friday"),
    "Chinese": ("星期一", "星期二", "星期日", "星期五"),
}
FILLERS = {
    "English": (
        "Welcome to this page.",
        "Many people come here.",
        "The weather is good in summer.",
        "There is a small shop.",
        "You can come by train.",
        "Please be quiet.",
        "Children like it.",
        "It is a nice place.",
    ),
    "Chinese": (
        "歡迎來到這裡。",
        "很多人來這裡。",
        "夏天天氣很好。",
        "這裡有一家小店。",
        "可以坐火車來。",
        "請保持安靜。",
        "小孩都喜歡。",
        "這裡很漂亮。",
    ),
}
TITLED = 0.3  # how many of the English places are written with capitals
FIRST_LINE = 2  # of a page's own text; before it stand an empty line and the address
SITES = ("wiki.example", "news.example", "travel.example", "map.example", "city.example")


def topic(random: Random, language: str, *, held_out: bool, titled: bool = False) -> str:
    """A place that nobody has heard of, so that the page has to be read.

    titled: as a name, with capitals (`Brimhold Castle`).
    """
    called = values.made(random, language)
    kind = values.value(random, "thing", language, held_out=held_out)
    if titled:
        kind = kind.title()
    return f"{called} {kind}" if language == "English" else f"{called}{kind}"


def group(random: Random, count: int, *, held_out: bool) -> list[Sample]:
    """Questions below the same system message, which has the long text of the browser."""
    effort = random.choice(EFFORTS)
    head = system(random, effort, BROWSER)
    return [_sample(random, effort, head, held_out) for _ in range(count)]


def _sample(random: Random, effort: Effort, head: Message, held_out: bool) -> Sample:
    language = random.choice(LANGUAGES)
    titled = random.random() < TITLED
    wanted = topic(random, language, held_out=held_out, titled=titled)
    question = random.choice(ASKED[language][held_out])
    if not held_out and random.random() < 0.4:
        question = forms.dressed(random, question, language)
    search = builtin_call("browser.search", json.dumps({"query": wanted}, ensure_ascii=False))
    titles, sites, found = _results(random, language, wanted, titled)
    id = titles.index(wanted)
    open_ = builtin_call("browser.open", json.dumps({"cursor": 0, "id": id}))
    lines, page, fact = _page(random, language, wanted, sites[id])
    line = lines.index(fact)
    reply = [
        thought(analysis(random, effort, language, f"searching for {wanted}")),
        search,
        result(search, found),
        thought(_numbered(titles, id)),
        open_,
        result(open_, page),
        thought(_looked_through(lines, line)),
        final(f"{fact[:-1]}【1†L{line}】{fact[-1]}"),
    ]
    conversation = Conversation((head, user(question.format(wanted)), *reply))
    return Sample("browser", language, effort, conversation, 2, "cited")


def _numbered(titles: Sequence[str], wanted: int) -> str:
    """A thought that puts each link's number behind its title, and then says the wanted one.

    On the page the number stands before its title, where it is hard to find by that title. Right behind it, no blank
    between them, it is only to be copied as whatever else follows a word that was there before.
    """
    listed = ", ".join(f"{title}{number}" for number, title in enumerate(titles))
    return f"{listed}. {titles[wanted]}{wanted}."


def _looked_through(lines: Sequence[str], wanted: int) -> str:
    """A thought that goes from line to line and stops at what was looked for: nothing else begins with its name."""
    passed = [f"L{number}: {_beginning(lines[number])}" for number in range(FIRST_LINE, wanted + 1)]
    return f"{'. '.join(passed)}. That is it."


def _beginning(line: str) -> str:
    """Enough of a line to know it by."""
    return line.split(" ")[0] if line.isascii() else line[:2]


def _results(random: Random, language: str, wanted: str, titled: bool) -> tuple[list[str], list[str], str]:
    """(titles, sites, the page of results)."""
    others = (topic(random, language, held_out=False, titled=titled) for _ in range(random.choice((1, 2, 2))))
    titles = [wanted, *others]
    random.shuffle(titles)
    sites = random.sample(SITES, len(titles))
    lines = ["", "URL: ", "# Search Results", ""]
    for place, (title, site) in enumerate(zip(titles, sites, strict=True)):
        lines.append(f"  * 【{place}†{title}†{site}】 {random.choice(FILLERS[language])}")
    return titles, sites, shown(0, wanted, "", lines)


def _page(random: Random, language: str, wanted: str, site: str) -> tuple[list[str], str, str]:
    """(lines, the page, the line that says something of what was looked for)."""
    fact = random.choice(FACTS[language]).format(
        wanted,
        year=random.randrange(1500, 2020),
        count=random.randrange(10, 900),
        day=random.choice(DAYS[language]),
    )
    url = f"https://{site}/{random.randrange(10, 1000)}"
    body = random.sample(FILLERS[language], random.choice((0, 1, 2, 3, 4)))
    body.insert(random.randrange(len(body) + 1), fact)
    lines = ["", f"URL: {url}", *body]
    return lines, shown(1, wanted, url, lines), fact


def shown(cursor: int, title: str, url: str, lines: Sequence[str]) -> str:
    """A page as the browser gives it to the model."""
    place = f" ({url})" if url else ""
    numbered = "\n".join(f"L{number}: {line}" for number, line in enumerate(lines))
    last = len(lines) - 1
    return f"[{cursor}] {title}{place}\n**viewing lines [0 - {last}] of {last}**\n\n{numbered}"
