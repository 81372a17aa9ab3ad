"""What is reused is right: random conversations, each logit row compared with a context that was never rewound."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gptoss_cli.engine import binding
from gptoss_cli.engine.checkpoints import Checkpoints
from gptoss_cli.engine.kv import Cache
from gptoss_cli.prompt import Prompt

# A row is compared with that of a new context which gets the same portions. What noise is, is measured here, by reading
# the same ids in other portions: other kernels round otherwise, and another expert may be chosen, so a row differs by
# up to 0.02 of its length. A window that is lost changes it by 0.04 to 1.
SAMPLES = 12
AT_ONCE = 50  # ids of thoughts and answers that are decoded together, for speed
PREFIX, OPENING, ANSWER = 90, 3, 4  # ids of a system text, of what opens a reply, and of what heads an answer


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


Fed = list[tuple[int, tuple[int, ...]]]  # portions, each with where it went


def _ids(fed: Fed) -> list[int]:
    ids: list[int] = []
    for start, portion in fed:
        ids[start:] = portion
    return ids


@dataclass
class Watched:
    """A cache, and what was decoded into it in which portions, to be repeated from nothing."""

    model: binding.Model
    noise: float
    cache: Cache = field(init=False)
    fed: Fed = field(default_factory=list)
    others: list[Fed] = field(default_factory=list)  # of states that may be on the shelf

    def __post_init__(self) -> None:
        self.cache = self._new()

    def _new(self) -> Cache:
        return Cache(self.model, abort=binding.Abort(), threads=1, num_ctx=8192, check=lambda _n_ctx: None)

    def read(self, prompt: Prompt, most: int | None = None) -> int:
        """Bring `prompt` in, at most so many portions; how many of its ids were evaluated."""
        before = list(self.cache.ids)
        held = self.cache.open(prompt).length
        if self.cache.ids != before[:held]:
            self.others.append(self.fed)
            self.fed = next(fed for fed in reversed(self.others) if _ids(fed)[:held] == self.cache.ids)
        elif held < len(before):
            self.others.append(self.fed)
        self.fed = [(start, ids) for start, ids in self.fed if start < held]
        for count, ids in enumerate(list(self.cache.portions(prompt))):
            if count == most:
                break
            self.decode(ids)
            self.cache.mark(prompt)
        return len(prompt.tokens) - held

    def decode(self, ids: Sequence[int]) -> None:
        self.fed.append((len(self.cache.ids), tuple(ids)))
        assert self.cache.decode(ids)

    def logits(self) -> np.ndarray:
        return np.array(self.cache.logits())

    def again(self) -> np.ndarray:
        """The logits when the same portions go into a new context, each after what of it is still there."""
        ids, other = list(self.cache.ids), self._new()
        try:
            for start, portion in self.fed:
                other.open(Prompt((*ids[:start], *portion)))  # cuts off what an earlier portion had too much
                assert len(other.ids) == start
                assert other.decode(portion)
            assert other.ids == ids
            return np.array(other.logits())
        finally:
            other.close()


@dataclass
class Turn:
    asked: tuple[int, ...]
    answer: tuple[int, ...] = ()


@dataclass
class Talk:
    """A conversation as ids: prompts end with an opening, thoughts are dropped from history, answers stay."""

    watched: Watched
    ids: Callable[[int], tuple[int, ...]]
    system: tuple[int, ...]
    turns: list[Turn] = field(default_factory=list)

    def history(self, turns: Sequence[Turn]) -> tuple[tuple[int, ...], list[int]]:
        ids, marks = self.system, [len(self.system)]
        for turn in turns:
            marks.append(len(ids))
            ids += turn.asked + (self.opening + self.heading + turn.answer if turn.answer else ())
        return ids, marks

    @property
    def opening(self) -> tuple[int, ...]:
        return self.system[:OPENING]

    @property
    def heading(self) -> tuple[int, ...]:
        return self.system[OPENING : OPENING + ANSWER]

    def reply(self, thoughts: int, length: int, calls: int = 0) -> int:
        """Answer the last turn: `calls` rounds with a tool, then thoughts and the answer; ids evaluated to begin."""
        ids, marks = self.history([*self.turns[:-1], Turn(self.turns[-1].asked)])
        ids += self.opening
        evaluated = self._read(ids, marks)
        for _ in range(calls):
            self._sample(self.ids(thoughts))
            ids = (*self.watched.cache.ids, *self.ids(20), *self.opening)
            self._read(ids, [*marks, len(ids) - OPENING])
        self._sample((*self.ids(thoughts), *self.opening, *self.heading, *self.ids(length)))
        self.turns[-1].answer = tuple(self.watched.cache.ids[-length:])
        return evaluated

    def _sample(self, ids: tuple[int, ...]) -> None:
        for start in range(0, len(ids), AT_ONCE):
            self.watched.decode(ids[start : start + AT_ONCE])

    def settle(self, most: int | None) -> None:
        ids, marks = self.history(self.turns)
        self.watched.read(Prompt(ids, marks=(*marks, len(ids))), most)

    def _read(self, ids: tuple[int, ...], marks: Sequence[int]) -> int:
        evaluated = self.watched.read(Prompt(ids, marks=(*marks, len(ids))))
        found, expected = self.watched.logits(), self.watched.again()
        assert distance(found, expected) <= self.watched.noise
        second, first = np.partition(expected, -2)[-2:]
        if first - second > 2 * np.abs(found - expected).max():
            assert found.argmax() == expected.argmax()
        return evaluated


LENGTHS = st.sampled_from((1, 2, 17, 60, 140, 300, 700))
STEPS = st.one_of(
    st.tuples(st.just("ask"), LENGTHS, st.sampled_from((0, 5, 150, 400)), st.sampled_from((0, 0, 1, 2))),
    st.tuples(st.just("retry"), LENGTHS, st.sampled_from((0, 30)), st.just(0)),
    st.tuples(st.just("undo"), st.just(1), st.just(0), st.just(0)),
    st.tuples(st.just("edit"), LENGTHS, st.sampled_from((0, 150)), st.just(0)),
    st.tuples(st.just("switch"), st.just(1), st.just(0), st.just(0)),
    st.tuples(st.just("settle"), st.sampled_from((0, 1, 9)), st.just(0), st.just(0)),  # portions before it is stopped
)


def converse(model: binding.Model, noise: float, steps: Sequence[tuple[str, int, int, int]], seed: int) -> None:
    random = np.random.default_rng(seed)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(int(id) for id in random.integers(0, min(model.n_vocab, 199_000), count))

    watched = Watched(model, noise)
    talks = [Talk(watched, ids, ids(PREFIX)) for _ in range(2)]
    try:
        before = ""
        for what, length, thoughts, calls in steps:
            talk = talks[0]
            match what:
                case "ask":
                    talk.turns.append(Turn(ids(length)))
                    talk.reply(thoughts, 1 + length // 3, calls)
                case "retry" if talk.turns:
                    evaluated = talk.reply(thoughts, 1 + length // 3)
                    assert evaluated == 1 or before not in ("ask", "retry", "edit", "settle")
                case "undo" if talk.turns:
                    talk.turns.pop()
                case "edit" if talk.turns:
                    talk.turns[-1] = Turn(ids(length))
                    talk.reply(thoughts, 5)
                case "switch":
                    talks.reverse()
                case "settle" if talk.turns:
                    talk.settle(length)
            before = what
    finally:
        watched.cache.close()


@pytest.fixture(scope="module", params=[pytest.param("tiny", marks=pytest.mark.soak), "random"])
def model(request: pytest.FixtureRequest, random_model: Path) -> Iterator[binding.Model]:
    import gptoss_cli

    path = Path(gptoss_cli.__file__).parent / "models" / "tiny.gguf" if request.param == "tiny" else random_model
    made = binding.Model(str(path))
    yield made
    made.close()


@pytest.fixture(scope="module")
def noise(model: binding.Model) -> float:
    """How far the rows of the same ids are apart when they are read in other portions."""
    random, found = np.random.default_rng(7), 0.0
    for _ in range(SAMPLES):
        ids = tuple(int(id) for id in random.integers(0, min(model.n_vocab, 199_000), 200))
        at_once, apart = Watched(model, 0.0), Watched(model, 0.0)
        at_once.read(Prompt(ids))
        apart.read(Prompt(ids, marks=tuple(range(90, 200, 13))))
        found = max(found, distance(apart.logits(), at_once.logits()))
        at_once.cache.close()
        apart.cache.close()
    return found


def test_a_window_that_is_lost_would_be_noticed(model: binding.Model, noise: float) -> None:
    """The measure of all tests here: what llama.cpp gives when a context is cut without a checkpoint."""
    random = np.random.default_rng(8)
    ids = tuple(int(id) for id in random.integers(0, min(model.n_vocab, 199_000), 1200))
    right, wrong = Watched(model, noise), Watched(model, noise)
    right.read(Prompt(ids[:300]))
    wrong.read(Prompt(ids))
    assert wrong.cache._context is not None
    wrong.cache._context.truncate(290)
    del wrong.cache.ids[290:]
    wrong.decode(ids[290:300])
    assert distance(wrong.logits(), right.logits()) > 1.5 * noise
    right.cache.close()
    wrong.cache.close()


def test_what_is_reused_gives_the_logits_of_a_new_context(model: binding.Model, noise: float) -> None:
    steps = [
        ("ask", 60, 700, 0),
        ("settle", 9, 0, 0),
        ("retry", 60, 300, 0),
        ("settle", 0, 0, 0),
        ("ask", 300, 400, 2),
        ("switch", 1, 0, 0),
        ("ask", 17, 5, 1),
        ("switch", 1, 0, 0),
        ("settle", 1, 0, 0),
        ("retry", 17, 0, 0),
        ("undo", 1, 0, 0),
        ("ask", 2, 0, 0),
        ("edit", 140, 30, 0),
    ]
    converse(model, noise, steps, 1)


@pytest.mark.soak
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=8, max_size=20), seed=st.integers(0, 1000))
def test_what_is_reused_gives_the_logits_of_a_new_context_in_many_conversations(
    model: binding.Model, noise: float, steps: list[tuple[str, int, int, int]], seed: int
) -> None:
    converse(model, noise, [("ask", 60, 700, 0), *steps], seed)


def test_checkpoints_are_bounded_and_the_least_used_goes_first() -> None:
    kept = Checkpoints(most=3, most_bytes=10)
    for length in (10, 20, 30):
        kept.put(length, b"abc")
    kept.use(10)
    kept.put(40, b"abc")
    assert [length for length, _ in kept.last(9)] == [10, 30, 40]
    assert (kept.best(39), kept.best(9)) == (30, 0)
    kept.put(50, b"12345678")  # as many bytes as fit
    assert [length for length, _ in kept.last(9)] == [50]
    kept.cut(49)
    assert len(kept) == 0
