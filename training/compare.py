"""Logits of llama.cpp on the exported file against those of PyTorch on the weights as they were rounded."""

import sys
from pathlib import Path

import numpy as np
import torch

from gptoss_cli.engine import binding
from training import mxfp4
from training.model import GptOss
from training.shape import Shape


def rounded_model(weights: dict[str, torch.Tensor], shape: Shape) -> GptOss:
    """The model with the values the file holds: MXFP4 experts, Q8_0 matrices."""
    model = GptOss(shape)
    changed = {}
    for name, weight in weights.items():
        if name.endswith(("gate_up", "down")):
            changed[name] = torch.from_numpy(mxfp4.rounded(weight.numpy()))
        elif weight.ndim == 2 and "bias" not in name and "router" not in name:
            rows = weight.view(-1, 32)
            scale = (rows.abs().amax(1, keepdim=True) / 127).clamp(min=1e-12)
            changed[name] = ((rows / scale).round() * scale.half().float()).view_as(weight)
        else:
            changed[name] = weight
    model.load_state_dict(changed)
    return model.eval()


def difference(model: GptOss, path: Path, ids: list[int]) -> tuple[float, float]:
    """(largest difference of logits after the last id, their standard deviation)."""
    with torch.no_grad():
        hidden, _ = model(torch.tensor([ids]))
        expected = model.head(hidden[0, -1]).numpy()
    loaded = binding.Model(str(path), gpu_layers=0, repack=False, progress=lambda _share: True)
    context = binding.Context(loaded, n_ctx=1024, n_ubatch=512, threads=1, abort=binding.Abort())
    for start in range(0, len(ids), 512):
        assert context.decode(ids[start : start + 512])
    found = np.array(context.logits())
    context.close()
    loaded.close()
    return float(np.abs(found - expected).max()), float(expected.std())


def main() -> None:
    folder, path = Path(sys.argv[1]), Path(sys.argv[2])
    shape = Shape(**torch.load(folder / "vocabulary.pt", weights_only=True)["shape"])
    model = rounded_model(torch.load(folder / "weights.pt", weights_only=True), shape)
    random = np.random.default_rng(0)
    for length in (1, 16, 127, 129, 200, 400, 900):
        ids = [int(id) for id in random.integers(0, shape.vocabulary - 9, length)]
        worst, spread = difference(model, path, ids)
        print(f"{length:4} ids: largest difference {worst:.4f}, standard deviation of the logits {spread:.3f}")


if __name__ == "__main__":
    main()
