"""`gptoss pull` beside `hf download`, from a server on this machine: `python -m benchmarks.download`.

Both fetch the same file into an empty cache, in turns; the server sends so many MB/s to all connections together.
Times are of whole commands. Ours hashes the file and flushes it to the disk; `hf download` does neither.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.gguf_writer import Tensor, TensorType, write

ROOT = Path(__file__).parent.parent
FILE = "benchmark-MXFP4.gguf"
COMMANDS = {
    "gptoss pull": [sys.executable, "-m", "gptoss_cli", "pull", "--quiet", "hf:owner/model"],
    "hf download": [
        sys.executable,
        "-c",
        "from huggingface_hub.cli.hf import main; main()",
        "download",
        "--quiet",
        "owner/model",
        FILE,
    ],
}


def seconds(command: list[str], endpoint: str, home: Path) -> float:
    """Wall time of one download into an empty cache; it has to end well."""
    shutil.rmtree(home, ignore_errors=True)
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "huggingface"),
        "GPTOSS_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    spent = time.perf_counter() - started
    assert len(list(home.glob(f"huggingface/hub/models--owner--model/snapshots/*/{FILE}"))) == 1
    return spent


@contextmanager
def server(path: Path, rate: float) -> Iterator[str]:
    """The address of the tests' Hub, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/hub_server.py"), str(path), str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.download", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=100.0, help="MB/s; 0 is as fast as it can")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        count = given.megabytes * 10**6 // 4
        data = os.urandom(count * 4)
        write(path, {"general.architecture": "gpt-oss"}, [Tensor("w", (count,), TensorType.F32, data)])
        del data
        times: dict[str, list[float]] = {name: [] for name in COMMANDS}
        with server(path, given.rate) as endpoint:
            for _ in range(given.rounds):
                for name, command in COMMANDS.items():
                    times[name].append(seconds(command, endpoint, Path(folder) / "home"))
        size = path.stat().st_size / 1e6
    for name, each in times.items():
        middle = statistics.median(each)
        print(f"{name:<12} {middle:6.2f} s  {size / middle:6.1f} MB/s  ({min(each):.2f} to {max(each):.2f} s)")
    ours, theirs = (statistics.median(times[name]) for name in COMMANDS)
    print(f"throughput of gptoss pull / hf download: {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
