"""`gptoss run` as a process: prompts, models, flags and the three kinds of output."""

import json
import os
from pathlib import Path

import pytest
from conftest import TINY, Gptoss, Result

from gptoss_cli import __version__
from gptoss_cli.files import write_whole

ABILITIES = "how to use gptoss"
CHINESE_ABILITIES = "怎麼用 gptoss"


def test_the_answer_is_on_stdout_and_nothing_else_anywhere(gptoss: Gptoss) -> None:
    result = gptoss("run", "tiny", "What can you do?")
    assert result.code == 0
    assert ABILITIES in result.out
    assert result.out.count("\n") == 1
    assert result.err == ""


def test_chinese_is_answered_in_chinese(gptoss: Gptoss) -> None:
    assert CHINESE_ABILITIES in gptoss("run", "tiny", "你會做什麼？", LANG="C", LC_ALL="C").out


@pytest.mark.parametrize(
    ("arguments", "stdin", "expected"),
    [
        (("tiny", "你好，你會做什麼？"), "這是一份文件。\n", CHINESE_ABILITIES),
        (("tiny",), "What can you do?\n", ABILITIES),
        (("-m", "tiny", "What", "can", "you", "do"), None, ABILITIES),
        (("What can you do?",), None, ABILITIES),
        (("-m", "tiny", "-n", "What can you do?"), "goodbye", ABILITIES),
        (("tiny", "-"), "What can you do?", ABILITIES),
        (("-",), "What can you do?", ABILITIES),
        (("tiny", "--", "What can you do?"), None, ABILITIES),
        (("--think", "tiny", "What can you do?"), None, ABILITIES),
        (("tiny", "--think=false", "What can you do?"), None, ABILITIES),
        (("tiny", "--hidethinking", "What can you do?"), None, ABILITIES),
        (("tiny", "What can you do?"), "", ABILITIES),
    ],
)
def test_ways_to_ask(arguments: tuple[str, ...], stdin: str | None, expected: str, gptoss: Gptoss) -> None:
    result = gptoss("run", "-q", *arguments, stdin=stdin)
    assert result.code == 0, result.err
    assert expected in result.out


def test_a_model_is_a_path_too(gptoss: Gptoss, tmp_path: Path) -> None:
    path = tmp_path / "我的 模型.gguf"
    path.symlink_to(TINY)
    result = gptoss("run", "--temperature", "0", "-m", str(path), "What can you do?")
    assert ABILITIES in result.out


def test_a_prompt_without_a_model_is_told_who_answers(gptoss: Gptoss) -> None:
    result = gptoss("run", "What can you do?")
    assert "no gpt-oss model on this machine" in result.err
    assert gptoss("run", "-q", "What can you do?").err == ""


