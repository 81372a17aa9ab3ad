"""`python -m training`: data, training, export, comparison with PyTorch and evaluation, from nothing to `tiny.gguf`.

The training has three parts: the second goes on from the first, the last from the mean of both.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from training.average import average
from training.corpus.mixes import LAST, SECOND
from training.export import export
from training.parts import RECORD, VOCABULARY, WEIGHTS, join
from training.shape import Shape
from training.train import Plan, train

OUT = Path(__file__).parent / "out"
MODEL = "tiny.gguf"
STEPS = (8000, 1300, 200)
SECOND_RATE, LAST_RATE = 0.8, 0.2  # of learning, against the first part
SECOND_SHARE = 0.6  # of the mean of the first and the second part


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument(
        "--steps",
        type=int,
        nargs=3,
        default=STEPS,
        metavar=("FIRST", "SECOND", "LAST"),
        help="of each part",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first part; the others have the next ones")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for everything that is made")
    parser.add_argument("--resume", action="store_true", help="go on with a training that was interrupted")
    parser.add_argument("--export-only", action="store_true", help="use the weights that are in the folder already")
    arguments = parser.parse_args()
    out = arguments.out
    if not arguments.export_only:
        _train(arguments.steps, arguments.seed, out, resume=arguments.resume)
    path = _export(out)
    _run("training.compare", str(out), str(path))
    _run("training.evaluate", str(path), "--record", str(out / "evaluation.json"))
    _run("training.through", "--model", str(path), "--record", str(out / "through.json"))


def _train(steps: Sequence[int], seed: int, out: Path, *, resume: bool) -> None:
    first, second, mean, last = (out / name for name in ("first", "second", "mean", "last"))
    train(Plan(steps[0], seed=seed), first, resume=resume)
    train(Plan(steps[1], seed=seed + 1, begin=_export(first), rate=SECOND_RATE, mix=SECOND), second, resume=resume)
    average(first, second, mean, SECOND_SHARE)
    train(Plan(steps[2], seed=seed + 2, begin=_export(mean), rate=LAST_RATE, mix=LAST), last, resume=resume)
    join((first, second, last), out)


def _export(folder: Path) -> Path:
    path = folder / MODEL
    kept = torch.load(folder / VOCABULARY, weights_only=True)
    weights = torch.load(folder / WEIGHTS, weights_only=True)
    export({name: each.numpy() for name, each in weights.items()}, kept["pieces"], Shape(**kept["shape"]), path)
    record = folder / RECORD
    if record.exists():  # else the training has not ended
        told = json.loads(record.read_text()) | {"size_bytes": path.stat().st_size}
        record.write_text(json.dumps(told, indent=1))
    print(f"{path}: {path.stat().st_size:,} bytes")
    return path


def _run(module: str, *arguments: str) -> None:
    """In a process of its own: PyTorch's threads and llama.cpp's would share the cores."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], env=os.environ, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
