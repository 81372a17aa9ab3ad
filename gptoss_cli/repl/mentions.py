"""Files that a message names behind an @: which are there, which are not, and what Tab may go on with."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Letters and digits of ASCII before the @ are those of an address; Chinese needs no blank before it.
BEFORE = r"(?<![A-Za-z0-9_@])"
WORD = r"""[^\s"'@](?:[^\s@]|(?<=[A-Za-z0-9_])@)*"""
MENTION = re.compile(BEFORE + r"""@(?:"([^"\n]+)"|'([^'\n]+)'|(""" + WORD + "))")
BEGUN = re.compile(BEFORE + r"""@(?:"([^"\n]*)|'([^'\n]*)|(""" + WORD + "|))$")
# where a name without quotes may end: closing brackets and quotes, punctuation, and any letter that is not ASCII
END = re.compile(r"[,;:!?)\]}>\"'`]|[^\x00-\x7f]")
PUNCTUATION = re.compile(r"[,;:!?)\]}>\"'`\u2018-\u201f\u3000-\u303f\uff00-\uff0f\uff1a-\uff1e\uff3b-\uff65]")


@dataclass(frozen=True)
class Mention:
    """One @name. path: the file that it names; None: there is none, and problem says so when it looks like a path."""

    name: str
    path: Path | None
    problem: str | None = None


def mentions(text: str) -> Iterator[Mention]:
    """Each @name in `text`; each file once, however it is spelled."""
    seen = set()
    for double, single, word in MENTION.findall(text):
        quoted = double or single
        mention = _mention([quoted] if quoted else list(_readings(word)), quoted or _natural(word))
        key = os.path.realpath(mention.path) if mention.path else mention.name
        if key not in seen:
            seen.add(key)
            yield mention


def begun(text: str) -> tuple[str, str] | None:
    """(the quote or nothing, the name so far) of an @name that `text` ends with."""
    if not (found := BEGUN.search(text)):
        return None
    double, single, word = found.groups()
    return ('"', double) if double is not None else ("'", single) if single is not None else ("", word)


def _mention(readings: list[str], name: str) -> Mention:
    for each in readings:
        if os.path.isfile(path := os.path.expanduser(each)):  # False also for what can be no path at all
            return Mention(each, Path(path))
    looks_like_path = "/" in name or "." in name.strip(".") or name.startswith("~")
    if not looks_like_path:
        return Mention(name, None)
    is_folder = os.path.isdir(os.path.expanduser(name))
    return Mention(name, None, f"{name} is a folder" if is_folder else f"no file {name}")


def _readings(word: str) -> Iterator[str]:
    """What `word` may name, the longest first: `notes.txt),` also without what stands behind it."""
    ends = [len(word), *(found.start() for found in reversed(list(END.finditer(word))))]
    for end in ends:
        yield word[:end]
        if (shorter := word[:end].rstrip(".")) != word[:end]:
            yield shorter


def _natural(word: str) -> str:
    """The name in `word` as a reader sees it."""
    return PUNCTUATION.split(word, maxsplit=1)[0].rstrip(".")
