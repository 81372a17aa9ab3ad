"""`python -m training`: data, training, export, comparison with PyTorch and evaluation, from nothing to `tiny.gguf`.

The second part of the training goes on from the first, and the model is the mean of both.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from training.average import average
from training.export import export
from training.shape import Shape
from training.train import RECORD, Plan, train

OUT = Path(__file__).parent / "out"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--steps", type=int, default=6800, help="of training; 4,000 take an hour on two slow cores")
    parser.add_argument("--more", type=int, default=950, help="steps of the second part; 0: the first is the model")
    parser.add_argument("--seed", type=int, default=1, help="of the first part; the second has the next one")
    parser.add_argument(
        "--begin", type=Path, metavar="FILE.gguf", help="one part, from this model; with another --seed"
    )
    parser.add_argument("--rate", type=float, default=1.0, help="of learning; with --begin a lower one forgets less")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for everything that is made")
    parser.add_argument("--resume", action="store_true", help="go on with a training that was interrupted")
    parser.add_argument("--export-only", action="store_true", help="use the weights that are in the folder already")
    arguments = parser.parse_args()
    out, plan = arguments.out, Plan(arguments.steps, seed=arguments.seed, begin=arguments.begin, rate=arguments.rate)
    if not arguments.export_only:
        if arguments.more and not plan.begin:
            _in_two_parts(plan, arguments.more, out, arguments.resume)
        else:
            train(plan, out, resume=arguments.resume)
    path = _export(out)
    _run("training.compare", str(out), str(path))
    _run("training.evaluate", str(path), "--record", str(out / "evaluation.json"))
    _run("training.through", "--model", str(path), "--record", str(out / "through.json"))


def _in_two_parts(plan: Plan, more: int, out: Path, resume: bool) -> None:
    first, second = out / "first", out / "second"
    train(plan, first, resume=resume)
    train(Plan(more, seed=plan.seed + 1, begin=_export(first)), second, resume=resume)
    average(first, second, out)


def _export(folder: Path) -> Path:
    path = folder / "tiny.gguf"
    kept = torch.load(folder / "vocabulary.pt", weights_only=True)
    weights = torch.load(folder / "weights.pt", weights_only=True)
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
