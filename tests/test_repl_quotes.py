"""Blocks in triple quotes: open until a line ends with them, and sent without them."""

import random

from gptoss_cli.repl.quotes import is_open, unquoted

PIECES = ['"""', '"', "a", " b ", "", '"""doc"""', 'x"""', '"""y', '""', "\\"]


def test_every_typed_block_ends_at_the_first_line_that_ends_with_quotes() -> None:
    """As Ollama reads lines: the first loses the quotes it begins with, the last those it ends with."""
    picked = random.Random(7)
    closed = 0
    for _ in range(5000):
        lines = ["".join(picked.choices(PIECES, k=picked.randint(0, 3))) for _ in range(6)]
        lines[0] = '"""' + lines[0]
        typed = ""
        for number, line in enumerate(lines):
            typed += line
            ends = (line[3:] if number == 0 else line).rstrip().endswith('"""')
            assert is_open(typed) is not ends, typed
            if ends:
                closed += 1
                assert unquoted(typed) == typed.strip()[3:-3].strip("\n")
                break
            assert unquoted(typed) == typed
            typed += "\n"
    assert closed > 1000


def test_text_without_quotes_before_it_is_sent_at_once_and_as_it_is() -> None:
    for text in ("a", 'a """ b', 'say """', '""', "", '//"""'):
        assert not is_open(text)
        assert unquoted(text) == text


def test_a_pasted_block_may_have_such_lines_within() -> None:
    assert is_open('"""\ndef f():\n    """doc"""\n    return 1')
    assert unquoted('"""\ndef f():\n    """doc"""\n    return 1\n"""') == 'def f():\n    """doc"""\n    return 1'


def test_a_system_text_may_be_a_block() -> None:
    assert is_open('/set system """be')
    assert not is_open('/set system """be\nbrief"""')
    assert not is_open('/name """be')


def test_blocks_open_and_close() -> None:
    for text in ('"""', '""""', '"""""', '"""a', '"""a\nb', '"""\nx """ y\nz', '"""a""" b', '  """a'):
        assert is_open(text), text
    for text in ('""""""', '"""a"""', '"""a\nb"""', '"""\n"""doc"""', '"""\nx """ y\nz"""', '"""a\n"""  '):
        assert not is_open(text), text