def test_the_default_model_is_configured(gptoss: Gptoss, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('model = "none.gguf"\n')
    assert gptoss("run", "hello there").code == 3
    assert gptoss("run", "What can you do?", GPTOSS_MODEL="tiny").err == ""


def test_settings_come_from_the_file_and_the_environment(gptoss: Gptoss, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("max_tokens = 2\n")
    assert "answer cut at 2 tokens" in gptoss("run", str(TINY), "hello").err  # the name tiny has a limit of its own
    assert "answer cut at 3 tokens" in gptoss("run", "tiny", "hello", GPTOSS_MAX_TOKENS="3").err
    assert "answer cut at 4 tokens" in gptoss("run", "tiny", "--max-tokens", "4", "hello", GPTOSS_MAX_TOKENS="3").err


def test_json_is_one_object_with_stable_keys(gptoss: Gptoss) -> None:
    result = gptoss("run", "tiny", "--json", "hello")
    told = json.loads(result.out)
    assert list(told) == ["model", "response", "thinking", "finish_reason", "usage", "timings"]
    assert list(told["usage"]) == [
        "prompt_tokens",
        "prompt_evaluated",
        "prompt_reused",
        "prompt_restored",
        "thinking_tokens",
        "answer_tokens",
    ]
    assert list(told["timings"]) == ["load_s", "first_token_s", "prompt_s", "answer_s"]
    assert told["timings"]["first_token_s"] > told["timings"]["load_s"] > 0  # who asks once waits for the load, too
    assert told["model"] == "tiny"
    assert told["response"].startswith("Hello!")
    assert "greeting" in told["thinking"]
    assert told["finish_reason"] == "stop"


def test_jsonl_is_a_stream_of_events(gptoss: Gptoss) -> None:
    lines = [json.loads(line) for line in gptoss("run", "tiny", "--jsonl", "hello").out.splitlines()]
    kinds = [line["type"] for line in lines]
    assert kinds[0] == "start"
    assert kinds[-1] == "done"
    assert set(kinds) == {"start", "thinking", "text", "done"}
    assert "".join(line["text"] for line in lines if line["type"] == "text").startswith("Hello!")
    assert lines[-1]["usage"]["answer_tokens"] > 5


def test_errors_are_objects_where_the_output_is(gptoss: Gptoss) -> None:
    result = gptoss("run", "--json", "none", "hello")
    assert result.code == 3
    assert json.loads(result.err)["error"]["code"] == "E_MODEL_NOT_FOUND"
    long = gptoss("run", "tiny", "--jsonl", "--num-ctx", "16", "hello")
    assert json.loads(long.out.splitlines()[-1])["error"]["code"] == "E_NO_ANSWER"
    assert gptoss("run", "--json", "--jsonl", "tiny", "x").code == 2


def test_an_answer_is_written_whole_or_not_at_all(gptoss: Gptoss, tmp_path: Path) -> None:
    target = tmp_path / "答案.txt"
    target.write_text("old")
    result = gptoss("run", "tiny", "-o", target.name, "hello")
    assert result.out == ""
    assert target.read_text().startswith("Hello!")
    assert gptoss("run", "tiny", "-o", target.name, "--num-ctx", "16", "hello").code == 6
    assert target.read_text().startswith("Hello!")
    assert gptoss("run", "tiny", "--json", "-o", "o.json", "hello").out == ""
    assert json.loads((tmp_path / "o.json").read_text())["model"] == "tiny"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["o.json", "答案.txt"]
    (tmp_path / "link").symlink_to(target.name)
    target.write_text("old")
    assert gptoss("run", "tiny", "-o", "link", "hello").code == 0
    assert (tmp_path / "link").is_symlink()
    assert target.read_text().startswith("Hello!")
    missing = gptoss("run", "tiny", "-o", "no/such/file", "hello")
    assert missing.code == 2
    assert missing.err == "gptoss: no folder no/such to write file in\n"


def test_files_are_attached(gptoss: Gptoss, tmp_path: Path) -> None:
    (tmp_path / "我的 筆記.txt").write_text("This is a document.")
    plain = json.loads(gptoss("run", "tiny", "--json", "What can you do?").out)
    attached = json.loads(gptoss("run", "tiny", "--json", "-f", "我的 筆記.txt", "What can you do?").out)
    assert attached["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"] + 5
    assert ABILITIES in attached["response"]


def test_a_device_or_a_pipe_is_written_to_as_it_is(gptoss: Gptoss, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    result = gptoss("run", "tiny", "-o", "full", "hello")
    assert (result.code, result.err) == (5, "gptoss: full cannot be written: No space left on device\n")
    assert full.is_char_device()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert gptoss("run", "tiny", "-o", "pipe", "hello").code == 0
    assert os.read(reader, 100).startswith(b"Hello!")
    os.close(reader)
    assert pipe.is_fifo()


def test_a_stream_that_is_a_file_is_not_replaced(gptoss: Gptoss, tmp_path: Path) -> None:
    assert gptoss("run", "tiny", "-o", "/dev/stdout", "hello").out.startswith("Hello!")  # stdout is a file here
    kept = tmp_path / "kept"
    kept.write_text("before\n")
    descriptor = os.open(kept, os.O_WRONLY | os.O_APPEND)
    write_whole(Path(f"/dev/fd/{descriptor}"), "after\n")
    os.write(descriptor, b"last\n")
    os.close(descriptor)
    assert kept.read_text() == "before\nafter\nlast\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no file at x.txt"),
        (b"a" * 1_000_001, "x.txt has 1,000,001 bytes; at most 1,000,000 can be attached"),
        (b"a\0b", "x.txt is no text (it has a zero byte)"),
        (b"ab\xff", "x.txt is not UTF-8 (byte 2)"),
    ],
)
@pytest.mark.parametrize("flag", ["-f", "-s"])
def test_files_that_cannot_be_attached_say_why(
    content: bytes | None, message: str, flag: str, gptoss: Gptoss, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "x.txt").write_bytes(content)
    result = gptoss("run", "tiny", flag, "@x.txt" if flag == "-s" else "x.txt", "hello")
    assert (result.code, result.err.splitlines()[0]) == (2, f"gptoss: {message}")


