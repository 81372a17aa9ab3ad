"""The engine on the real llama.cpp: reuse, growth, limits, interruption, files that are no models, and its end."""

import ctypes
import gc
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.random_model import SMALL, write_random
from gptoss_cli.engine import Enough, Step, Timings, Token, binding
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.errors import BadInput, EngineError, GptossError, ModelNotFound, NoAnswer
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Budget, Guide, Prompt, State
from training.gguf_writer import Tensor, TensorType, Value, write

RETURN, CALL, END_OF_TEXT, END = 200002, 200012, 199999, 200007  # of the model's o200k_harmony vocabulary
STOP = frozenset({RETURN, CALL, END_OF_TEXT})
GREEDY = Sampling(temperature=0)
SEEN = Sampling(temperature=0, logprobs=20)
# evaluating the same ids in other portions changes logits by half as much: other kernels round otherwise; a lost window
# changes them by 5
NOISE = 0.15


@dataclass
class Reply:
    """What one generation gave."""

    tokens: list[Token]
    steps: list[Step]
    timings: Timings

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.tokens]


def ask(
    engine: LlamaEngine,
    ids: tuple[int, ...],
    sampling: Sampling = GREEDY,
    guide: Guide | None = None,
    take: int = 1_000_000,
    room: int = 0,
) -> Reply:
    """The reply to `ids`, ended after `take` tokens."""
    generation = engine.generate(Prompt(ids, stop=STOP, room=room), sampling, guide)
    tokens: list[Token] = []
    steps: list[Step] = []
    try:
        while True:
            item = generation.throw(Enough()) if len(tokens) >= take else next(generation)
            if isinstance(item, Token):
                tokens.append(item)
            else:
                steps.append(item)
    except StopIteration as stop:
        return Reply(tokens, steps, stop.value)


def text(length: int, seed: int = 1) -> tuple[int, ...]:
    """Ids as of a text: any ordinary ones."""
    return tuple((seed * 7919 + place * place * 104_729) % 199_000 for place in range(length))


def differs(one: Token, other: Token) -> float:
    """The largest difference between the log-probabilities of the ten likeliest ids; infinite when one is missing."""
    left, right = dict(one.top[:10]), dict(other.top)
    return max(abs(logprob - right.get(id, -math.inf)) for id, logprob in left.items())


@pytest.fixture(scope="module")
def engine(random_model: Path) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(random_model, threads=1)  # others may be busy: more threads than cores are slow
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def fresh(random_model: Path) -> Iterator[Callable[[tuple[int, ...]], Token]]:
    """A function that gives the first token after a prompt as a context tells that never held anything else."""
    other = LlamaEngine(random_model, threads=1)

    def first(ids: tuple[int, ...]) -> Token:
        ask(other, (5, 6), take=1)  # nothing in common with any prompt here
        reply = ask(other, ids, SEEN, take=1)
        assert reply.timings.reused == 0
        return reply.tokens[0]

    yield first
    other.close()


# what is loaded


def test_info_tells_what_is_loaded(engine: LlamaEngine, random_model: Path) -> None:
    ask(engine, text(10), take=1)
    info = engine.info
    assert (info.model, info.n_vocab, info.n_layer, info.n_ctx_train) == (str(random_model), 201088, 2, 131072)
    assert info.n_ctx == 8192
    assert "CPU" in info.devices


# sampling


def test_the_same_prompt_and_seed_give_the_same_ids(engine: LlamaEngine) -> None:
    seeded = Sampling(seed=4)
    first = ask(engine, text(30), seeded, take=12).ids
    assert ask(engine, text(30), seeded, take=12).ids == first
    assert ask(engine, text(30), Sampling(seed=5), take=12).ids != first


def test_a_reply_depends_on_the_whole_prompt(fresh: Callable[[tuple[int, ...]], Token]) -> None:
    assert differs(fresh(text(100)), fresh((*text(50, seed=2), *text(100)[50:]))) > 3 * NOISE


