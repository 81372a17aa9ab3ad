"""Saved sessions: found again, whole after anything that ends a process, for their user's eyes only."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Gptoss, process_environment

from gptoss_cli.errors import BadInput, GptossError, SessionNotFound
from gptoss_cli.history import History, Saved, Turn
from gptoss_cli.history.journal import Journal
from gptoss_cli.messages import Channel, End, Message, Role, answer, user

ASKED = user("Wie groß ist die STRASSE?")
THOUGHT = Message(Role.ASSISTANT, ("a secret thought",), Channel.ANALYSIS, tokens=(1, 2, 200_999), end=End.END)
REPLY = Message(Role.ASSISTANT, ("模型有二十億個參數 🦙",), Channel.FINAL, tokens=(7, 201_087), end=End.RETURN)
PART = Message(Role.ASSISTANT, ("half an",), Channel.FINAL, end=End.LENGTH)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with closing(History(path)) as opened:
        yield opened


def begun(history: History, model: str = "tiny", *more: Any) -> Saved:
    """A session in which something was asked."""
    id = history.begin(model, *(more or ({},))).id
    history.write(id, 0, [user("hello")])
    return history.find(id)


def texts(history: History, id: str) -> list[list[str]]:
    return [[message.text for message in turn.messages] for turn in history.turns(id)]


def test_a_history_that_was_never_written_is_empty_and_stays_so(history: History, path: Path) -> None:
    assert history.sessions() == []
    assert history.search("x") == []
    with pytest.raises(SessionNotFound, match="no session last"):
        history.find("last")
    assert not path.parent.exists()


def test_a_session_is_found_by_id_name_the_beginning_of_an_id_and_as_the_last(history: History) -> None:
    one = begun(history, "tiny", {"system": "Be brief.", "options": {"temperature": 0.5}})
    two = begun(history, "gpt-oss:20b", {}, "Umzug nach 台北")
    assert [each.id for each in history.sessions()] == [two.id, one.id]
    assert [each.id for each in history.sessions(1)] == [two.id]
    assert history.find(one.id) == one
    assert history.find("Umzug nach 台北") == history.find("last") == two
    assert history.find(one.id[:4]) == one
    history.write(one.id, 0, [user("what\n was  asked " + "x" * 300)])
    assert history.find("last").id == one.id
    assert (history.find(one.id).turns, history.find(one.id).title[:15]) == (1, "what was asked ")


def test_what_could_be_several_or_none_is_said(history: History) -> None:
    for _ in range(40):  # more than there are first letters
        begun(history, "tiny", {}, "same")
    first = [each.id[0] for each in history.sessions()]
    with pytest.raises(BadInput, match=r"could be \w{5}, \w{5}"):
        history.find(next(letter for letter in first if first.count(letter) > 1))
    with pytest.raises(BadInput, match="same could be"):
        history.find("same")
    for word in ("none", "", "%", "\ud800"):
        with pytest.raises(SessionNotFound):
            history.find(word)


def test_turns_come_back_as_they_were(history: History, path: Path) -> None:
    id = history.begin("tiny", {}).id
    call = Message(
        Role.ASSISTANT, ("{}",), Channel.COMMENTARY, None, "functions.f", "<|constrain|>json", (5,), End.CALL
    )
    result = Message(Role.TOOL, ("1\x00\x1b[2J2",), Channel.COMMENTARY, "functions.f", "assistant")
    turns = [[ASKED, THOUGHT, call, result, REPLY], [user(""), PART], [user("x" * 3_000_000)]]
    for number, messages in enumerate(turns):
        history.write(id, number, messages)
    with closing(History(path)) as again:
        read = again.turns(id)
    assert read == [Turn(number, tuple(messages)) for number, messages in enumerate(turns)]
    assert [message.tokens for message in read[0].messages] == [(), THOUGHT.tokens, (5,), (), REPLY.tokens]
    assert all(time.startswith("20") for time in read[0].times)
    assert history.length(id) == 3


def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_is_its_character(history: History) -> None:
    id = history.begin("a\udcffb", {"system": "\ud800"}, "n\ud800").id
    history.write(id, 0, [user("a\ud83e\udd99b\ud800c")])
    history.change(id, name="m\udfff")
    saved = history.find(id)
    assert (saved.model, saved.name, saved.settings) == ("a\ufffdb", "m\ufffd", {"system": "\ufffd"})
    assert texts(history, id) == [["a🦙b\ufffdc"]]
    assert history.search("\ud800")[0].turn == 0


@pytest.mark.parametrize(
    ("words", "excerpt"),
    [
        (("參數",), "模型有二十億個參數 🦙"),
        (("straße",), "Wie groß ist die STRASSE?"),
        (("GROSS", "wie"), "Wie groß ist die STRASSE?"),
        (("needle",), "…" + "ß" * 40 + "NEEDLE" + " y" * 20 + "…"),
        (("nul\x00",), "a NUL\x00b"),
        (("🦙",), "模型有二十億個參數 🦙"),
    ],
)
def test_search_finds_two_chinese_characters_and_any_capitals(
    words: tuple[str, ...], excerpt: str, history: History
) -> None:
    id = history.begin("tiny", {}).id
    history.write(id, 0, [ASKED, THOUGHT, REPLY])
    history.write(id, 1, [user("ß" * 100 + "NEEDLE" + " y" * 100), answer("a NUL\x00b")])
    assert [hit.excerpt for hit in history.search(*words)] == [excerpt]
    assert [hit.session.id for hit in history.search(*words)] == [id]


def test_search_needs_all_words_in_one_message_and_passes_thoughts_over(history: History) -> None:
    id = history.begin("tiny", {}).id
    history.write(id, 0, [ASKED, THOUGHT, REPLY])
    for words in (("groß", "參數"), ("secret",), ("%",), ("STRASSE_",)):
        assert history.search(*words) == []
    with pytest.raises(BadInput, match="nothing to search for"):
        history.search("")


def test_the_newest_session_is_found_first_and_a_limit_holds(history: History) -> None:
    ids = [history.begin("tiny", {}).id for _ in range(3)]
    for id in ids:
        history.write(id, 0, [user("word"), answer("word")])
    hits = history.search("word", limit=5)
    assert [hit.session.id for hit in hits] == [ids[2], ids[2], ids[1], ids[1], ids[0]]
    assert [hit.role for hit in hits[:2]] == ["user", "assistant"]


def test_turns_are_replaced_cut_and_removed(history: History, path: Path) -> None:
    id = history.begin("tiny", {"a": 1}).id
    other = history.begin("tiny", {}).id
    for number in range(3):
        history.write(id, number, [user(f"q{number}"), answer("WHISPERED")])
    history.write(other, 0, [user("stays")])
    history.write(id, 1, [user("q1"), answer("other")])
    assert texts(history, id)[1] == ["q1", "other"]
    history.cut(id, 1)
    assert texts(history, id) == [["q0", "WHISPERED"]]
    history.change(id, name="n", settings={"a": 2})
    assert (history.find(id).name, history.find(id).model, history.find(id).settings) == ("n", "tiny", {"a": 2})
    history.remove(id)
    assert history.turns(id) == []
    assert [each.id for each in history.sessions()] == [other]
    assert not [each for each in path.parent.iterdir() if b"WHISPERED" in each.read_bytes()]
    for change in (lambda: history.write(id, 0, [ASKED]), lambda: history.cut(id, 0), lambda: history.change(id)):
        with pytest.raises(SessionNotFound, match=f"the session {id} was removed"):
            change()


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_only_the_user_may_read_it_whatever_the_umask_is(mask: int, history: History, path: Path) -> None:
    before = os.umask(mask)
    try:
        if mask == 0o777:  # even the folder could not be entered
            path.parent.mkdir(mode=0o700)
            path.parent.chmod(0o700)
        history.write(history.begin("tiny", {}).id, 0, [ASKED])
    finally:
        os.umask(before)
    assert {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {
        "sessions.db": 0o600,
        "sessions.db-wal": 0o600,
        "sessions.db-shm": 0o600,
    }
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_copy_that_others_may_read_is_closed_to_them(history: History, path: Path) -> None:
    begun(history)
    history.close()
    path.chmod(0o644)
    assert len(history.sessions()) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_damaged_file_is_told_and_left_as_it_is(content: bytes, history: History, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(GptossError, match=r"sessions\.db"):
            history.sessions()
        with pytest.raises(GptossError, match=r"sessions\.db"):
            history.begin("tiny", {})
    assert path.read_bytes() == content


def test_rows_that_make_no_sense_are_damage(history: History, path: Path) -> None:
    id = history.begin("tiny", {}).id
    history.write(id, 0, [ASKED])
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE message SET role = 'nobody'")
        raw.commit()
    with pytest.raises(GptossError, match=r"sessions\.db is damaged: 'nobody'"):
        history.turns(id)


def test_the_file_of_a_later_version_is_refused_every_time(history: History, path: Path) -> None:
    history.begin("tiny", {})
    history.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA user_version = 2")
    for _ in range(2):
        with pytest.raises(GptossError, match=r"is of a later gptoss \(format 2, not 1\)"):
            history.begin("tiny", {})


def test_a_reader_sees_what_is_whole_while_a_writer_writes(history: History, path: Path) -> None:
    id = history.begin("tiny", {}).id
    history.write(id, 0, [ASKED])
    with closing(History(path)) as reader, closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM message")
        assert texts(reader, id) == [[ASKED.text]]
        assert len(reader.search("groß")) == 1
        writer.execute("ROLLBACK")


WRITER = """
import sys
from pathlib import Path
from typing import Any
from gptoss_cli.history import History
from gptoss_cli.messages import answer, user
history = History(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
id = history.begin("tiny", {}).id
for turn in range(int(sys.argv[2])):
    history.write(id, turn, [user("q"), answer("text " * turn)])
print(id)
"""


def written_by(path: Path, processes: int, turns: int) -> list[str]:
    """The ids of sessions that several processes write into a new file, all at once."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(turns)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=process_environment(path.parent),
            text=True,
        )
        for _ in range(processes)
    ]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    ids = [each.communicate(timeout=60)[0].strip() for each in started]
    assert [each.returncode for each in started] == [0] * processes
    return ids


