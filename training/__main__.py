"""`python -m training`: data, training, export, comparison with PyTorch and evaluation, from nothing to `tiny.gguf`."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from training.export import export
from training.shape import Shape
from training.train import Plan, train

OUT = Path(__file__).parent / "out"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--steps", type=int, default=6800, help="of training; 4,000 take an hour on two slow cores")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--begin", type=Path, metavar="FILE.gguf", help="go on from this model; with another --seed")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for everything that is made")
    parser.add_argument("--export-only", action="store_true", help="use the weights that are in the folder already")
    arguments = parser.parse_args()
    if not arguments.export_only:
        train(Plan(arguments.steps, seed=arguments.seed, begin=arguments.begin), arguments.out)
    path = arguments.out / "tiny.gguf"
    _export(arguments.out, path)
    _run("training.compare", str(arguments.out), str(path))
    _run("training.evaluate", str(path), "--record", str(arguments.out / "evaluation.json"))


def _export(folder: Path, path: Path) -> None:
    kept = torch.load(folder / "vocabulary.pt", weights_only=True)
    weights = torch.load(folder / "weights.pt", weights_only=True)
    export({name: each.numpy() for name, each in weights.items()}, kept["pieces"], Shape(**kept["shape"]), path)
    told = json.loads((folder / "training.json").read_text()) | {"size_bytes": path.stat().st_size}
    (folder / "training.json").write_text(json.dumps(told, indent=1))
    print(f"{path}: {path.stat().st_size:,} bytes")


def _run(module: str, *arguments: str) -> None:
    """In a process of its own: PyTorch's threads and llama.cpp's would share the cores."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], env=os.environ, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
