"""`gptoss create`, `list`, `show`, `where`, `cp`, `rm` as processes, on a real model."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import TINY, Gptoss, process_environment
from lora import write_lora
from on_terminal import on_terminal

from gptoss_cli import modelfile
from gptoss_cli.cli.create import presets
from gptoss_cli.library.model import TINY_PRESET

KEYS = {"name", "architecture", "size_bytes", "context_length", "quantization", "weights", "system", "parameters"}
KEYS |= {"messages", "template", "license", "adapters"}

TEXT = """\
# a preset
FROM tiny
PARAMETER temperature 0
PARAMETER stop "!"
PARAMETER num_ctx 4096
SYSTEM "說明　「引號」
tab\tand 👩‍👩‍👧"
MESSAGE user hi
MESSAGE assistant Hello.
LICENSE MIT
"""


def shown(gptoss: Gptoss, name: str) -> dict[str, object]:
    told = json.loads(gptoss("show", name, "--json").out)
    assert isinstance(told, dict)
    return told


def names(gptoss: Gptoss) -> list[str]:
    return gptoss("list", "-q").out.split()


def test_a_model_is_made_run_shown_copied_and_removed(gptoss: Gptoss) -> None:
    made = gptoss("create", "mine", "-f", "-", stdin=TEXT)
    assert (made.code, made.out, made.err) == (0, "", "created mine\n")
    assert gptoss("run", "mine", "-s", "", "hello").out.endswith("Hello\n")  # the preset's stop text
    assert "Hello! I am tiny" in gptoss("run", "mine", "-s", "", "--stop", "?", "hello").out
    assert gptoss("cp", "mine", "me/other:2").err == "copied mine to me/other:2\n"
    assert names(gptoss) == ["me/other:2", "mine", "tiny"]
    assert gptoss("rm", "mine", "me/other:2").err == "removed mine\nremoved me/other:2\n"
    assert names(gptoss) == ["tiny"]
    assert TINY.is_file()
    assert gptoss("run", "mine", "hello").code == 3


def test_show_tells_what_the_model_is(gptoss: Gptoss, home: Path) -> None:
    gptoss("create", "mine", "-f", "-", stdin=TEXT)
    told = shown(gptoss, "mine")
    assert set(told) >= KEYS
    assert told["parameters"] == {**TINY_PRESET, "stop": ["!"], "num_ctx": 4096}
    assert told["system"] == "說明　「引號」\ntab\tand 👩‍👩‍👧"
    assert told["messages"] == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."}]
    assert (told["architecture"], told["quantization"], told["license"]) == ("gpt-oss", "MXFP4", "MIT")
    assert (told["weights"], told["size_bytes"]) == (str(TINY), TINY.stat().st_size)
    assert gptoss("show", "mine", "--system").out == f"{told['system']}\n"
    assert gptoss("show", "mine", "--license").out == "MIT\n"
    assert 'stop                    "!"' in gptoss("show", "mine", "--parameters").out
    rows = [line.split("\t") for line in gptoss("show", "mine").out.splitlines()]
    assert all(
        row in rows for row in (["architecture", "gpt-oss"], ["quantization", "MXFP4"], ["parameter", "stop", "!"])
    )
    assert ["message", "user", "hi"] in rows
    assert ["system", json.dumps(told["system"], ensure_ascii=False)] in rows
    _, text = on_terminal(process_environment(home), "show", "mine")
    for words in ("architecture    gpt-oss", "parameters      8,5", "quantization    MXFP4", "user: hi"):
        assert words in text
    assert gptoss("where", "mine").out == f"{TINY}\n"


def test_what_show_prints_makes_the_same_model(gptoss: Gptoss) -> None:
    gptoss("create", "mine", "-f", "-", stdin=TEXT)
    printed = gptoss("show", "mine", "--modelfile").out
    assert gptoss("create", "again", "-f", "-", stdin=printed).code == 0
    assert gptoss("show", "again", "--modelfile").out == printed
    same = shown(gptoss, "again") | {"name": "mine", "modified": ""}
    assert same == shown(gptoss, "mine") | {"modified": ""}


@pytest.mark.soak
def test_a_model_builds_on_another_and_outlives_it(gptoss: Gptoss) -> None:
    gptoss("create", "mine", "-f", "-", stdin=TEXT)
    gptoss("create", "child", "-f", "-", stdin='FROM mine\nSYSTEM ""\nPARAMETER num_ctx 8192\n')
    gptoss("rm", "mine")
    told = shown(gptoss, "child")
    assert told["system"] is None
    assert told["parameters"] == {**TINY_PRESET, "stop": ["!"], "num_ctx": 8192}
    assert gptoss("run", "child", "hello").out.endswith("Hello\n")


@pytest.mark.soak
def test_a_path_is_relative_to_the_modelfile_and_weights_may_go(gptoss: Gptoss, tmp_path: Path) -> None:
    folder = tmp_path / "我的 模型"
    folder.mkdir()
    shutil.copy(TINY, folder / "w.gguf")
    (folder / "Modelfile").write_text("FROM ./w.gguf\nPARAMETER temperature 0\n")
    assert gptoss("create", "mine", "-f", "我的 模型/Modelfile").code == 0
    assert gptoss("run", "mine", "hello").out.startswith("Hello!")
    assert gptoss("where", "mine").out == f"{folder / 'w.gguf'}\n"
    (folder / "w.gguf").unlink()
    problem = f"the weights of mine are gone: {folder / 'w.gguf'}"
    for arguments in (("run", "mine", "hello"), ("show", "mine"), ("show", "mine", "--json"), ("where", "mine")):
        gone = gptoss(*arguments)
        assert (gone.code, gone.out) == (3, "")
        assert problem in gone.err
    assert gptoss("show", "mine", "--modelfile").out == f"FROM {folder / 'w.gguf'}\nPARAMETER temperature 0\n"
    assert "temperature" in gptoss("show", "mine", "--parameters").out
    listed = gptoss("ls")
    assert (listed.code, listed.err) == (0, "")
    row = listed.out.splitlines()[0].split("\t")
    assert (row[0], row[1], row[3]) == ("mine", "-", problem)
    mine = json.loads(gptoss("list", "--json").out)[0]
    assert (mine["name"], mine["weights"], mine["size_bytes"], mine["problem"]) == ("mine", None, None, problem)
    assert gptoss("list", "-q").out == "mine\ntiny\n"
    shutil.copy(TINY, folder / "w.gguf")
    assert json.loads(gptoss("list", "--json").out)[0]["problem"] is None
    assert gptoss("rm", "mine").code == 0


@pytest.mark.soak
def test_an_adapter_is_found_from_anywhere_and_inherited(gptoss: Gptoss, tmp_path: Path) -> None:
    folder = tmp_path / "lora"
    folder.mkdir()
    zero, strong = write_lora(folder / "zero.gguf", 0.0), write_lora(folder / "strong.gguf", 0.5)
    (folder / "Modelfile").write_text(
        "FROM tiny\nADAPTER ./zero.gguf\nPARAMETER temperature 0\nPARAMETER num_predict 8\n"
    )
    made = gptoss("create", "mine", "-f", "lora/Modelfile")
    assert (made.code, made.err) == (0, "created mine\n")
    plain = gptoss("run", "tiny", "--reasoning", "off", "--max-tokens", "8", "hello").out
    assert gptoss("run", "mine", "--reasoning", "off", "hello").out == plain
    assert shown(gptoss, "mine")["adapters"] == [str(zero)]
    assert f"\nadapter\t{zero}\n" in gptoss("show", "mine").out
    assert f"\nADAPTER {zero}\n" in gptoss("show", "mine", "--modelfile").out
    gptoss("create", "child", "-f", "-", stdin="FROM mine\nSYSTEM x\n")
    gptoss("create", "other", "-f", "-", stdin="FROM mine\nADAPTER lora/strong.gguf\n")
    assert shown(gptoss, "child")["adapters"] == [str(zero)]
    assert shown(gptoss, "other")["adapters"] == [str(strong)]
    assert gptoss("run", "other", "--reasoning", "off", "hello").out != plain
    zero.unlink()
    gone = gptoss("run", "mine", "hello")
    assert (gone.code, f"the adapter of mine is gone: {zero}" in gone.err) == (3, True)
    listed = {each["name"]: each["problem"] for each in json.loads(gptoss("list", "--json").out)}
    assert listed == {
        "child": f"the adapter of child is gone: {zero}",
        "mine": f"the adapter of mine is gone: {zero}",
        "other": None,
        "tiny": None,
    }


def test_list_is_for_programs_when_no_terminal_sees_it(gptoss: Gptoss) -> None:
    gptoss("create", "mine", "--preset", "coder", "--from", "tiny")
    rows = [line.split("\t") for line in gptoss("ls").out.splitlines()]
    assert [row[:2] for row in rows] == [["mine", "6.0 MB"], ["tiny", "6.0 MB"]]
    assert gptoss("list", "mi", "-q").out == "mine\n"
    told = json.loads(gptoss("list", "--json").out)
    assert set(told[0]) == {"name", "base", "size_bytes", "modified", "weights", "problem"}


@pytest.mark.parametrize("preset", sorted(presets()))
def test_every_preset_that_comes_along_can_be_made_and_run(preset: str, gptoss: Gptoss) -> None:
    made = gptoss("create", preset, "--preset", preset, "--from", "tiny")
    assert (made.code, made.err) == (0, f"created {preset}\n")
    file = modelfile.parse(presets()[preset])
    assert file.source == "gpt-oss:20b"
    assert presets()[preset].startswith("# ")
    assert shown(gptoss, preset)["system"] == file.last("system")
    answer = gptoss("run", preset, "--temperature", "0", "hello")
    assert answer.code == 0
    assert answer.out.strip()


def test_the_presets_are_listed_with_their_purpose(gptoss: Gptoss) -> None:
    lines = gptoss("create", "--list-presets").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(presets())
    assert {"zh-tw", "coder", "translator", "commit-message", "json", "tutor"} <= set(presets())
    assert all(len(line.split("\t")[1]) > 10 for line in lines)
    told = json.loads(gptoss("create", "--list-presets", "--json").out)
    assert [f"{each['name']}\t{each['purpose']}" for each in told] == lines
    folder = Path(__file__).parent.parent / "modelfiles"
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.Modelfile" for name in sorted(presets())]


def test_a_folder_with_one_model_is_that_model_and_hides_none(gptoss: Gptoss, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "w").mkdir()
    for name in ("x-00001-of-00002.gguf", "x-00002-of-00002.gguf"):
        (tmp_path / "w" / name).symlink_to(TINY)
    assert gptoss("create", "mine", "-f", "-", stdin="FROM tiny\nDRAFT w\n").code == 0
    assert f"DRAFT {tmp_path / 'w'}\n" in gptoss("show", "mine", "--modelfile").out
    assert shown(gptoss, "mine")["weights"] == str(TINY)
    assert gptoss("create", "mine", "-f", "-", stdin="FROM ./w\n").code == 0
    (tmp_path / "w/other.gguf").symlink_to(TINY)
    several = gptoss("create", "mine", "-f", "-", stdin="FROM ./w\n")
    assert several.code == 2
    assert "name one: other.gguf, x-00001-of-00002.gguf" in several.err


@pytest.mark.soak
def test_a_run_has_the_system_text_and_the_messages_of_its_preset(gptoss: Gptoss) -> None:
    def tokens(*arguments: str) -> int:
        return int(json.loads(gptoss("run", *arguments, "--json", "hello").out)["usage"]["prompt_tokens"])

    gptoss("create", "bare", "-f", "-", stdin="FROM tiny\n")
    gptoss("create", "spoken", "-f", "-", stdin="FROM tiny\nMESSAGE user hi\nMESSAGE assistant Hello.\n")
    gptoss("create", "told", "-f", "-", stdin="FROM tiny\nSYSTEM Answer in verse, always.\n")
    assert tokens("spoken") > tokens("bare")
    assert tokens("told") > tokens("bare")
    assert tokens("told", "-s", "Answer in verse, always.") == tokens("told")
    assert tokens("told", "-s", "") == tokens("bare")


def test_check_makes_nothing(gptoss: Gptoss) -> None:
    fine = gptoss("create", "--check", "-f", "-", stdin="FROM tiny\nPARAMETER tempature 1\n")
    assert fine.code == 0
    assert fine.err.splitlines() == [
        "gptoss: standard input:2:1: unknown parameter tempature is left out; did you mean temperature?",
        "standard input is fine",
    ]
    assert names(gptoss) == ["tiny"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (("create", "x", "-f", "none"), None, 3, "no file at none"),
        (("create", "x"), None, 3, "no file at Modelfile"),
        (("create",), None, 2, "no name for the model"),
        (("create", "x", "-f", "-"), "FRM tiny\n", 2, "standard input:1:1: unknown instruction FRM"),
        (("create", "x", "-f", "-"), "FROM tiny\n ADAPTER a.gguf\n", 3, "standard input:2:10: no file at /"),
        (
            ("create", "x", "-f", "-"),
            "FROM tiny\nADAPTER .\n",
            2,
            " is a folder\n  ADAPTER .\n          ^\n  give the LoRA's .gguf",
        ),
        (("create", "x", "-f", "-"), f"FROM tiny\nADAPTER {TINY}\n", 2, "is no adapter: it is a gpt-oss model"),
        (("create", "x", "-f", "-"), "FROM tiny\nADAPTER a\nADAPTER b\n", 2, "input:3:9: only one ADAPTER can be used"),
        (("create", "x", "-f", "-"), "FROM gpt-oss:20b\n", 3, "gpt-oss:20b is not on this machine"),
        (
            ("create", "x", "-f", "-"),
            "# 1\nFROM none\n",
            3,
            "standard input:2:6: unknown model none\n  FROM none\n       ^\n  known: tiny, gpt-oss:20b",
        ),
        (("create", "x", "-f", "-", "--from", "none"), "FROM tiny\n", 3, "gptoss: unknown model none\n"),
        (("create", "x", "-f", "-"), "FROM ./none\n", 3, "standard input:1:6: no file at ./none"),
        (("create", "x", "-f", "-"), "FROM ~nobody-here/x.gguf\n", 3, "1:6: no file at ~nobody-here/x.gguf"),
        (("create", "x", "-f", "~nobody-here/x"), None, 3, "no file at ~nobody-here/x"),
        (("create", "x", "-f", "-"), "FROM \n", 2, "standard input:1:6: FROM has no value"),
        (("create", "x", "-f", "-"), "FROM streams\n", 3, "1:6: no .gguf in the folder"),
        (("create", "x", "-f", "-"), "FROM ./a.gguf\nDRAFT a.gguf\n", 2, "2:7: DRAFT must not reference the same"),
        (("create", "x", "-f", "-"), "FROM .\nDRAFT .\n", 2, "2:7: DRAFT must not reference the same local path as"),
        (("create", "x", "-f", "-"), "FROM tiny\nDRAFT ./none\n", 3, "2:7: no file at /"),
        (("run", "~nobody-here/x.gguf", "hi"), None, 3, "no file at ~nobody-here/x.gguf"),
        (("create", "a b", "-f", "-"), "FROM tiny\n", 2, "'a b' is no model name"),
        (("create", "tiny", "-f", "-"), "FROM tiny\n", 2, "tiny is the name of a model that exists"),
        (("create", "gpt-oss:20b", "-f", "-"), "FROM tiny\n", 2, "gpt-oss:20b is the name of a model that exists"),
        (("create", "x", "--preset", "none"), None, 3, "unknown preset none"),
        (("create", "x", "--preset", "json", "-f", "-"), "", 2, "give one of them"),
        (("show", "none"), None, 3, "unknown model none"),
        (("show", "tiny", "--json", "--system"), None, 2, "only one of"),
        (("cp", "none", "x"), None, 3, "unknown model none"),
        (("cp", "tiny", "tiny"), None, 2, "tiny is the name of a model that exists"),
        (("rm", "none"), None, 3, "unknown model none"),
        (("rm", "tiny"), None, 2, "tiny is built in"),
        (("where", "none"), None, 3, "unknown model none"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], stdin: str | None, code: int, message: str, gptoss: Gptoss
) -> None:
    result = gptoss(*arguments, stdin=stdin)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert names(gptoss) == ["tiny"]


def test_an_error_shows_the_line_and_leaves_the_old_model(gptoss: Gptoss, tmp_path: Path) -> None:
    gptoss("create", "mine", "-f", "-", stdin=TEXT)
    before = shown(gptoss, "mine")
    shutil.copy(Path(__file__).parent / "data/broken.Modelfile", tmp_path)
    broken = gptoss("create", "mine", "-f", "broken.Modelfile")
    assert broken.code == 2
    assert broken.err.splitlines() == [
        "gptoss: broken.Modelfile:4:1: unknown instruction SYTEM",
        "  SYTEM 你是助理",
        "  ^",
        "  did you mean SYSTEM?",
    ]
    assert shown(gptoss, "mine") == before


def test_one_of_several_that_cannot_be_removed_does_not_stop_the_others(gptoss: Gptoss) -> None:
    for name in ("a", "b"):
        gptoss("create", name, "-f", "-", stdin="FROM tiny\n")
    result = gptoss("rm", "a", "none", "b")
    assert result.code == 3
    assert names(gptoss) == ["tiny"]


def test_names_that_no_file_can_have(gptoss: Gptoss) -> None:
    long = "a" * 5000
    for arguments in (
        ["show", long],
        ["run", "-m", long, "hi"],
        ["import", long],
        ["create", "x", "--check", "-f", "-"],
    ):
        result = gptoss(*arguments, stdin=f"FROM ./{long}\n")
        assert (result.code, "Traceback" in result.err) == (3, False), arguments[0]


def test_a_path_with_the_end_of_a_line_is_one_row(gptoss: Gptoss, tmp_path: Path) -> None:
    folder = tmp_path / "a\nb\tc"
    folder.mkdir()
    (folder / "m.gguf").write_bytes(TINY.read_bytes())
    gptoss("import", str(folder / "m.gguf"), "--name", "mine")
    row = gptoss("list", "mine").out.rstrip("\n").split("\t")
    assert (len(row), row[3]) == (4, str(folder / "m.gguf").replace("\n", " ").replace("\t", " "))
    assert json.loads(gptoss("list", "mine", "--json").out)[0]["weights"] == str(folder / "m.gguf")


def test_a_path_that_is_no_utf_8_is_refused_in_a_line(gptoss: Gptoss, tmp_path: Path) -> None:
    folder = tmp_path / "d\udcff"
    folder.mkdir()
    (folder / "m.gguf").write_bytes(TINY.read_bytes())
    result = gptoss("import", str(folder / "m.gguf"), "--name", "mine")
    assert result.code == 2
    assert "in it is no UTF-8" in result.err
    assert "Traceback" not in result.err
    assert gptoss("show", "mine").code == 3


def test_the_parameters_are_the_same_in_words_and_as_json(gptoss: Gptoss) -> None:
    parameters = ("num_predict 5", "use_mmap T", "stop a", "stop b", "top_k 3")
    text = "FROM tiny\n" + "".join(f"PARAMETER {each}\n" for each in parameters)
    gptoss("create", "all", "-f", "-", stdin=text)
    told = shown(gptoss, "all")["parameters"]
    own = {"num_predict": 5, "stop": ["a", "b"], "top_k": 3, "use_mmap": True}
    assert told == {"temperature": 0.0, "max_thinking": 512, **own}  # and no max_tokens, which num_predict is
    lines = [line.split() for line in gptoss("show", "all", "--parameters").out.splitlines()]
    assert lines == [
        ["temperature", "0.0"],
        ["max_thinking", "512"],
        ["num_predict", "5"],
        ["stop", '"a"'],
        ["stop", '"b"'],
        ["top_k", "3"],
        ["use_mmap", "true"],
    ]


def test_a_preset_can_be_checked_before_its_model_is_fetched(gptoss: Gptoss) -> None:
    result = gptoss("create", "--check", "--preset", "coder")
    assert (result.code, result.out) == (0, "")
    assert "gpt-oss:20b is not on this machine; fetch it with: gptoss pull gpt-oss:20b" in result.err
    assert result.err.endswith("coder.Modelfile is fine\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "x", "-f", ""), "-f needs the name of a file"),
        (("create", "x", "-f", "/dev/zero"), "/dev/zero is no Modelfile: it has more than 4,000,000 bytes"),
        (("create", "x", "--preset", "json", "--json"), "--json goes with --list-presets"),
        (("import", ""), "nothing to import"),
    ],
)
def test_input_that_says_nothing_or_never_ends(arguments: tuple[str, ...], told: str, gptoss: Gptoss) -> None:
    result = gptoss(*arguments)
    assert (result.code, result.out) == (2, "")
    assert told in result.err
