"""Blocks in triple quotes, as Ollama has them: `\"\"\"` opens one, and a line that ends with them closes it."""

import re

QUOTES = '"""'
OPENED = re.compile(r'\s*(?:/set\s+system\s+)?"""')


def is_open(text: str) -> bool:
    """Whether `text` begins a block and its last line does not end it.

    Text that is typed ends at the first line that ends with the quotes, for it is sent then; text that is pasted may
    have such lines within.
    """
    opened = OPENED.match(text)
    return opened is not None and not text[opened.end() :].rstrip().endswith(QUOTES)


def unquoted(text: str) -> str:
    """`text` without the triple quotes around it, and without the ends of lines next to them."""
    stripped = text.strip()
    if not stripped.startswith(QUOTES) or is_open(stripped):
        return text
    return stripped[len(QUOTES) : -len(QUOTES)].strip("\n")