def test_penalties_keep_an_id_from_coming_again(engine: LlamaEngine) -> None:
    ids = ask(engine, text(40), Sampling(temperature=0, presence_penalty=50.0, repeat_last_n=-1), take=40).ids
    assert len(set(ids)) == 40


def test_log_probabilities_are_given_when_asked_for(engine: LlamaEngine) -> None:
    token = ask(engine, text(20), Sampling(temperature=0, logprobs=3), take=1).tokens[0]
    assert token.top[0] == (token.id, token.logprob)
    assert len(token.top) == 3
    assert token.logprob is not None
    assert token.logprob < 0


# reuse


def test_what_extends_the_context_is_not_evaluated_again(
    engine: LlamaEngine, fresh: Callable[[tuple[int, ...]], Token]
) -> None:
    first = ask(engine, text(300), take=20)
    longer = (*text(300), *first.ids[:19], *text(50, seed=9))
    second = ask(engine, longer, SEEN, take=1)
    assert (second.timings.reused, second.timings.evaluated) == (319, 50)
    assert differs(second.tokens[0], fresh(longer)) < NOISE


def test_a_stop_id_is_yielded_and_not_kept_in_the_context(engine: LlamaEngine) -> None:
    guide = Guide((State(None, otherwise=1), State(frozenset({RETURN}))))
    first = ask(engine, text(60), guide=guide)
    assert first.timings.finish == "stop"
    assert first.ids[1:] == [RETURN]
    second = ask(engine, (*text(60), first.ids[0], END, *text(5)), take=1)
    assert (second.timings.reused, second.timings.evaluated) == (61, 6)


def test_the_prompt_that_is_there_already_costs_one_token(
    engine: LlamaEngine, fresh: Callable[[tuple[int, ...]], Token]
) -> None:
    ask(engine, text(200), take=1)
    again = ask(engine, text(200), SEEN, take=1)
    assert (again.timings.reused, again.timings.evaluated) == (199, 1)
    assert differs(again.tokens[0], fresh(text(200))) < NOISE


def test_a_prompt_that_departs_within_the_window_is_continued_from_there(
    engine: LlamaEngine, fresh: Callable[[tuple[int, ...]], Token]
) -> None:
    ask(engine, text(600), take=1)
    other = (*text(400), *text(30, seed=3))
    reply = ask(engine, other, SEEN, take=1)
    assert reply.timings.reused == 400
    assert differs(reply.tokens[0], fresh(other)) < NOISE


def test_a_prompt_that_departs_before_the_window_is_evaluated_anew(
    engine: LlamaEngine, fresh: Callable[[tuple[int, ...]], Token]
) -> None:
    ask(engine, text(2000), take=1)
    other = (*text(700), *text(30, seed=3))
    reply = ask(engine, other, SEEN, take=1)
    assert (reply.timings.reused, reply.timings.evaluated) == (0, 730)
    assert differs(reply.tokens[0], fresh(other)) < NOISE


# the length of the context


@pytest.mark.soak
def test_a_context_nobody_fixed_grows_and_goes_on_as_if_it_had_always_been_longer(
    random_model: Path, fresh: Callable[[tuple[int, ...]], Token]
) -> None:
    engine = LlamaEngine(random_model, threads=1)
    try:
        reply = ask(engine, text(8185), SEEN, take=16)
        assert engine.info.n_ctx == 16384
        held = (*text(8185), *reply.ids[:15])
        assert differs(reply.tokens[15], fresh(held)) < NOISE
        # a longer prompt grows it too, and what it begins with is carried over
        longer = ask(engine, (*held, *text(200, seed=8)), SEEN, take=1, room=10_000)
        assert engine.info.n_ctx == 32768
        assert longer.timings.reused >= len(held) - 1
        assert differs(longer.tokens[0], fresh((*held, *text(200, seed=8)))) < NOISE
    finally:
        engine.close()