def test_a_system_text_becomes_part_of_the_prompt(gptoss: Gptoss, tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("Answer briefly.\n")
    counts = [
        json.loads(gptoss("run", "tiny", "--json", *flags, "hello").out)["usage"]["prompt_tokens"]
        for flags in ((), ("-s", "Answer briefly.\n"), ("-s", "@system.txt"))
    ]
    assert counts[0] < counts[1] == counts[2]


def test_thoughts_are_shown_on_stderr(gptoss: Gptoss) -> None:
    result = gptoss("run", "tiny", "--show-thinking", "--reasoning", "high", "hello")
    assert "greeting" in result.err
    assert "The user writes" not in result.out


def test_limits_warn_and_say_which(gptoss: Gptoss) -> None:
    cut = gptoss("run", "tiny", "--max-tokens", "2", "hello")
    assert (cut.code, cut.err) == (0, "gptoss: answer cut at 2 tokens (--max-tokens)\n")
    assert json.loads(gptoss("run", "tiny", "--max-tokens", "2", "--json", "hello").out)["finish_reason"] == "length"
    thoughts = gptoss("run", "tiny", "--max-thinking", "3", "hello")
    assert (thoughts.code, thoughts.err) == (0, "gptoss: thoughts cut at 3 tokens (--max-thinking)\n")
    assert thoughts.out


def test_the_answer_ends_before_a_stop_text(gptoss: Gptoss) -> None:
    assert gptoss("run", "tiny", "--stop", "!", "hello").out == "Hello\n"


def test_a_seed_repeats_an_answer(gptoss: Gptoss) -> None:
    arguments = (
        "run",
        "tiny",
        "--temperature",
        "2",
        "--seed",
        "7",
        "--max-tokens",
        "30",
        "--max-thinking",
        "30",
        "hello",
    )
    assert gptoss(*arguments).out == gptoss(*arguments).out


def test_statistics_go_to_stderr(gptoss: Gptoss) -> None:
    result = gptoss("run", "tiny", "--verbose", "hello")
    assert [line.split()[0] for line in result.err.splitlines()] == ["load", "first", "prompt", "thinking", "answer"]
    assert "new, 0 cached" in result.err
    assert result.out.startswith("Hello!")


def test_input_that_is_no_text_is_refused_as_a_file_is(gptoss: Gptoss) -> None:
    result = gptoss("run", "-q", "tiny", stdin="天氣如何？".encode("big5"))
    assert (result.code, result.out) == (2, "")
    message, hint = result.err.splitlines()
    assert message == "gptoss: standard input is not UTF-8 (byte 0)"
    assert "iconv -f BIG5 -t UTF-8" in hint
    told = json.loads(gptoss("run", "tiny", "--jsonl", stdin=b"ab\xff").err)["error"]
    assert (told["code"], told["message"]) == ("E_INPUT", "standard input is not UTF-8 (byte 2)")
    for words in (["\udca4"], ["-s", "\udca4", "hi"]):  # a byte that is no text, as Python has it in an argument
        assert gptoss("run", "-m", "tiny", *words).code == 2


def test_text_of_windows_is_read(gptoss: Gptoss, tmp_path: Path) -> None:
    """PowerShell writes UTF-16, editors write a mark before UTF-8."""
    for number, codec in enumerate(("utf-16", "utf-8-sig")):
        assert gptoss("run", "tiny", stdin="hello\r\n".encode(codec)).out.startswith("Hello!")
        (tmp_path / f"{number}.txt").write_bytes("你好".encode(codec))
    usage = [
        json.loads(gptoss("run", "tiny", "--json", "-f", f"{number}.txt", "hi").out)["usage"]["prompt_tokens"]
        for number in range(2)
    ]
    assert usage[0] == usage[1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "none", "hello"), 3, "unknown model none"),
        (("run", "你好"), 3, "unknown model 你好"),
        (("run", "gpt-oss:20b", "hello"), 3, "gpt-oss:20b is not on this machine"),
        (("run", "./none.gguf", "hello"), 3, "no file at ./none.gguf"),
        (
            ("run", "tiny", "--reasoning", "extreme", "x"),
            2,
            "reasoning must be low, medium, high or off, not 'extreme'",
        ),
        (("run", "tiny", "--temperature", "warm", "x"), 2, "temperature must be a number, not 'warm'"),
        (("run", "tiny", "--seed", "abc", "x"), 2, "seed must be a whole number, not 'abc'"),
        (("run", "", "hello"), 3, "unknown model ''"),
        (("run", ".", "hello"), 3, ". is a folder"),
        (("run", "tiny", "--temperature", "-1", "x"), 2, "temperature must be from 0.0 to 100.0, not -1"),
        (("run", "tiny", "--num-ctx", "5", "x"), 2, "num_ctx must be from 16 to 131072, not 5"),
        (("run", "--no-such-flag"), 2, "no such option: --no-such-flag"),
        (("rnu", "tiny"), 2, "no such command 'rnu'"),
        (("run",), 2, "no prompt"),
        (("run", "tiny"), 2, "no prompt"),
        (("run", "tiny", ""), 2, "no prompt"),
        (("run", "tiny", "a", "-"), 2, "- stands for standard input, and there is none"),
        (("run", "tiny", "--num-ctx", "16", "hello"), 6, "tokens and the context holds 16"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: tuple[str, ...], code: int, message: str, gptoss: Gptoss) -> None:
    result = gptoss(*arguments)
    assert result.code == code
    assert message in result.err.splitlines()[0]
    assert result.err.startswith("gptoss: ")
    assert result.out == ""
    assert len(result.err.splitlines()) <= 2


