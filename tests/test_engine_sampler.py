"""The sampler: which ids can be drawn, how often, and what the same seed gives."""

import math

import numpy as np
import pytest

from gptoss_cli.engine.sampler import Sampler
from gptoss_cli.errors import EngineError
from gptoss_cli.options import Sampling

LARGE = 201_088


def row(*logits: float) -> np.ndarray:
    return np.array(logits, dtype=np.float32)


def draws(sampling: Sampling, logits: np.ndarray, count: int = 400, history: tuple[int, ...] = ()) -> list[int]:
    sampler = Sampler(sampling, history)
    return [sampler.sample(logits.copy()).id for _ in range(count)]


def test_temperature_zero_takes_the_best() -> None:
    assert draws(Sampling(temperature=0), row(0.5, 2.0, 1.9), 5) == [1] * 5


@pytest.mark.parametrize("temperature", [1e-50, 1e-7, 1e-4])
def test_a_tiny_temperature_takes_the_best(temperature: float) -> None:
    assert draws(Sampling(temperature=temperature), row(0.5, 2.0, 1.9, 2.0), 20)[0] in (1, 3)
    assert draws(Sampling(temperature=temperature), row(0.5, 2.0, 1.9), 20) == [1] * 20


@pytest.mark.parametrize("temperature", [1.0, *(pytest.param(each, marks=pytest.mark.soak) for each in (0.5, 3.0))])
def test_ids_come_as_often_as_their_probability_says(temperature: float) -> None:
    logits = row(1.0, 0.0, 2.0, -1.0)
    expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    count = 20_000
    drawn = np.bincount(draws(Sampling(temperature=temperature, seed=5), logits, count), minlength=4) / count
    assert drawn == pytest.approx(expected, abs=4 * math.sqrt(0.25 / count))


def test_a_flat_row_of_the_large_vocabulary_is_drawn_evenly() -> None:
    drawn = np.array(draws(Sampling(seed=3), np.zeros(LARGE, dtype=np.float32), 1000))
    assert len(set(drawn.tolist())) > 950
    assert drawn.mean() / LARGE == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 1000))


def test_the_same_seed_gives_the_same_ids_and_another_one_others() -> None:
    logits = np.random.default_rng(0).normal(size=LARGE).astype(np.float32)
    first = draws(Sampling(seed=7), logits, 20)
    assert draws(Sampling(seed=7), logits, 20) == first
    assert draws(Sampling(seed=8), logits, 20) != first
    assert draws(Sampling(seed=None), logits, 20) != draws(Sampling(seed=-1), logits, 20)


@pytest.mark.parametrize(
    ("sampling", "possible"),
    [
        (Sampling(top_k=2), {3, 4}),
        (Sampling(top_k=1), {4}),
        (Sampling(top_k=9), {0, 1, 2, 3, 4}),
        (Sampling(top_p=0.0), {4}),
        (Sampling(top_p=0.29), {4}),  # the probabilities are 0.1, 0.1, 0.15, 0.25, 0.4
        (Sampling(top_p=0.41), {3, 4}),
        (Sampling(top_p=0.66), {2, 3, 4}),
        (Sampling(min_p=0.36), {2, 3, 4}),
        (Sampling(min_p=0.38), {3, 4}),
        (Sampling(min_p=1.0), {4}),
        (Sampling(top_k=3, top_p=0.7), {3, 4}),  # top_p is of what top_k left: 0.4 and 0.25 of 0.8
        (Sampling(top_p=0.5, temperature=100.0), {2, 3, 4}),  # nearly even: three of five
    ],
)
def test_a_cut_leaves_exactly_its_ids(sampling: Sampling, possible: set[int]) -> None:
    assert set(draws(sampling, np.log(row(0.1, 0.1, 0.15, 0.25, 0.4)), 600)) == possible


