"""Measures what Python and sampling add to each token, next to llama.cpp's own work.

    python -m benchmarks.overhead [MODEL.gguf] [--threads N]

First the sampler alone, on rows of 201,088 logits: a peaked one (30 of the ids hold nearly all of the mass, as in most
places of a text) and a flat one. Then the whole engine, from one `next` of the caller to the other, less the time that
llama.cpp takes to decode the same ids in a bare loop. Without MODEL: a small one with random weights and the full
vocabulary, whose decode takes a millisecond, so that the difference is not lost in it.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.random_model import SMALL, write_random
from gptoss_cli.engine import Token, binding, plan
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.engine.sampler import Sampler
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Budget, Guide, Prompt, State

VOCABULARY = 201_088
TOKENS = 200
ROUNDS = 9
SAMPLINGS = {
    "greedy": Sampling(temperature=0),
    "the default (temperature 1)": Sampling(seed=1),
    "top_p 0.95": Sampling(seed=1, top_p=0.95),
    "top_k 40": Sampling(seed=1, top_k=40),
    "min_p 0.01": Sampling(seed=1, min_p=0.01),
    "repeat_penalty 1.1": Sampling(seed=1, repeat_penalty=1.1),
    "logprobs 5": Sampling(seed=1, logprobs=5),
}


def peaked() -> np.ndarray:
    """Most ids 18 to 40 below the best one, thirty within 10."""
    random = np.random.default_rng(0)
    row = random.normal(loc=-28, scale=2.5, size=VOCABULARY).astype(np.float32)
    row[random.choice(VOCABULARY, 30, replace=False)] = np.linspace(-10, 0, 30)
    return row


def flat() -> np.ndarray:
    """No id above the others but by chance."""
    return np.random.default_rng(0).normal(size=VOCABULARY).astype(np.float32)


def sampler_ms(row: np.ndarray, sampling: Sampling) -> float:
    """Milliseconds per token, the median; the row is written anew each time, as a decode does."""
    sampler, logits, times = Sampler(sampling, range(100)), np.empty_like(row), []
    for _ in range(TOKENS):
        logits[:] = row
        started = time.perf_counter()
        sampler.sample(logits)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def engine_ms(engine: LlamaEngine, first: int, sampling: Sampling) -> tuple[float, list[int]]:
    """Milliseconds per token that a caller sees, and the ids."""
    guide = Guide((State(None, budget=0),), (Budget(TOKENS + 1),))
    ids, started = [], 0.0
    for item in engine.generate(Prompt((first,)), sampling, guide):
        if isinstance(item, Token):
            ids.append(item.id)
            started = started or time.perf_counter()
    return 1000 * (time.perf_counter() - started) / TOKENS, ids


def decode_ms(context: binding.Context, ids: list[int]) -> float:
    """Milliseconds per token of llama_decode alone."""
    context.clear()
    context.decode(ids[:1])
    started = time.perf_counter()
    for id in ids[1:]:
        assert context.decode((id,))
    return 1000 * (time.perf_counter() - started) / (len(ids) - 1)


def engine_table(path: Path, threads: int) -> None:
    engine = LlamaEngine(path, threads=threads)
    model = binding.Model(str(path))
    context = binding.Context(model, n_ctx=8192, n_ubatch=512, threads=threads, abort=binding.Abort())
    # a temperature that makes a row of random weights as peaked as that of a trained model
    for name, sampling in (("greedy", Sampling(temperature=0)), ("peaked", Sampling(seed=1, temperature=0.2))):
        differences, decodes = [], []
        for round in range(ROUNDS):
            whole, ids = engine_ms(engine, 100 + round, sampling)
            decodes.append(decode_ms(context, [100 + round, *ids[:-1]]))
            differences.append(whole - decodes[-1])
        print(f"{name:30} {statistics.median(differences):8.3f} {statistics.median(decodes):8.3f}")
    context.close()
    model.close()
    engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, help="[what the engine would take]")
    arguments = parser.parse_args()
    print(f"{'sampler alone, ms per token':30} {'peaked':>8} {'flat':>8}")
    for name, sampling in SAMPLINGS.items():
        print(f"{name:30} {sampler_ms(peaked(), sampling):8.3f} {sampler_ms(flat(), sampling):8.3f}")
    print(f"\n{'engine, ms per token':30} {'added':>8} {'decode':>8}")
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model
        if path is None:
            path = Path(folder) / "small.gguf"
            write_random(path, SMALL)
        engine_table(path, arguments.threads or plan.threads(path.stat().st_size))


if __name__ == "__main__":
    main()