def test_a_fixed_context_ends_the_reply_and_refuses_a_longer_prompt(random_model: Path) -> None:
    engine = LlamaEngine(random_model, num_ctx=300, threads=1)
    try:
        reply = ask(engine, text(290))
        assert reply.timings.finish == "context"
        assert len(reply.ids) == 11  # ten that fit, and the one that follows from them
        assert engine.info.n_ctx == 300
        assert len(ask(engine, text(300)).ids) == 1
        with pytest.raises(NoAnswer, match="301 tokens and the context holds 300"):
            ask(engine, text(301))
    finally:
        engine.close()


@pytest.mark.soak
def test_a_context_grows_no_longer_than_the_model_was_trained_for(tmp_path: Path) -> None:
    write_random(tmp_path / "short.gguf", replace(SMALL, layers=1, n_ctx_train=400))
    engine = LlamaEngine(tmp_path / "short.gguf", threads=1)
    try:
        assert ask(engine, text(395)).timings.finish == "context"
        with pytest.raises(NoAnswer, match="401 tokens and the context holds 400"):
            ask(engine, text(401))
    finally:
        engine.close()


# guides


def test_a_used_up_budget_forces_its_ids_and_goes_on(engine: LlamaEngine) -> None:
    forced = (11, 22, 33)
    states = (State(None, budget=0), State(frozenset({44}), {44: 2}), State(frozenset({CALL})))
    reply = ask(engine, text(50), guide=Guide(states, (Budget(4, forced, then=1),)))
    assert len(reply.ids) == 4 + 3 + 2
    assert reply.ids[4:] == [11, 22, 33, 44, CALL]
    assert reply.timings.finish == "stop"
    # the forced ids are in the context like sampled ones
    again = ask(engine, (*text(50), *reply.ids[:8], 7), take=1)
    assert again.timings.reused == 58


def test_a_budget_without_a_next_state_ends_with_length(engine: LlamaEngine) -> None:
    reply = ask(engine, text(50), guide=Guide((State(None, budget=0),), (Budget(5),)))
    assert (len(reply.ids), reply.timings.finish) == (5, "length")


def test_a_budget_of_nothing_forces_before_the_first_sampled_id(engine: LlamaEngine) -> None:
    states = (State(None, budget=0), State(None, otherwise=1, budget=1))
    reply = ask(engine, text(50), guide=Guide(states, (Budget(0, (1, 2), then=1), Budget(2))))
    assert reply.ids[:2] == [1, 2]
    assert (len(reply.ids), reply.timings.finish) == (4, "length")


def test_banned_ids_never_come(engine: LlamaEngine) -> None:
    best = ask(engine, text(50), take=1).ids[0]
    state = State(None, budget=0, banned=frozenset({best}))
    assert ask(engine, text(50), guide=Guide((state,), (Budget(1),))).ids != [best]


# stopping


def test_the_load_belongs_to_the_first_reply_only(random_model: Path) -> None:
    engine = LlamaEngine(random_model, threads=1)
    first, second = (ask(engine, text(5), take=1).timings for _ in range(2))
    engine.close()
    assert first.load_s > 0.1
    assert second.load_s < first.load_s / 5


def test_enough_returns_the_timings_at_once(engine: LlamaEngine) -> None:
    reply = ask(engine, text(70, seed=6), take=3)
    timings = reply.timings
    assert (len(reply.ids), timings.finish, timings.evaluated, timings.reused) == (3, "stop", 70, 0)
    assert timings.prompt_s > 0
    assert timings.answer_s > 0


def test_a_closed_generation_leaves_at_most_one_token_more_in_the_context(engine: LlamaEngine) -> None:
    generation = engine.generate(Prompt(text(80, seed=5), stop=STOP), GREEDY)
    ids = [item.id for item, _ in zip(generation, range(6), strict=False) if isinstance(item, Token)]
    generation.close()
    started = time.monotonic()
    again = ask(engine, (*text(80, seed=5), *ids, 1), take=1)
    assert time.monotonic() - started < 2
    assert 80 + len(ids) - 1 <= again.timings.reused <= 80 + len(ids)


