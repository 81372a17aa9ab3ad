"""States on disk: found by what is wanted, private, bounded, and worth nothing when anything about them is wrong."""

import ctypes
import json
import os
import time
from contextlib import closing
from pathlib import Path

import pytest
from chatting import Chat
from conftest import TINY, Gptoss, process_environment

from gptoss_cli.engine import Timings, Token
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.engine.shelf import Shelf, Whole
from gptoss_cli.engine.states import PREFIX, SESSION, States, forget_session, key_of
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Budget, Guide, Prompt, State


def whole(ids: tuple[int, ...], size: int = 1000, windows: tuple[int, ...] = ()) -> Whole:
    buffer = (ctypes.c_uint8 * size).from_buffer_copy(bytes(id % 251 for id in range(size)))
    return Whole(ids, buffer, tuple((length, b"w" * 10) for length in windows))


def test_the_one_that_saves_most_is_found(tmp_path: Path) -> None:
    states = States(tmp_path / "states", "key")
    states.put(whole((1, 2, 3)), PREFIX)
    states.put(whole((1, 2, 3, 4, 5, 6, 7), windows=(4,)), SESSION, "abcde")
    for wanted, reach in (((1, 2, 3, 9, 9), 3), ((1, 2, 3, 4, 9), 4), (tuple(range(1, 12)), 7), ((9, 9), 0)):
        found = states.best(wanted)
        assert found is not None
        assert found.reach == reach
    found = states.best(tuple(range(1, 12)))
    assert found is not None
    loaded = states.load(found)
    assert loaded is not None
    assert (loaded.ids, bytes(loaded.state)) == (tuple(range(1, 8)), bytes(whole((1,)).state))
    assert [(length, bytes(window)) for length, window in loaded.windows] == [(4, b"w" * 10)]
    assert States(tmp_path / "states", "another model").best((1, 2, 3, 4)) is None


def test_only_the_user_can_read_them(tmp_path: Path) -> None:
    states = States(tmp_path / "states", "key")
    states.put(whole((1, 2, 3)), PREFIX)
    (path,) = (tmp_path / "states").iterdir()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_was_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    def modes(*paths: Path) -> list[str]:
        return [oct(each.stat().st_mode & 0o777) for each in paths]

    folder, elsewhere = tmp_path / "states", tmp_path / "elsewhere"
    states = States(folder, "key")
    states.put(whole((1, 2, 3)), PREFIX)
    (path,) = folder.iterdir()
    for use in (lambda: states.best((1, 2, 3)), lambda: states.put(whole((4, 5, 6)), PREFIX)):
        folder.chmod(0o755)
        path.chmod(0o644)
        use()
        assert modes(folder, path) == ["0o700", "0o600"]
    # a folder made by something else, and a link, which leads to what is not ours to close
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    (elsewhere / "file").touch()
    (elsewhere / "file").chmod(0o644)
    (folder / "key-prefix-link.state").symlink_to(elsewhere / "file")
    folder.chmod(0o755)
    states.put(whole((7, 8)), PREFIX)
    (tmp_path / "linked").symlink_to(elsewhere)
    other = States(tmp_path / "linked", "key")
    other.put(whole((1, 2, 3)), PREFIX)
    assert other.best((1, 2, 3, 4)).reach == 3  # type: ignore[union-attr]
    assert modes(folder, elsewhere, elsewhere / "file") == ["0o700", "0o755", "0o644"]
    assert modes(*elsewhere.glob("*.state")) == ["0o600"]


def test_a_folder_that_is_called_as_a_state_is_in_nobodys_way(tmp_path: Path) -> None:
    states = States(tmp_path, "key", most_bytes=3500)
    states.put(whole((1, 2, 3)), SESSION, "abcde")
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()
    (path / "mine").write_bytes(b"x" * 10_000)
    (tmp_path / "x.state").mkdir()
    for number in range(2):  # one for which others must go, too
        states.put(whole((1, 2, 3), size=1500), SESSION, "abcde")
        states.put(whole((4, 5, number), size=1500), SESSION, f"s{number}")
        assert states.best((4, 5, number)).reach == 3 - 1  # type: ignore[union-attr]
    states.put(whole((1, 2, 3)), SESSION, "abcde")
    found = states.best((1, 2, 3, 4))
    assert found is not None
    assert (found.path, found.reach) == (path, 3)
    assert states.load(found)
    (kept,) = tmp_path.glob("*/*/mine")
    assert kept.stat().st_size == 10_000
    forget_session(tmp_path, "abcde")
    assert not path.exists()
    assert kept.exists()


