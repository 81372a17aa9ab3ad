"""`gptoss completion` and what Tab offers, in real shells: in bash always, in zsh and fish with -m soak."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from conftest import Gptoss, process_environment
from forking import Forker
from shells import Shell, program

from gptoss_cli import completions, modelfile
from gptoss_cli.cli import app
from gptoss_cli.cli.completion import entries
from gptoss_cli.history import History
from gptoss_cli.messages import Message, Role
from gptoss_cli.names import ModelName
from gptoss_cli.shells import SHELLS
from gptoss_cli.store import Manifest, Store

CHATS = (  # name, how it begins; no id begins with i or o, which are in none
    ("our chat", 'hello: "you"'),
    ("it's $(touch ran) `touch ran`; touch ran", "names do not run"),
    ('od:d "q" \\w %F', "100 % odd"),
    ("中文 名字", "你好"),
    ("twice", "one"),
    ("twice", "two"),
    ("hijack\x1b]0;title\x07", "\x1b[31mred\u202e"),
)
# what is typed before Tab, and the arguments that gptoss has then
COMPLETED = (
    ("gptoss his", ["history"]),
    ("gptoss l", ["list"]),  # not ls, which is hidden
    ("gptoss ls ti", ["ls", "tiny"]),
    ("gptoss run ti", ["run", "tiny"]),
    ("gptoss --color never show mine:", ["--color", "never", "show", "mine:v2"]),
    ("gptoss rm tiny mine:v", ["rm", "tiny", "mine:v2"]),
    ("gptoss cp ti", ["cp", "tiny"]),
    ("gptoss create new --from mi", ["create", "new", "--from", "mine:v2"]),
    ("gptoss create mi", ["create", "mi"]),
    ("gptoss run -m mine:v2 ./we", ["run", "-m", "mine:v2", "./weights.gguf"]),
    ("gptoss run tiny ti", ["run", "tiny", "ti"]),
    ("gptoss pull gpt-oss:2", ["pull", "gpt-oss:20b"]),
    ("gptoss show tiny --js", ["show", "tiny", "--json"]),
    ("gptoss run --reasoning hi", ["run", "--reasoning", "high"]),
    ("gptoss run --reasoning=hi", ["run", "--reasoning=high"]),
    ("gptoss run tiny --markdown alw", ["run", "tiny", "--markdown", "always"]),
    ("gptoss run tiny -- --js", ["run", "tiny", "--", "--js"]),
    ("gptoss rm -- mi", ["rm", "--", "mine:v2"]),
    ("gptoss run -f a", ["run", "-f", "a file.txt"]),
    ("gptoss run --file=a", ["run", "--file=a file.txt"]),
    ("gptoss import we", ["import", "weights.gguf"]),
    ("gptoss import ll", ["import", "llama.cpp"]),
    ("gptoss config get reas", ["config", "get", "reasoning"]),
    ("gptoss completion po", ["completion", "powershell"]),
    ("gptoss history show ou", ["history", "show", "our chat"]),
    ('gptoss history show "ou', ["history", "show", "our chat"]),
    ("gptoss history rm it", ["history", "rm", "it's $(touch ran) `touch ran`; touch ran"]),
    ("gptoss history export od:d", ["history", "export", 'od:d "q" \\w %F']),
    ("gptoss chat -r 中", ["chat", "-r", "中文 名字"]),
    ("gptoss chat --resume=od", ["chat", '--resume=od:d "q" \\w %F']),
    ("gptoss history show twic", ["history", "show", "twic"]),  # two chats have that name
    ("gptoss history show hij", ["history", "show", "hij"]),  # it would write on the screen
)
QUICK = COMPLETED[:2] + COMPLETED[4:5] + COMPLETED[12:19] + COMPLETED[26:30]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Path:
    """A folder with a home in which models and chats are, some files, and the script of each shell."""
    folder = tmp_path_factory.mktemp("completion")
    home = folder / "home"
    for name in ("mine:v2", "zh"):
        Store(home).put(Manifest(ModelName.parse(name), modelfile.parse("FROM tiny\n")))
    history = History(home / "sessions.db")
    for called, begun in CHATS:
        id = history.begin("tiny", {}, called).id
        history.write(id, 0, [Message(Role.USER, (begun,))])
    history.close()
    (folder / "weights.gguf").touch()
    (folder / "a file.txt").touch()
    for shell in SHELLS:
        streams = (Path(os.devnull), folder / f"script.{shell}", folder / "err")
        assert forker.run(["completion", shell], folder, process_environment(home), streams) == 0
    program(folder / "bin")
    return folder


@pytest.fixture(scope="module")
def environment(place: Path) -> dict[str, str]:
    usual = process_environment(place / "home")
    return usual | {"PATH": f"{place / 'bin'}:{usual['PATH']}"}


@pytest.fixture(scope="module")
def bash(place: Path, environment: dict[str, str]) -> Iterator[Shell]:
    with Shell("bash", place / "script.bash", environment, place) as shell:
        yield shell


def test_tab_in_bash(bash: Shell, place: Path) -> None:
    for line, expected in QUICK:
        assert bash.tab(line) == expected, line
    assert not (place / "ran").exists()


def test_tab_in_bash_shows_what_there_is(bash: Shell) -> None:
    told = bash.seen("gptoss history ")
    assert re.search(r"export +list +path +rm +search +show", told)
    told = bash.seen("gptoss history show ")
    assert "our\\ chat" in told
    assert "\x1b" not in told
    told = bash.seen("gptoss prune -")
    assert re.search(r"--dry-run +--help +--json +--quiet +--yes", told)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_tab_in_every_place(name: str, place: Path, environment: dict[str, str]) -> None:
    _need(name)
    with Shell(name, place / f"script.{name}", environment, place) as shell:
        for line, expected in COMPLETED:
            assert shell.tab(line) == expected, line
    assert not (place / "ran").exists()


@pytest.mark.soak
def test_zsh_shows_descriptions(place: Path, environment: dict[str, str]) -> None:
    _need("zsh")
    with Shell("zsh", place / "script.zsh", environment, place) as shell:
        assert re.search(r"our chat +-- hello: \"you\"", shell.seen("gptoss chat -r "))
        assert re.search(r"prune +-- Delete what takes room for nothing\.", shell.seen("gptoss "))
        assert re.search(r"--show-thinking +-- Show the thoughts, on stderr\.", shell.seen("gptoss run --s"))


@pytest.mark.soak
@pytest.mark.parametrize(("line", "expected"), [each for each in COMPLETED if '"' not in each[0]])
def test_tab_in_fish(line: str, expected: list[str], place: Path, environment: dict[str, str]) -> None:
    """The last argument: fish itself puts it in quotes."""
    offered = [each.split("\t")[0] for each in _fish(line, place, environment)]
    if expected[-1] == line.split()[-1]:
        assert not [each for each in offered if each.startswith(expected[-1])]
    else:
        assert offered == [expected[-1]]
    assert not (place / "ran").exists()


@pytest.mark.soak
def test_fish_shows_descriptions(place: Path, environment: dict[str, str]) -> None:
    offered = _fish("gptoss chat -r ", place, environment)
    assert 'our chat\thello: "you"' in offered
    assert "--json\tJSON instead of text." in _fish("gptoss list --", place, environment)
    assert not any("\x1b" in each or "\u202e" in each for each in offered)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_every_command_and_flag(shell: str, place: Path) -> None:
    script = (place / f"script.{shell}").read_text(encoding="utf-8")
    found = list(entries(typer.main.get_command(app)))
    assert {each.path for each in found} >= {"", " run", " ls", " history export", " completion"}
    for each in found:
        assert f"{each.path}'" in script
        for flag, _ in each.flags:
            assert re.search(rf"(?<![\w-]){flag}(?![\w-])", script), flag


def test_the_words_of_the_shells_need_no_quotes() -> None:
    """bash has them in one text with blanks between, and sources have commas."""
    for each in entries(typer.main.get_command(app)):
        words = [word for word, _ in (*each.commands, *each.flags, *each.values)]
        assert all(re.fullmatch(r"[\w.-]+", word) for word in (*words, *each.hidden))
        sources = [*each.arguments, *(source for _, source in each.values)]
        assert all(re.fullmatch(r"[\w.,:@-]+\+?", source) for source in sources)


def test_powershell_gets_single_quotes_that_hold(place: Path) -> None:
    """PowerShell itself is not run here: quotes and brackets of its script are balanced at least."""
    script = (place / "script.powershell").read_text(encoding="utf-8")
    bare = re.sub(r"'(?:[^'\n]|'')*'|\"(?:[^\"\n]|\"\")*\"|#.*", "", script)
    assert "'" not in bare
    assert '"' not in bare
    for opening, closing in ("()", "[]", "{}"):
        assert bare.count(opening) == bare.count(closing)


@pytest.mark.parametrize("arguments", [[], ["tcsh"], [""]])
def test_another_shell_is_told_which_there_are(arguments: list[str], gptoss: Gptoss) -> None:
    done = gptoss("completion", *arguments)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert all(shell in done.err for shell in SHELLS)


def test_the_help_says_how_it_is_put_in_force(gptoss: Gptoss) -> None:
    told = gptoss("completion", "--help").out
    for shell in SHELLS:
        assert f"gptoss completion {shell}" in told


def test_the_shells_question_is_answered_line_by_line(place: Path, environment: dict[str, str]) -> None:
    assert completions.offered("models", environment) == ["mine:v2\ttiny", "zh\ttiny", "tiny\tbuilt in"]
    lines = [each.split("\t") for each in completions.offered("sessions", environment)]
    own_names = [name for name, _ in CHATS[3::-1]]
    assert [told for _, told in lines[:7]] == ["hijack]0;title", "twice", "twice", *own_names]
    assert [name for name, _ in lines[7:]] == own_names
    assert lines[-1] == ["our chat", 'hello: "you"']
    assert completions.offered("others", environment) == []


def test_what_is_broken_offers_nothing_and_says_nothing(home: Path, gptoss: Gptoss) -> None:
    (home / "models/library/zh").mkdir(parents=True)
    (home / "models/library/zh/latest.json").write_text("{")
    (home / "config.toml").write_text("= no TOML")
    (home / "sessions.db").write_bytes(b"no database" * 1000)
    (home / "downloads").write_text("no folder")
    told = gptoss("__complete", "models")
    assert (told.code, told.out, told.err) == (0, "zh\tdamaged\ntiny\tbuilt in\n", "")
    told = gptoss("__complete", "sessions")
    assert (told.code, told.out, told.err) == (0, "", "")


def test_a_home_that_is_none_offers_what_is_built_in(tmp_path: Path) -> None:
    for home in ("/dev/null/none", str(tmp_path / "missing"), "~nobody-at-all/gptoss", "/" + "long" * 2000):
        assert completions.offered("models", {"GPTOSS_HOME": home}) == ["tiny\tbuilt in"]
        assert completions.offered("sessions", {"GPTOSS_HOME": home}) == []
    assert not (tmp_path / "missing").exists()


def test_a_history_of_a_later_version_offers_nothing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "sessions.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert completions.offered("sessions", {"GPTOSS_HOME": str(tmp_path)}) == []


def test_a_question_imports_nothing_that_takes_long(environment: dict[str, str]) -> None:
    for kind in ("models", "sessions"):
        code = (
            f"import sys; sys.argv = ['gptoss', '__complete', '{kind}']\n"
            "from gptoss_cli.__main__ import main\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            "heavy = 'typer rich gptoss_cli.cli gptoss_cli.library gptoss_cli.terminal numpy httpx2'\n"
            "print('imported:', [name for name in heavy.split() if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        assert done.stdout.endswith("imported: []\n")


def _need(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine (Debian, Ubuntu: apt-get install {shell})")


def _fish(line: str, place: Path, environment: dict[str, str]) -> list[str]:
    """What fish offers behind `line`."""
    _need("fish")
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {place / 'script.fish'}; complete -C $argv[1]", line],
        capture_output=True,
        text=True,
        cwd=place,
        env=environment,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()
