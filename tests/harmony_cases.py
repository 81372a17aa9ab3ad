"""The conformance cases of tests/data/harmony, and the vocabulary they are written in."""

import base64
import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data/harmony"

# the tools that the cases of parse.jsonl assume
TOOLS = ("functions.f", "functions.g", "browser.search", "browser.open", "browser.find", "python")


def cases(name: str) -> list[dict[str, Any]]:
    """The documents of one file of cases."""
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@cache
def o200k_pieces() -> list[bytes]:
    """The tokens of o200k_base (MIT, from OpenAI's tiktoken), in rank order."""
    data = lzma.decompress((DATA / "o200k_base.tiktoken.xz").read_bytes())
    return [base64.b64decode(line.split()[0]) for line in data.splitlines()]