@pytest.mark.parametrize("place", [3, 60, 170, 500, -5])
def test_what_is_damaged_is_no_state(tmp_path: Path, place: int) -> None:
    states = States(tmp_path, "key")
    states.put(whole((1, 2, 3), windows=(2,)), PREFIX)
    (path,) = tmp_path.glob("*.state")
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    found = states.best((1, 2, 3, 4))
    assert found is None or found.reach < 3 or states.load(found) is None


def test_what_is_cut_off_or_longer_is_no_state(tmp_path: Path) -> None:
    states = States(tmp_path, "key")
    states.put(whole((1, 2, 3)), PREFIX)
    (path,) = tmp_path.glob("*.state")
    data = path.read_bytes()
    for wrong in (b"", data[:40], data[:-1], data + b"x", b"\xff" * 300, b"[1]\n", b"{}\n"):
        path.write_bytes(wrong)
        found = states.best((1, 2, 3, 4))
        assert found is None or states.load(found) is None


def test_room_is_made_by_the_least_recently_used(tmp_path: Path) -> None:
    states = States(tmp_path, "key", most_bytes=3500)
    for number in range(3):
        states.put(whole((number, 1)), SESSION, f"s{number}")
        (path,) = tmp_path.glob(f"*-s{number}.state")
        os.utime(path, (time.time() - 100 + number,) * 2)
    found = states.best((0, 1, 2))
    assert found is not None
    assert states.load(found)  # used now
    states.put(whole((3, 1)), SESSION, "s3")
    names = sorted(path.stem[-2:] for path in tmp_path.glob("*.state"))
    assert "s0" in names
    assert "s3" in names
    assert len(names) <= 3
    states.put(whole((4, 1), size=4000), SESSION, "s4")  # larger than half of all: not worth it
    assert not list(tmp_path.glob("*-s4.state"))


def test_a_prefix_lives_a_day_and_a_session_until_it_is_forgotten(tmp_path: Path) -> None:
    states = States(tmp_path, "key")
    states.put(whole((1, 2, 3)), PREFIX)
    states.put(whole((4, 5, 6)), SESSION, "abcde")
    for path in tmp_path.glob("*.state"):
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    assert states.best((1, 2, 3, 4)) is None or states.best((1, 2, 3, 4)).reach == 0  # type: ignore[union-attr]
    assert states.best((4, 5, 6, 7)).reach == 3  # type: ignore[union-attr]
    forget_session(tmp_path, "abcde")
    assert not list(tmp_path.glob("*.state"))


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    states = States(tmp_path / "file" / "states", "key")
    states.put(whole((1, 2, 3)), PREFIX)
    assert states.best((1, 2, 3)) is None


def test_the_key_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"a")
    before = key_of([path], "1")
    path.write_bytes(b"ab")
    assert key_of([path], "1") != before
    assert key_of([path], "2") != key_of([path], "1")


def test_the_shelf_is_bounded_and_keeps_the_longer_one() -> None:
    shelf = Shelf(most_bytes=2500)
    shelf.put(whole((1, 2)))
    shelf.put(whole((1, 2, 3)))
    shelf.put(whole((7, 8)))
    best = shelf.best((1, 2, 3, 4))
    assert best is not None
    assert best.ids == (1, 2, 3)
    shelf.put(whole((5, 6)))
    assert shelf.best((1, 2, 3, 4)).reach((1, 2, 3, 4)) == 0  # type: ignore[union-attr]


@pytest.mark.soak
def test_what_cannot_be_kept_takes_no_reply_with_it(tmp_path: Path) -> None:
    def replies(engine: LlamaEngine) -> bool:
        prompt = Prompt(tuple(range(100, 700)), marks=(300, 600))
        guide = Guide((State(None, budget=0),), (Budget(2),))
        return any(isinstance(each, Token) for each in engine.generate(prompt, Sampling(temperature=0), guide))

    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "states"):
        with closing(LlamaEngine(TINY, states=folder)) as engine:
            assert replies(engine)
            engine.keep("no file can be \0 called so")
            assert replies(engine)