@pytest.mark.parametrize(("processes", "turns"), [(2, 20), pytest.param(16, 100, marks=pytest.mark.soak)])
def test_processes_that_write_at_once_wait_for_each_other(
    processes: int, turns: int, history: History, path: Path
) -> None:
    ids = written_by(path, processes, turns)
    assert {each.id: each.turns for each in history.sessions()} == dict.fromkeys(ids, turns)


def test_the_second_who_goes_on_with_a_session_writes_a_copy(history: History, path: Path) -> None:
    id = history.begin("tiny", {"system": "s"}).id
    history.write(id, 0, [user("q0"), answer("a0")])
    with closing(History(path)) as opened:
        first, second = Journal(history, id), Journal(opened, id)
        assert first.write(1, [user("mine")]) == ""
        assert first.write(1, [user("mine"), answer("a1")]) == ""
        told = second.write(1, [user("theirs")])
        assert told == f"somebody else goes on with the session {id}; what is said here is saved as {second.id}"
        assert second.write(1, [user("theirs"), answer("b1")]) == second.write(2, [user("more")]) == ""
        assert first.write(0, [user("changed")]) == ""
    assert texts(history, id) == [["changed"], ["mine", "a1"]]
    assert texts(history, second.id) == [["q0", "a0"], ["theirs", "b1"], ["more"]]
    assert history.find(second.id).settings == {"system": "s"}