def test_a_cut_of_many_candidates_leaves_what_sorting_all_of_it_leaves() -> None:
    logits = np.random.default_rng(1).normal(scale=3, size=20_000).astype(np.float32)
    order = np.argsort(-logits, kind="stable")
    shares = np.exp(logits[order].astype(np.float64))
    shares /= shares.sum()
    nucleus = set(order[: int(np.searchsorted(np.cumsum(shares), 0.2)) + 1].tolist())
    drawn = draws(Sampling(top_p=0.2, seed=1), logits, 2000)
    assert set(drawn) <= nucleus
    assert len(set(drawn)) > 0.7 * len(nucleus)
    assert set(draws(Sampling(top_k=5, seed=1), logits, 300)) == set(order[:5].tolist())


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(temperature=0, repeat_penalty=2.0), 2),  # 3/2 and 2/2 fall below 1.8
        (Sampling(temperature=0, repeat_penalty=2.0, repeat_last_n=1), 0),  # only id 1 is recent
        (Sampling(temperature=0, repeat_penalty=2.0, repeat_last_n=0), 0),
        (Sampling(temperature=0, repeat_penalty=2.0, repeat_last_n=-1), 2),
        (Sampling(temperature=0, presence_penalty=1.1), 0),  # 3 - 1.1 is still the best
        (Sampling(temperature=0, presence_penalty=1.3), 2),
        (Sampling(temperature=0, frequency_penalty=0.7), 2),  # id 0 came twice
        (Sampling(temperature=0, frequency_penalty=0.5), 0),
        (Sampling(temperature=0, presence_penalty=-9.0), 0),
    ],
)
def test_a_penalty_lowers_what_came_before(sampling: Sampling, expected: int) -> None:
    assert draws(sampling, row(3.0, 2.0, 1.8), 1, history=(0, 0, 1)) == [expected]


def test_a_repeat_penalty_makes_negative_logits_smaller_too() -> None:
    assert draws(Sampling(temperature=0, repeat_penalty=2.0), row(-1.0, -1.5), 1, history=(0,)) == [1]


def test_penalties_see_what_was_sampled_and_what_was_forced() -> None:
    sampler = Sampler(Sampling(temperature=0, presence_penalty=5.0), ())
    assert [sampler.sample(row(3.0, 2.0, 1.0, 0.0)).id for _ in range(2)] == [0, 1]
    sampler.accept(2)
    assert sampler.sample(row(3.0, 2.0, 1.0, 0.0)).id == 3


def test_only_allowed_ids_are_drawn_and_never_a_banned_one() -> None:
    sampler, logits = Sampler(Sampling(seed=1), ()), row(9.0, 0.0, 0.0, 8.0, 0.0)
    allowed, banned = np.array([1, 3, 4]), np.array([3])
    assert {sampler.sample(logits.copy(), allowed).id for _ in range(50)} == {3, 1, 4} - {1, 4}
    assert {sampler.sample(logits.copy(), allowed, banned).id for _ in range(50)} == {1, 4}
    assert {sampler.sample(logits.copy(), None, np.array([0, 3])).id for _ in range(100)} == {1, 2, 4}


def test_logprobs_are_the_models_own_whatever_is_cut_or_penalized() -> None:
    logits = row(1.0, 3.0, 2.0, -4.0)
    expected = logits - np.log(np.exp(logits.astype(np.float64)).sum())
    sampling = Sampling(temperature=0.2, top_k=1, logprobs=2, presence_penalty=9.0)
    token = Sampler(sampling, (1,)).sample(logits.copy(), banned=np.array([2]))
    assert token.id == 0
    assert token.logprob == pytest.approx(expected[0], abs=1e-5)
    assert [id for id, _ in token.top] == [1, 2]
    assert [logprob for _, logprob in token.top] == pytest.approx(expected[[1, 2]], abs=1e-5)


def test_logprobs_without_alternatives_and_none_at_all() -> None:
    assert Sampler(Sampling(logprobs=0), ()).sample(row(0.0, 0.0)).logprob == pytest.approx(math.log(0.5))
    assert Sampler(Sampling(logprobs=0), ()).sample(row(0.0, 0.0)).top == ()
    assert Sampler(Sampling(), ()).sample(row(0.0, 0.0)).logprob is None


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("logits", [row(0.0, math.nan), row(math.inf, 0.0), row(-math.inf, -math.inf)])
def test_a_row_without_usable_numbers_is_an_error(logits: np.ndarray, temperature: float) -> None:
    with pytest.raises(EngineError, match="logits"):
        Sampler(Sampling(temperature=temperature), ()).sample(logits)


def test_a_masked_id_is_never_drawn_from_a_row_that_is_looked_at_whole() -> None:
    logits = np.zeros(2000, dtype=np.float32)
    banned = np.arange(1000, 2000)
    sampler = Sampler(Sampling(seed=2), ())
    assert max(sampler.sample(logits.copy(), banned=banned).id for _ in range(500)) < 1000
