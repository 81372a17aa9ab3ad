"""Logits to a token, in numpy. Knows rows of numbers, not what the ids mean."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gptoss_cli.engine import Token
from gptoss_cli.errors import EngineError
from gptoss_cli.options import Sampling

Row = Any  # numpy.ndarray of float32, n_vocab long; numpy is imported late
Ids = Any  # numpy.ndarray of ids

# Candidates whose logit (at temperature 1) is this far below the best are not looked at: together they have less than
# n_vocab * e**-20 = 0.04 % of the mass whatever the row, in an ordinary one less than 1e-6; looking costs 0.8 ms per
# token. top_k and min_p are exact all the same; top_p is a share of the mass that is kept
CUT = 20.0
BLOCK = 512
COLDEST = 1e-6  # below this temperature float32 logits that differ at all leave one candidate: greedy


class Sampler:
    """Draws one token after another for one reply. Not thread-safe.

    The order is that of OpenAI's API and of vLLM: penalties, temperature, then top_k, top_p and min_p on what is left.
    The same seed, logits and calls give the same tokens.
    """

    def __init__(self, sampling: Sampling, history: Sequence[int]) -> None:
        """history: the ids before the first one sampled, for penalties."""
        import numpy  # 80 ms: only when a model is loaded

        self._np = numpy
        self._sampling = sampling
        seed = sampling.seed if sampling.seed is not None and sampling.seed >= 0 else None
        self._random = numpy.random.default_rng(seed)
        self._penalize = (sampling.repeat_penalty, sampling.presence_penalty, sampling.frequency_penalty) != (1, 0, 0)
        self._history = list(history) if self._penalize else []

    def sample(self, row: Row, allowed: Ids | None = None, banned: Ids | None = None) -> Token:
        """One id drawn from `row`, which may be written to; of the allowed ones when given, never a banned one.

        Raises EngineError when the row has no usable numbers.
        """
        own = (row.copy(), self._log_mass(row), self._top(row)) if self._sampling.logprobs is not None else None
        if banned is not None:
            row[banned] = -self._np.inf
        if self._penalize:
            self._apply_penalties(row)
        id = self._draw(row) if allowed is None else int(allowed[self._draw(row[allowed])])
        self.accept(id)
        if own is None:
            return Token(id)
        logits, all_mass, top = own
        return Token(id, float(logits[id]) - all_mass, tuple((each, logit - all_mass) for each, logit in top))

    def accept(self, id: int) -> None:
        """Note an id that was put in without being sampled."""
        if self._penalize:
            self._history.append(id)

    def _draw(self, logits: Row) -> int:
        np, sampling = self._np, self._sampling
        best = logits.max()
        if not np.isfinite(best):
            raise EngineError("the model gave no usable logits (not a number): the weights are damaged or overflowed")
        if sampling.temperature < COLDEST:
            return int(logits.argmax())
        places, scaled = self._candidates(logits, best)
        if len(scaled) == 1:
            return 0 if places is None else int(places[0])
        places, scaled = self._truncate(places, (scaled - best) / sampling.temperature)
        drawn = self._pick(np.exp(scaled))
        return drawn if places is None else int(places[drawn])

    def _candidates(self, logits: Row, best: float) -> tuple[Ids | None, Row]:
        """The logits worth looking at and their places; None for all, when gathering would cost more than it saves."""
        near = logits >= best - CUT * self._sampling.temperature
        if self._np.count_nonzero(near) > len(logits) // 4:
            return None, logits
        places = self._np.flatnonzero(near)
        return places, logits[places]

    def _truncate(self, places: Ids | None, scaled: Row) -> tuple[Ids | None, Row]:
        """top_k, top_p and min_p; the best candidate always stays. scaled: logits by temperature, the best has 0."""
        np, sampling = self._np, self._sampling
        if 0 < sampling.top_k < len(scaled):
            places, scaled = _only(np.argpartition(scaled, -sampling.top_k)[-sampling.top_k :], places, scaled)
        if sampling.top_p < 1:
            places, scaled = _only(np.flatnonzero(scaled >= self._least_likely(scaled)), places, scaled)
        if sampling.min_p > 0:
            places, scaled = _only(np.flatnonzero(scaled >= np.log(sampling.min_p)), places, scaled)
        return places, scaled

    def _least_likely(self, scaled: Row) -> float:
        """The value of the candidate with which the mass of the likeliest ones reaches top_p."""
        np = self._np
        weights = np.exp(scaled)
        wanted = self._sampling.top_p * weights.sum(dtype=np.float64)
        # those below this are together less than what top_p leaves out: no need to sort them
        share = (1 - self._sampling.top_p) * float(weights.sum(dtype=np.float64)) / len(weights)
        likely = np.sort(scaled[weights >= share])[::-1]
        mass = np.cumsum(np.exp(likely), dtype=np.float64)
        return float(likely[min(int(np.searchsorted(mass, wanted)), len(mass) - 1)])

    def _pick(self, weights: Row) -> int:
        """A place, each as probable as its weight. The sums are made block by block: one over all takes 2 ms."""
        np = self._np
        whole = len(weights) // BLOCK * BLOCK
        sums = weights[:whole].reshape(-1, BLOCK).sum(axis=1, dtype=np.float64)
        sums = np.cumsum(np.append(sums, weights[whole:].sum(dtype=np.float64)))
        target = self._random.random() * sums[-1]
        block = min(int(np.searchsorted(sums, target, side="right")), len(sums) - 1)
        inner = np.cumsum(weights[block * BLOCK : (block + 1) * BLOCK], dtype=np.float64)
        target -= sums[block - 1] if block else 0.0
        place = block * BLOCK + min(int(np.searchsorted(inner, target, side="right")), len(inner) - 1)
        return place if weights[place] > 0 else int(weights.argmax())  # rounding may reach a last place without weight

    def _apply_penalties(self, row: Row) -> None:
        sampling = self._sampling
        recent = self._history if sampling.repeat_last_n < 0 else self._history[-sampling.repeat_last_n :]
        if not recent or sampling.repeat_last_n == 0:
            return
        counts = Counter(recent)
        ids = self._np.fromiter(counts.keys(), dtype=self._np.int64)
        times = self._np.fromiter(counts.values(), dtype=self._np.float32)
        logits = row[ids]
        # a penalty above 1 makes a positive logit smaller and a negative one more negative (Keskar et al. 2019)
        logits = self._np.where(logits > 0, logits / sampling.repeat_penalty, logits * sampling.repeat_penalty)
        row[ids] = logits - sampling.presence_penalty - sampling.frequency_penalty * times

    def _log_mass(self, row: Row) -> float:
        """The logarithm of the sum of all e**logit."""
        best = row.max()
        return float(best + self._np.log(self._np.exp(row - best).sum(dtype=self._np.float64)))

    def _top(self, row: Row) -> list[tuple[int, float]]:
        """The likeliest ids with their logits, best first; as many as are asked for."""
        np, count = self._np, self._sampling.logprobs or 0
        if not count:
            return []
        places = np.flatnonzero(row >= row.max() - CUT)
        if len(places) < count:
            places = np.arange(len(row))
        if len(places) > count:
            places = places[np.argpartition(row[places], -count)[-count:]]
        places = places[np.argsort(-row[places], kind="stable")]
        return [(int(place), float(row[place])) for place in places]


def _only(kept: Ids, places: Ids | None, scaled: Row) -> tuple[Ids, Row]:
    return (kept if places is None else places[kept]), scaled[kept]