def test_a_long_prompt_is_stopped_in_its_midst_and_what_was_read_is_kept(engine: LlamaEngine) -> None:
    long = text(100_000, seed=2)
    generation = engine.generate(Prompt(long, stop=STOP), GREEDY)
    step = next(item for item in generation if isinstance(item, Step) and item.stage == "prompt")
    assert 0 < step.done < step.total == 100_000
    started = time.monotonic()
    generation.close()
    again = ask(engine, long[: step.done + 10], take=1)
    assert time.monotonic() - started < 2
    assert again.timings.reused > 0


def interrupt_when(condition: Callable[[], bool]) -> list[float]:
    """Send SIGINT to this process, from another thread, once `condition` holds; the list gets the time of it."""
    sent: list[float] = []

    def wait() -> None:
        while not condition():
            time.sleep(0.005)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()
    return sent


@pytest.mark.parametrize(
    ("prompt", "seen"), [(text(120_000), 0), (text(20), 5)], ids=["reading the prompt", "answering"]
)
def test_ctrl_c_gets_through_while_the_engine_is(engine: LlamaEngine, prompt: tuple[int, ...], seen: int) -> None:
    items: list[Token | Step] = []
    sent = interrupt_when(lambda: len(items) > seen)
    with pytest.raises(KeyboardInterrupt):
        items.extend(engine.generate(Prompt(prompt, stop=STOP), GREEDY))
    assert time.monotonic() - sent[0] < 1
    assert ask(engine, text(5), take=1).ids


def test_ctrl_c_gets_through_while_the_model_is_loaded_and_close_cancels_the_load(random_model: Path) -> None:
    started = time.monotonic()
    engine = LlamaEngine(random_model, threads=1)
    items: list[Token | Step] = []
    interrupt_when(lambda: bool(items))
    with pytest.raises(KeyboardInterrupt):
        items.extend(engine.generate(Prompt(text(120_000), stop=STOP), GREEDY))
    assert items[0].stage == "load"
    engine.close()
    assert time.monotonic() - started < 2


PROGRAM = """
import sys
from pathlib import Path
from gptoss_cli.engine import Token
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Prompt
engine = LlamaEngine(Path(sys.argv[1]))
if sys.argv[2] == "answering":
    generation = engine.generate(Prompt((1, 2, 3)), Sampling())
    tokens = (item for item in generation if isinstance(item, Token))
    print([next(tokens) for _ in range(5)][-1])
"""


@pytest.mark.soak
@pytest.mark.parametrize("phase", ["loading", "answering"])
def test_a_program_that_ends_without_closing_ends_at_once_and_well(random_model: Path, phase: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(random_model), phase]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Token" if phase == "answering" else "")


# one at a time, and the end


def test_a_second_reply_at_the_same_time_is_refused(engine: LlamaEngine) -> None:
    first = engine.generate(Prompt(text(10), stop=STOP), GREEDY)
    while not isinstance(next(first), Token):  # the steps of the load come before it has the engine
        pass
    with pytest.raises(EngineError, match="busy"):
        ask(engine, text(10))
    first.close()
    assert ask(engine, text(10), take=1).ids


def engine_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "engine"]


@pytest.mark.soak
def test_a_closed_or_forgotten_engine_has_no_thread(random_model: Path) -> None:
    before = len(engine_threads())
    closed, forgotten = LlamaEngine(random_model, threads=1), LlamaEngine(random_model, threads=1)
    generation = closed.generate(Prompt(text(10), stop=STOP), GREEDY)
    while not isinstance(next(generation), Token):
        pass
    assert len(engine_threads()) == before + 2
    closed.close()
    closed.close()
    del forgotten
    gc.collect()
    assert len(engine_threads()) == before
    with pytest.raises(EngineError, match="closed"):
        list(generation)
    with pytest.raises(EngineError, match="closed"):
        ask(closed, text(10))


# errors


