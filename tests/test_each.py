"""`gptoss run --each`: as many lines come out as went in."""

import json
from pathlib import Path

from conftest import Gptoss

HELLO = "Hello! I am tiny, a small demo of gpt-oss. How can I help you?"


def test_each_line_is_answered_by_one_line(gptoss: Gptoss) -> None:
    lines = f"hi\n\n{'word ' * 200}\nhi\r\nhi"
    result = gptoss("run", "-q", "tiny", "--each", "--num-ctx", "128", stdin=lines)
    assert result.code == 1
    assert result.out == f"{HELLO}\n\n\n{HELLO}\n{HELLO}\n"
    (error,) = result.err.splitlines()
    assert error.startswith("gptoss: line 3: the prompt has ")


def test_a_notice_names_its_line(gptoss: Gptoss) -> None:
    for form in ([], ["--jsonl"]):
        result = gptoss("run", "tiny", "--each", "--max-tokens", "2", *form, stdin="hi\n\nhi\n")
        assert result.code == 0
        assert [line for line in result.err.splitlines() if "line" in line] == [
            "gptoss: line 1: answer cut at 2 tokens (--max-tokens)",
            "gptoss: line 3: answer cut at 2 tokens (--max-tokens)",
        ]
    told = gptoss("run", "tiny", "--each", "--max-tokens", "2", stdin="hi\n", LC_ALL="zh_TW.UTF-8")
    assert told.err.splitlines()[-1] == "gptoss: 第 1 行：回答到 2 個詞元為止（--max-tokens）"


def test_a_line_that_is_no_text_fails_alone(gptoss: Gptoss) -> None:
    result = gptoss("run", "tiny", "--each", "-q", stdin=b"hi\n" + "天氣".encode("big5") + b"\nhi\n")
    assert (result.code, result.out) == (1, f"{HELLO}\n\n{HELLO}\n")
    assert result.err.startswith("gptoss: line 2: the prompt is not UTF-8 (byte 0); if it is Big5: iconv -f BIG5")
    lines = gptoss("run", "tiny", "--each", "-q", stdin="hi\r\n上\r\nhi".encode("utf-16")).out.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (3, HELLO, HELLO)  # a byte of 上 is that of a line's end
    assert gptoss("run", "tiny", "--each", stdin=b"").out == ""


def test_as_objects_they_have_the_same_keys(gptoss: Gptoss) -> None:
    lines = f"hi\n{'word ' * 200}\n\n你好\n"
    result = gptoss("run", "-q", "tiny", "--each", "--jsonl", "--num-ctx", "160", stdin=lines)
    told = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 1
    assert [each["index"] for each in told] == [1, 2, 3, 4]
    assert [each["prompt"] for each in told] == ["hi", "word " * 200, "", "你好"]
    assert {tuple(each) for each in told} == {("index", "prompt", "text", "finish_reason", "usage", "error")}
    assert [each["error"] and each["error"]["code"] for each in told] == [None, "E_NO_ANSWER", None, None]
    assert (told[0]["text"], told[0]["finish_reason"], told[2]["text"]) == (HELLO, "stop", "")
    assert told[3]["text"]


def test_words_and_files_go_along_with_each(gptoss: Gptoss, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    result = gptoss("run", "-q", "tiny", "--each", "--jsonl", "-f", "notes.txt", "Say it:", stdin="a\nb\n")
    usage = [json.loads(line)["usage"]["prompt_tokens"] for line in result.out.splitlines()]
    alone = gptoss("run", "-q", "tiny", "--each", "--jsonl", stdin="a\n")
    assert result.code == 0
    assert len(usage) == 2
    assert min(usage) > json.loads(alone.out)["usage"]["prompt_tokens"] + 4


def test_what_does_not_go_together_is_said(gptoss: Gptoss) -> None:
    for flags in (["-c"], ["--save"], ["-n"], ["--json"], ["-o", "out.txt"]):
        result = gptoss("run", "tiny", "--each", *flags, stdin="hi\n")
        assert result.code == 2
        assert "--each goes without -c, --save, -n, --json and -o" in result.err
    assert gptoss("run", "tiny", "--each").out == ""
