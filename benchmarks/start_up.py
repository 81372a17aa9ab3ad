"""How long a command takes to start, beside a Python that does nothing: `python -m benchmarks.start_up`.

Every round runs all commands once, in turns, so that a busy moment hits all of them; medians are shown. `--version` may
take 60 ms more than a bare interpreter, a run with an engine that is warm 250 ms and what the model takes;
`__complete`, which a shell asks when Tab is pressed, 0.15 s in all.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

GPTOSS = str(Path(sys.executable).parent / "gptoss")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "gptoss --version": [GPTOSS, "--version"],
    "gptoss __complete models": [GPTOSS, "__complete", "models"],
    "gptoss __complete sessions": [GPTOSS, "__complete", "sessions"],
    "gptoss --help": [GPTOSS, "--help"],
    "gptoss run tiny hello": [GPTOSS, "run", "-q", "tiny", "hello", "--keep-alive", "0"],
    "the same, warm": [GPTOSS, "run", "-q", "tiny", "hello", "--keep-alive", "1m"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one run; it has to end well."""
    started = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ, check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start_up", description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        seconds(command)  # files into the page cache
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    bare = statistics.median(times["python -c pass"])
    subprocess.run([GPTOSS, "stop", "--all", "-q"], stdout=subprocess.DEVNULL, check=True)
    for name, each in times.items():
        median = statistics.median(each)
        print(f"{name:26} {median * 1000:6.0f} ms, {(median - bare) * 1000:+6.0f} ms, {median / bare:5.1f} x bare")


if __name__ == "__main__":
    main()
