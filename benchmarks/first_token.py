"""How long the first token takes in a first run and in those after it: `python -m benchmarks.first_token MODEL.gguf`.

Each round begins with no engine running and nothing kept on the disk; the file is in the page cache. Then the same
question twice, another one, and, with the engine stopped, another one again: what the disk keeps. Times are of a
whole command, and of the answer's first token as --json has it. The second run should take at most a tenth of the
first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GPTOSS = str(Path(sys.executable).parent / "gptoss")
TEXT = "the engine keeps what it has read so that another question about the same text is answered at once"
WORDS = TEXT.split()
RUNS = ("first", "the same again", "another question", "another, engine stopped")


class Round:
    """Runs in a folder of their own."""

    def __init__(self, model: str, system: Path, home: str) -> None:
        self._model, self._system = model, system
        self._environment = os.environ | {"GPTOSS_HOME": home, "GPTOSS_KEEP_ALIVE": "5m"}

    def run(self, question: str) -> tuple[float, float, int]:
        """(seconds of the command, seconds to the first token, prompt tokens evaluated)."""
        options = ["--reasoning", "off", "--max-tokens", "2", "--temperature", "0", "--json", "-q"]
        command = [GPTOSS, "run", self._model, "-s", f"@{self._system}", *options, question]
        started = time.perf_counter()
        done = subprocess.run(command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        took_s = time.perf_counter() - started
        told = json.loads(done.stdout)
        return took_s, told["timings"]["first_token_s"], told["usage"]["prompt_evaluated"]

    def stop(self) -> None:
        subprocess.run([GPTOSS, "stop", "--all", "-q"], env=self._environment, capture_output=True, check=False)


def one_round(model: str, words: int) -> list[tuple[float, float, int]]:
    with tempfile.TemporaryDirectory() as home:
        system = Path(home) / "system.txt"
        system.write_text(" ".join(WORDS[place % len(WORDS)] for place in range(words)) or " ")
        made = Round(model, system, home)
        try:
            runs = [made.run("hi"), made.run("hi"), made.run("what else?")]
            made.stop()
            return [*runs, made.run("who are you?")]
        finally:
            made.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_token", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--words", type=int, nargs="+", default=[0, 1000], help="of the system text")
    at = parser.parse_args()
    for words in at.words:
        rounds = [one_round(str(at.model), words) for _ in range(at.rounds)]
        first = statistics.median(each[0][1] for each in rounds)
        print(f"a system text of {words:,} words")
        for place, name in enumerate(RUNS):
            took, token, evaluated = (statistics.median(each[place][part] for each in rounds) for part in range(3))
            print(
                f"  {name:24}{evaluated:6.0f} tokens read, first token after {token:6.2f} s "
                f"({token / first:5.3f} of the first run's), the command {took:6.2f} s"
            )


if __name__ == "__main__":
    main()
