"""Modelfiles: every case of Ollama's parser tests, where ours differ on purpose, and printing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gptoss_cli.errors import ModelfileError
from gptoss_cli.modelfile import INSTRUCTIONS, ROLES, Command, Modelfile, parse, written

Said = list[tuple[str, ...]]


def said(text: str) -> Said:
    return [
        (each.name, each.argument, each.value) if each.argument else (each.name, each.value)
        for each in parse(text).commands
    ]


# Ollama, parser/parser_test.go


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "\nFROM model1\nADAPTER adapter1\nLICENSE MIT\nPARAMETER param1 value1\nPARAMETER param2 value2\n"
            'TEMPLATE """{{ if .System }}<|start_header_id|>\n\n{{ .System }}<|eot_id|>{{ end }}"""    \n',
            [
                ("from", "model1"),
                ("adapter", "adapter1"),
                ("license", "MIT"),
                ("parameter", "param1", "value1"),
                ("parameter", "param2", "value2"),
                ("template", "{{ if .System }}<|start_header_id|>\n\n{{ .System }}<|eot_id|>{{ end }}"),
            ],
        ),
        ("FROM base\nDRAFT ./assistant", [("from", "base"), ("draft", "./assistant")]),
        (
            'FROM "     model 1"\nADAPTER      adapter3\nLICENSE "MIT       "\nPARAMETER param1        value1\n'
            'TEMPLATE """   X   """    \n',
            [
                ("from", "     model 1"),
                ("adapter", "adapter3"),
                ("license", "MIT       "),
                ("parameter", "param1", "value1"),
                ("template", "   X   "),
            ],
        ),
        ('FROM "FOO  BAR  "', [("from", "FOO  BAR  ")]),
        ('FROM "FOO BAR"\nPARAMETER param1 value1', [("from", "FOO BAR"), ("parameter", "param1", "value1")]),
        ("FROM     FOOO BAR    ", [("from", "FOOO BAR")]),
        ("FROM /what/is/the path ", [("from", "/what/is/the path")]),
        ("FROM foo", [("from", "foo")]),
        ("FROM /path/to/model", [("from", "/path/to/model")]),
        ("FROM /path/to/model/fp16.bin", [("from", "/path/to/model/fp16.bin")]),
        ("FROM llama3:latest", [("from", "llama3:latest")]),
        ("FROM llama3:7b-instruct-q4_K_M", [("from", "llama3:7b-instruct-q4_K_M")]),
        ("PARAMETER param1 value1\nFROM foo", [("parameter", "param1", "value1"), ("from", "foo")]),
        (
            "PARAMETER what the \nFROM lemons make lemonade ",
            [("parameter", "what", "the"), ("from", "lemons make lemonade")],
        ),
        ("FROM foo\nRENDERER renderer1", [("from", "foo"), ("renderer", "renderer1")]),
        ("FROM foo\nPARSER parser1", [("from", "foo"), ("parser", "parser1")]),
        ("\n# comment\nFROM foo\n\t", [("from", "foo")]),
        ("FROM test\n\tSYSTEM 你好👋", [("from", "test"), ("system", "你好👋")]),
        ("FrOm x", [("from", "x")]),
        ("FROM a\nFROM b", [("from", "a"), ("from", "b")]),
    ],
)
def test_files(text: str, expected: Said) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("line", "role", "text"),
    [
        (
            "MESSAGE system You are a file parser. Always parse things.",
            "system",
            "You are a file parser. Always parse things.",
        ),
        ("MESSAGE user Hey there!\n", "user", "Hey there!"),
        ("MESSAGE assistant Hello, I want to parse!\n", "assistant", "Hello, I want to parse!"),
        ('MESSAGE system """\nYou are multiline.\n"""\n\t\t', "system", "\nYou are multiline.\n"),
        ('MESSAGE user "a: b"', "user", "a: b"),
    ],
)
def test_messages(line: str, role: str, text: str) -> None:
    assert said(f"FROM foo\n{line}")[1:] == [("message", role, text)]


def test_several_messages_keep_their_order() -> None:
    lines = "MESSAGE system Parse.\nMESSAGE user Hey there!\nMESSAGE assistant Hello, I want to parse!"
    assert parse(f"FROM foo\n{lines}").messages == (
        ("system", "Parse."),
        ("user", "Hey there!"),
        ("assistant", "Hello, I want to parse!"),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"""\nThis is a\nmultiline system.\n"""', "\nThis is a\nmultiline system.\n"),
        ('"""\nThis is a\nmultiline system."""', "\nThis is a\nmultiline system."),
        ('"""This is a\nmultiline system."""', "This is a\nmultiline system."),
        ('"""This is a multiline system."""', "This is a multiline system."),
        ('"""\nThis is with "quotes".\n"""', '\nThis is with "quotes".\n'),
        ('""""""', ""),
        ('""', ""),
        ('"\'"', "'"),
        ('"""\'\'"\'""\'""\'"\'\'\'\'\'""\'""\'"""', "''\"'\"\"'\"\"'\"'''''\"\"'\"\"'"),
        ('"""\n{{ .Prompt }}\n"""', "\n{{ .Prompt }}\n"),
        ('"a\nb"', "a\nb"),
        ('"""a\n# not a comment\n"""', "a\n# not a comment\n"),
        ('""""quoted" start"""', '"quoted" start'),
        ('"""ends with quote""""', 'ends with quote"'),
        ('"""a""b"""', 'a""b'),
        ('hello "quoted" world', 'hello "quoted" world'),
        (" ", ""),
    ],
)
def test_quotes(value: str, expected: str) -> None:
    assert parse(f"FROM foo\nTEMPLATE {value}").last("template") == expected  # the file ends without a newline
    assert said(f"FROM foo\nSYSTEM {value}\nPARAMETER top_k 1") == [
        ("from", "foo"),
        ("system", expected),
        ("parameter", "top_k", "1"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *(
            (name, "1", "1")
            for name in [
                "num_ctx",
                "num_batch",
                "num_gqa",
                "num_gpu",
                "main_gpu",
                "num_thread",
                "num_keep",
                "seed",
                "num_predict",
                "top_k",
                "repeat_last_n",
            ]
        ),
        *((name, "true", "true") for name in ("numa", "use_mmap", "penalize_newline")),
        *((name, "1.0", "1.0") for name in ["top_p", "typical_p", "temperature", "repeat_penalty"]),
        *((name, "1.0", "1.0") for name in ["presence_penalty", "frequency_penalty"]),
        ("min_p", "0.05", "0.05"),
        ("stop", "### User:", "### User:"),
        ("stop", "### User: ", "### User:"),
        ("stop", '"### User:"', "### User:"),
        ("stop", '"### User: "', "### User: "),
        ("stop", '"""### User:"""', "### User:"),
        ("stop", '"""### User:\n"""', "### User:\n"),
        ("stop", "<|endoftext|>", "<|endoftext|>"),
        ("stop", "<|eot_id|>", "<|eot_id|>"),
        ("stop", "</s>", "</s>"),
        ("stop", '"a" "b"', 'a" "b'),
    ],
)
def test_parameters(name: str, value: str, expected: str) -> None:
    assert parse(f"FROM foo\nPARAMETER {name} {value}\n").parameters == ((name, expected),)