def read(engine: LlamaEngine, prompt: Prompt) -> Timings:
    """Those of a reply of one id."""
    generation = engine.generate(prompt, Sampling(temperature=0), Guide((State(None, budget=0),), (Budget(1),)))
    while True:
        try:
            next(generation)
        except StopIteration as stop:
            timings: Timings = stop.value
            return timings


@pytest.mark.soak
def test_a_reply_that_is_stopped_keeps_what_was_read_for_it(tmp_path: Path) -> None:
    ids = tuple(range(100, 700))
    with closing(LlamaEngine(TINY, states=tmp_path)) as engine:
        generation = engine.generate(Prompt(ids, marks=(300, 600)), Sampling(temperature=0))
        assert any(isinstance(each, Token) for each in generation)  # it goes on until the engine is closed
    with closing(LlamaEngine(TINY, states=tmp_path)) as engine:
        assert read(engine, Prompt(ids, marks=(300, 600))).restored == 300


@pytest.mark.soak
def test_a_state_that_is_longer_than_the_context_of_now_comes_back(random_model: Path, tmp_path: Path) -> None:
    ids = tuple(place * place % 199_000 for place in range(9000))
    with closing(LlamaEngine(random_model, states=tmp_path)) as engine:
        read(engine, Prompt(ids, marks=(len(ids),)))
        engine.keep("abcde")
    with closing(LlamaEngine(random_model, states=tmp_path)) as engine:
        read(engine, Prompt((5, 6, 7), marks=(3,)))
        assert engine.info.n_ctx < len(ids)
        assert read(engine, Prompt((*ids, 1, 2), marks=(len(ids) + 2,))).restored == len(ids)


SYSTEM = "You know that the sky is blue and that the grass is green. " * 60


def evaluated(gptoss: Gptoss, *arguments: str, **environment: str) -> tuple[int, int]:
    result = gptoss("run", "tiny", "--json", *arguments, **environment)
    assert result.code == 0, result.err
    usage = json.loads(result.out)["usage"]
    return usage["prompt_evaluated"], usage["prompt_restored"]


def test_a_second_run_with_the_same_system_text_reads_only_the_question(gptoss: Gptoss, home: Path) -> None:
    first, _ = evaluated(gptoss, "-s", SYSTEM, "hello")
    assert first > 700
    again, restored = evaluated(gptoss, "-s", SYSTEM, "thanks a lot")
    assert again <= 32
    assert restored > 700
    for path in (home / "cache" / "states").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert evaluated(gptoss, "-s", SYSTEM, "hello")[1] == 0  # and it is written anew
    assert evaluated(gptoss, "-s", SYSTEM, "hello", GPTOSS_PROMPT_CACHE="0")[1] == 0
    assert evaluated(gptoss, "-s", SYSTEM, "hello")[1] > 700


@pytest.mark.soak
def test_a_session_that_goes_on_in_another_process_is_not_read_again(gptoss: Gptoss, home: Path) -> None:
    environment = process_environment(home)
    with Chat(environment, "chat", "tiny") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        for limit in ("max_thinking 50", "num_predict 50"):  # what is said to the long text does not matter
            chat.ask(f"/set parameter {limit}")
        chat.paste("tell me about this: " + "the sky is blue and the grass is green, " * 450)
        chat.key("enter")
        chat.answer()
        chat.ask("hello")
        chat.key("ctrl-d")
        assert chat.ended() == 0
    with Chat(environment, "chat", "--continue") as chat:
        chat.wait(lambda: chat.ready, "the first prompt")
        chat.ask("thanks")
        told = chat.ask("/stats")
        assert "restored" in told
        # of 7,400: the new message, and the last answer, of at most 50, as history has it when there was no time to
        # prepare that
        assert int(told.split("prompt ")[1].split()[0]) <= 50 + 30, told
        chat.key("ctrl-d")
        assert chat.ended() == 0
    assert list((home / "cache" / "states").glob("*-session-*"))
    assert gptoss("history", "rm", "--all", "--yes").code == 0
    assert not list((home / "cache" / "states").glob("*-session-*"))