def other_kind(path: Path, architecture: str, general_type: str = "model") -> None:
    """A GGUF with one tensor and another purpose than being a gpt-oss model."""
    values: dict[str, Value] = {"general.architecture": architecture, "general.type": general_type}
    write(path, values, [Tensor("weight", (32,), TensorType.F32, bytes(128))])


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("notes.gguf", lambda path: path.write_text("hello\n" * 100), "not a GGUF file"),
        ("empty.gguf", lambda path: path.write_bytes(b""), "empty"),
        ("llama.gguf", lambda path: other_kind(path, "llama"), "a llama model"),
        ("ollama-blob", lambda path: other_kind(path, "gptoss"), "Ollama"),
        ("eagle3-gpt-oss-20b-Q8_0.gguf", lambda path: other_kind(path, "eagle3"), "draft"),
        ("mmproj.gguf", lambda path: other_kind(path, "clip", "mmproj"), "projector"),
        ("hollow.gguf", lambda path: other_kind(path, "gpt-oss"), "hollow.gguf"),
    ],
)
def test_a_file_that_is_no_gpt_oss_model_gets_one_clear_line(
    tmp_path: Path, name: str, make: Callable[[Path], object], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / name)
    engine = LlamaEngine(tmp_path / name)
    with pytest.raises(GptossError, match=says) as error:
        ask(engine, text(3))
    with pytest.raises(GptossError, match=says):
        _ = engine.info
    engine.close()
    assert "\n" not in str(error.value)
    assert name in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_cut_off_file_gets_one_clear_line(random_model: Path, tmp_path: Path, share: float) -> None:
    whole = random_model.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: int(len(whole) * share)])
    engine = LlamaEngine(tmp_path / "cut.gguf")
    with pytest.raises(BadInput, match=r"cut\.gguf") as error:
        ask(engine, text(3))
    engine.close()
    assert "\n" not in str(error.value)


def test_a_missing_file_is_a_model_that_is_not_found(tmp_path: Path) -> None:
    engine = LlamaEngine(tmp_path / "none.gguf")
    with pytest.raises(ModelNotFound, match=r"none\.gguf"):
        ask(engine, text(3))
    engine.close()


@pytest.mark.parametrize("ids", [(), (201_088,), (-1,)])
def test_a_prompt_of_another_vocabulary_is_refused(engine: LlamaEngine, ids: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match="201088 of this model"):
        ask(engine, ids)


def test_a_stop_id_that_the_model_does_not_end_with_is_refused(engine: LlamaEngine) -> None:
    with pytest.raises(EngineError, match="id 17 should end a reply"):
        next(engine.generate(Prompt((1,), stop=frozenset({17})), GREEDY))


def test_llama_cpp_writes_nothing_to_stderr(random_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = LlamaEngine(random_model)  # with as many threads as it chooses
    ask(engine, text(5), take=1)
    engine.close()
    assert capfd.readouterr() == ("", "")


def test_another_version_of_the_library_is_refused_by_name() -> None:
    with pytest.raises(EngineError, match=r"llama-cpp-python is 0\.3\.35") as error:
        binding.check("0.3.35", binding.api())
    assert "0.3.36" in str(error.value.hint)


def test_a_structure_of_another_size_is_refused_by_name() -> None:
    names = {name: getattr(binding.api(), name) for name in binding.STRUCT_SIZES}
    with pytest.raises(EngineError, match="llama_batch of llama-cpp-python has 4 bytes, not 56"):
        binding.check(binding.VERSION, SimpleNamespace(**{**names, "llama_batch": ctypes.c_int32}))


def test_what_llama_cpp_logs_can_be_had_at_the_level_debug(
    random_model: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, logger=binding.__name__):
        engine = LlamaEngine(random_model, threads=1)
        assert engine.info.n_layer == 2
        engine.close()
    assert any("gpt-oss" in record.getMessage() for record in caplog.records)
    assert capfd.readouterr() == ("", "")


def test_waiting_threads_are_told_to_sleep_early() -> None:
    binding.api()
    assert "OMP_WAIT_POLICY" in os.environ or int(os.environ["GOMP_SPINCOUNT"]) < 300_000
