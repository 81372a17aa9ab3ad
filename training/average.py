"""The mean of a model and of one that went on from it.

What the second forgot comes back and most of what it learnt stays (Wortsman et al., Robust fine-tuning of zero-shot
models, 2022).
"""

import shutil
from pathlib import Path

import torch

from training.parts import VOCABULARY, WEIGHTS, check_same


def average(first: Path, second: Path, out: Path, share: float) -> None:
    """Weights and vocabulary in the folder `out`; share: of the second, from 0 to 1.

    Raises ValueError for two that do not belong together.
    """
    check_same(first, second)
    out.mkdir(parents=True, exist_ok=True)
    models = [torch.load(folder / WEIGHTS, weights_only=True) for folder in (first, second)]
    mean = {name: (1 - share) * weight + share * models[1][name] for name, weight in models[0].items()}
    torch.save(mean, out / WEIGHTS)
    shutil.copyfile(first / VOCABULARY, out / VOCABULARY)