# what Ollama refuses, and what is said here


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Modelfile has no FROM line"),
        ("PARAMETER param1 value1", "Modelfile has no FROM line"),
        ("FROM foo\nPARAMETER param1\n", "Modelfile:2:11: parameter param1 has no value"),
        ("\nFROM foo\nBADCOMMAND param1 value1\n", "Modelfile:3:1: unknown instruction BADCOMMAND"),
        (
            "FROM foo\nMESSAGE badguy I'm bad!",
            "Modelfile:2:9: the role of a message is system, user or assistant, not 'badguy'",
        ),
        ("FROM foo\nMESSAGE USER hi", "Modelfile:2:9: the role of a message is system, user or assistant, not 'USER'"),
        ("FROM foo\nMESSAGE tool hi", "Modelfile:2:9: the role of a message is"),
        ("FROM foo\nMESSAGE system\n", "Modelfile:2:9: the message of the system has no text"),
        ("FROM foo\nMESSAGE system", "Modelfile:2:9: the message of the system has no text"),
        ('FROM foo\nSYSTEM """This is a multiline system.""\n', "Modelfile:2:8: the quotes of SYSTEM are never closed"),
        ('FROM foo\nSYSTEM "\n', "Modelfile:2:8: the quotes of SYSTEM are never closed"),
        ('FROM x\nSYSTEM "hello" world\nPARAMETER top_k 1', "Modelfile:2:15: text after the closing quote"),
        ("FROM x\nSYSTEM\n", "Modelfile:2:1: SYSTEM has no value"),
        ("FROM x\r\nSYSTEM\r\n", "Modelfile:2:1: SYSTEM has no value"),
        ("FROM", "Modelfile:1:1: FROM has no value"),
        ("FROM x\nPARAMETER top-k 1", "Modelfile:2:11: top-k is no parameter name"),
        ("FROM x\nFROM1 y", "Modelfile:2:1: unknown instruction FROM1"),
        ("FROM x\n= y", "Modelfile:2:1: unknown instruction ="),
        ("FROM x\n你好 y", "Modelfile:2:1: unknown instruction 你好"),
    ],
)
def test_errors_say_where_and_what(text: str, message: str) -> None:
    with pytest.raises(ModelfileError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


def test_an_error_shows_the_line_with_a_caret_under_the_place() -> None:
    with pytest.raises(ModelfileError) as caught:
        parse("FROM x\n\tMESSAGE 你好 hi\n", "mine.Modelfile")
    assert str(caught.value).splitlines()[1:] == ["  \tMESSAGE 你好 hi", "  \t        ^"]
    assert str(caught.value).startswith("mine.Modelfile:2:10: ")


def test_a_misspelt_instruction_is_recognised() -> None:
    with pytest.raises(ModelfileError) as caught:
        parse("FROM x\nSYTEM hi")
    assert caught.value.hint == "did you mean SYSTEM?"


# where ours is kinder


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_lines_end_in_three_ways(line_end: str) -> None:
    text = line_end.join(("# x", "FROM x", 'SYSTEM "a', 'b"', "PARAMETER top_k 1", ""))
    assert said(text) == [("from", "x"), ("system", f"a{line_end}b"), ("parameter", "top_k", "1")]


def test_several_blanks_may_stand_before_a_name() -> None:
    assert said("FROM x\nPARAMETER  top_k\t 40\nMESSAGE   user hi")[1:] == [
        ("parameter", "top_k", "40"),
        ("message", "user", "hi"),
    ]


@pytest.mark.parametrize("text", ["全形　空格", "👩‍👩‍👧 family", "a\u00a0b", "\u200bx", "bell\x07", "　開頭"])
def test_no_letter_is_lost(text: str) -> None:
    assert parse(f"FROM x\nSYSTEM {text}\n").last("system") == text


def test_what_may_not_be_meant_is_remarked() -> None:
    file = parse('FROM x\nPARAMETER temperature 0.5 # hot\nPARAMETER stop "a" "b"\nSYSTEM a#b "c" d\n')
    assert [(each.line, each.column) for each in file.remarks] == [(2, 27), (3, 19)]
    assert "line of its own" in file.remarks[0].text
    assert "text after a closing quote" in file.remarks[1].text


def test_a_value_can_stand_between_lines_of_ones_own() -> None:
    text = 'FROM x\nMESSAGE assistant <<END\ndef f():\n    """Doc."""\n    """\n\nEND\nSYSTEM <<END\nSYSTEM <<A\n\nA\n'
    file = parse(text)
    assert file.messages == (("assistant", 'def f():\n    """Doc."""\n    """\n'),)
    assert file.values("system") == ("<<END", "")


# printing


PIECES = ['"', '"""', "\n", "\r", "\t", " ", "#", "a", "中", "\u3000", "👩\u200d👧", "<<END", "END", "\\", "'", "{"]
texts = st.lists(st.sampled_from(PIECES)).map("".join)
words = texts | st.text()
commands = st.one_of(
    st.builds(Command, st.sampled_from(sorted(set(INSTRUCTIONS) - {"parameter", "message"})), words),
    st.builds(Command, st.just("parameter"), words, st.from_regex(r"[a-z0-9_]+", fullmatch=True)),
    st.builds(Command, st.just("message"), words, st.sampled_from(ROLES)),
)


@given(st.lists(commands, max_size=5), words)
@example([Command("system", '"""'), Command("system", "<<END\nEND\n")], '"a" and b')
@example([Command("license", "\nEND\r"), Command("system", "\r\nEND \r\n")], '"""\r')
@example([Command("license", 'a"""\nb'), Command("license", "END\nEND_")], " ")
def test_what_is_printed_says_the_same(listed: list[Command], source: str) -> None:
    file = Modelfile((Command("from", source), *listed))
    again = parse(str(file))
    assert again == file
    assert not again.remarks
    assert str(again) == str(file)


HEAD = "FROM foo\nADAPTER adapter1\nLICENSE MIT\nPARAMETER param1 value1\nPARAMETER param2 value2\nTEMPLATE t\n"
GREETER = 'MESSAGE system """\nYou are a store greeter. Always respond with "Hello!".\n"""\nMESSAGE user Hey there!\n'


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "MESSAGE system You parse.\nMESSAGE user Hey there!\nMESSAGE assistant Hello, I want to parse!\n",
        HEAD + GREETER,
        'FROM foo\nADAPTER adapter1\nLICENSE """\nVery long.\n"quoted line"\n"""\n' + GREETER,
        'FROM foo\nSYSTEM ""\n',
    ],
)
def test_the_files_that_ollama_prints_and_reads_again(text: str) -> None:
    assert parse(str(parse(text))) == parse(text)


def test_a_draft_is_printed() -> None:
    assert "DRAFT ./assistant" in str(parse("FROM base\nDRAFT ./assistant"))


@given(st.text(alphabet=st.sampled_from('FROMSYTE "\n\r\t#a<')) | st.text())
def test_any_text_is_a_modelfile_or_an_error_with_a_place(text: str) -> None:
    try:
        file = parse(text)
    except ModelfileError as error:
        assert str(error).startswith("Modelfile")  # noqa: PT017
    else:
        assert parse(str(file)) == file


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("You help.", "You help."),
        ("a\nb", '"""a\nb"""'),
        ("", '""""""'),
        ('"hi"', '""""hi""""'),
        ("x # y", '"""x # y"""'),
    ],
)
def test_the_simplest_notation_is_taken(value: str, expected: str) -> None:
    assert written(value) == expected