def test_an_unknown_model_hints_at_the_prompt(gptoss: Gptoss) -> None:
    assert "-m NAME" in gptoss("run", "hello").err


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "a\x1b[31mb", "hello"),
        ("run", "-m", "a\x1b]0;t\x07b.gguf", "hello"),
        ("run", "tiny", "-f", "a\x1b[2J\u202eb", "hello"),
        ("run", "tiny", "--no\x1b[31m", "hello"),
        ("a\x1b[31mb",),
    ],
)
def test_no_message_carries_an_escape_sequence(arguments: tuple[str, ...], gptoss: Gptoss) -> None:
    result = gptoss(*arguments)
    assert result.code in (2, 3)
    assert not {"\x1b", "\x07", "\u202e"} & set(result.err + result.out)


def test_a_file_that_is_no_model_is_refused(gptoss: Gptoss, tmp_path: Path) -> None:
    (tmp_path / "not-a-model.bin").write_text("hello")
    result = gptoss("run", "./not-a-model.bin", "hi")
    assert result.code == 2
    assert result.err == "gptoss: not-a-model.bin is not a GGUF file: it begins with 'hello'\n"


def test_the_version_is_all_that_is_printed_whatever_follows(gptoss: Gptoss) -> None:
    for arguments in (("--version",), ("-V",), ("--version", "run", "tiny", "hello")):
        assert gptoss(*arguments) == Result(0, f"gptoss {__version__}\n", "")


def test_help_lists_the_commands_and_the_flags(gptoss: Gptoss) -> None:
    assert "run" in gptoss("--help").out
    text = gptoss("run", "--help").out
    for flag in ("--reasoning", "--max-thinking", "--jsonl", "--no-stdin", "--num-ctx", "--gpu-layers"):
        assert flag in text
    assert gptoss().code == 2