def test_what_was_cut_may_be_said_anew(history: History) -> None:
    journal = Journal(history, history.begin("tiny", {}).id)
    journal.write(0, [user("q0")])
    journal.cut(0)
    assert journal.write(0, [user("other")]) == ""
    assert texts(history, journal.id) == [["other"]]


def received(process: subprocess.Popen[bytes], for_s: float) -> list[tuple[float, str]]:
    """(when it came, all of the text until then) of what a process writes, from its first letters on."""
    assert process.stdout is not None
    text, pieces = b"", []
    until = None
    while until is None or time.monotonic() < until:
        piece = os.read(process.stdout.fileno(), 65536)
        assert piece, process.communicate()
        text += piece
        pieces.append((time.monotonic(), text.decode(errors="ignore")))
        until = until or time.monotonic() + for_s
    return pieces


@pytest.mark.soak
@pytest.mark.parametrize("for_s", [1.2, 4.0])
def test_a_process_that_is_killed_loses_at_most_the_last_second(
    for_s: float, home: Path, random_model: Path, gptoss: Gptoss
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gptoss_cli", "run", "-m", str(random_model), "--save", "--reasoning", "off", "hello"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=process_environment(home),
    )
    try:
        pieces = received(process, for_s)
    finally:
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        process.communicate()
    with closing(History(home / "sessions.db")) as history:
        (turn,) = history.turns(history.find("last").id)
    asked, part = turn.messages
    assert asked == user("hello")
    assert (part.end, part.complete) == (End.LENGTH, False)
    old = [text for moment, text in pieces if moment < killed - 1.0]
    assert old
    assert part.text.startswith(old[-1])
    assert json.loads(gptoss("history", "show", "last", "--json").out)["messages"][-1]["complete"] is False


LIMITED = """
import resource, sys
from pathlib import Path
from typing import Any
from gptoss_cli.cli import run_app
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(run_app(["run", "tiny", "--save", "hello"]))
"""


@pytest.mark.parametrize("limit", [8192, *(pytest.param(limit, marks=pytest.mark.soak) for limit in (0, 40_000))])
def test_on_a_full_disk_the_answer_goes_on_and_one_line_says_so(limit: int, home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=process_environment(home),
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Hello!")
    assert len([line for line in done.stderr.splitlines() if "saved" in line]) == 1, done.stderr


READING = """
import resource, signal, sys
from gptoss_cli.history import History
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
history = History(__import__("pathlib").Path(sys.argv[1]))
print(history.sessions()[0].title, end="", flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
history.change(history.sessions()[0].id, name="named")
"""


def test_what_cannot_be_written_can_be_read_and_later_written(history: History, path: Path) -> None:
    begun(history)
    history.close()
    done = subprocess.run([sys.executable, "-c", READING, str(path)], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "hello"
    assert history.find("last").name == "named"


@pytest.mark.soak
def test_a_thousand_turns_are_written_as_quickly_as_one(history: History) -> None:
    id = history.begin("tiny", {}).id
    messages = [user("question " * 20), answer("answer " * 300)]

    def seconds(numbers: range) -> float:
        started = time.perf_counter()
        for number in numbers:
            history.write(id, number, messages)
        return (time.perf_counter() - started) / len(numbers)

    first = seconds(range(100))
    seconds(range(100, 900))
    last = seconds(range(900, 1000))
    assert last < 5 * first + 0.01
    assert history.length(id) == history.find(id).turns == len(history.turns(id)) == 1000
    assert len(history.search("ANSWER")) == 100
