"""`python -m training.average FOLDER FOLDER --out FOLDER`: the mean of a model and of one that went on from it.

What the second forgot comes back and most of what it learnt stays (Wortsman et al., Robust fine-tuning of zero-shot
models, 2022). `python -m training --export-only --out FOLDER` then exports and evaluates it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch


def average(first: Path, second: Path, out: Path) -> None:
    """Weights, vocabulary and record in the folder `out`. Raises ValueError for two that do not belong together."""
    models = [torch.load(folder / "weights.pt", weights_only=True) for folder in (first, second)]
    kept = [torch.load(folder / "vocabulary.pt", weights_only=True) for folder in (first, second)]
    if kept[0] != kept[1]:
        raise ValueError(f"{first} and {second} have different vocabularies or shapes")
    out.mkdir(parents=True, exist_ok=True)
    torch.save({name: 0.5 * weight + 0.5 * models[1][name] for name, weight in models[0].items()}, out / "weights.pt")
    torch.save(kept[0], out / "vocabulary.pt")
    records = [json.loads((folder / "training.json").read_text()) for folder in (first, second)]
    (out / "training.json").write_text(json.dumps(_one_after_the_other(*records), indent=1))


def _one_after_the_other(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return second | {
        "minutes": round(first["minutes"] + second["minutes"], 1),
        "tokens": first["tokens"] + second["tokens"],
        "loss": first["loss"] + [[first["tokens"] + tokens, loss] for tokens, loss in second["loss"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.average", description=__doc__)
    parser.add_argument("folders", type=Path, nargs=2)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    average(*arguments.folders, arguments.out)


if __name__ == "__main__":
    main()
