"""Compares our tokens per second with llama-bench's: same weights, same libraries, same settings, in turns.

    python -m benchmarks.compare_llama_bench --build OUT [--source FOLDER]
    python -m benchmarks.compare_llama_bench MODEL.gguf --llama-bench OUT [--threads N] [--repack] [--rounds 7]

--build compiles llama-bench (half a minute) from the source distribution of llama-cpp-python, which it downloads with
pip unless --source names it unpacked, against the libraries that the installed llama-cpp-python uses: both sides then
run the same machine code, and only what is around it differs. See benchmarks/llama_sources.py for what it needs.

A ratio above 1 means that we are faster. Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

from benchmarks.llama_sources import compile_program, sources
from benchmarks.random_model import O200K_HARMONY_SIZE
from gptoss_cli.engine import Timings, plan
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Budget, Guide, Prompt, State

ENVIRONMENT = dict(os.environ)  # before the engine adds its own settings: llama-bench runs without them


def build(out: Path, unpacked: Path | None) -> None:
    """llama-bench at `out`."""
    with sources(unpacked) as llama:
        compile_program(out, llama, [f"tools/llama-bench/{name}.cpp" for name in ("llama-bench", "main")])
    print(out)


class Comparison:
    """One model and one set of settings on both sides."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._engine = LlamaEngine(arguments.model, threads=arguments.threads, repack=arguments.repack)
        self._turn = 0

    def theirs(self) -> tuple[float, float]:
        """llama-bench's tokens per second: prompt, answer."""
        at = self._arguments
        command = [at.llama_bench, "--model", at.model, "--n-prompt", at.prompt, "--n-gen", at.answer]
        command += ["--threads", at.threads, "--batch-size", 512, "--ubatch-size", 512, "--flash-attn", "auto"]
        command += ["--load-mode", "mmap", "--repack", int(at.repack), "--repetitions", 1, "--output", "json"]
        run = subprocess.run([str(word) for word in command], check=True, capture_output=True, env=ENVIRONMENT)
        prompt, answer = json.loads(run.stdout)
        assert (prompt["n_prompt"], answer["n_gen"]) == (at.prompt, at.answer)
        return prompt["avg_ts"], answer["avg_ts"]

    def ours(self) -> tuple[float, float]:
        self._turn += 1
        read = self._generate(self._arguments.prompt, 1)
        answered = self._generate(1, self._arguments.answer + 1)  # the first needs no decode of its own
        assert (read.evaluated, answered.reused) == (self._arguments.prompt, 0)
        return read.evaluated / read.prompt_s, self._arguments.answer / answered.answer_s

    def _generate(self, prompt: int, answer: int) -> Timings:
        # other ids each time, so that nothing is reused; llama-bench takes random ones too
        seed = 7919 * self._turn + prompt
        ids = tuple((seed + 104_729 * place) % (O200K_HARMONY_SIZE - 2000) for place in range(prompt))
        guide = Guide((State(None, budget=0),), (Budget(answer),))
        generation = self._engine.generate(Prompt(ids), Sampling(temperature=0), guide)
        while True:
            try:
                next(generation)
            except StopIteration as stop:
                timings: Timings = stop.value
                return timings

    def run(self) -> None:
        self.ours()  # warms up, as llama-bench does itself
        ratios = []
        print(f"{'':>4} {'prompt, tokens/s':^30} {'answer, tokens/s':^30}")
        print(f"{'':>4} {'llama-bench':>12} {'ours':>9} {'ratio':>7} {'llama-bench':>12} {'ours':>9} {'ratio':>7}")
        for round in range(1, self._arguments.rounds + 1):
            theirs, ours = self.theirs(), self.ours()
            ratios.append((ours[0] / theirs[0], ours[1] / theirs[1]))
            shown = zip(theirs, ours, ratios[-1], strict=True)
            print(f"{round:4} " + " ".join(f"{their:12.2f} {our:9.2f} {ratio:7.3f}" for their, our, ratio in shown))
        middle = [statistics.median(column) for column in zip(*ratios, strict=True)]
        print(f"median ratio: prompt {middle[0]:.3f}, answer {middle[1]:.3f}")
        self._engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--build", type=Path, metavar="OUT")
    parser.add_argument("--source", type=Path, help="the unpacked source distribution of llama-cpp-python")
    parser.add_argument("--llama-bench", type=Path)
    parser.add_argument("--threads", type=int, default=plan.threads(2**40))
    parser.add_argument("--repack", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--prompt", type=int, default=512, help="tokens")
    parser.add_argument("--answer", type=int, default=64, help="tokens")
    arguments = parser.parse_args()
    if arguments.build:
        build(arguments.build, arguments.source)
    elif arguments.model and arguments.llama_bench:
        Comparison(arguments).run()
    else:
        parser.error("give --build OUT, or MODEL.gguf and --llama-bench PATH")


if __name__ == "__main__":
    main()
