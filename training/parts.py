"""A training in parts, each of which has a folder: the model is that of the last."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WEIGHTS, VOCABULARY, RECORD = "weights.pt", "vocabulary.pt", "training.json"


def join(parts: Sequence[Path], out: Path) -> None:
    """Weights and vocabulary of the last part and the record of all in the folder `out`.

    Raises ValueError for parts that do not belong together.
    """
    check_same(*parts)
    out.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS, VOCABULARY):
        shutil.copyfile(parts[-1] / name, out / name)
    records = [json.loads((folder / RECORD).read_text()) for folder in parts]
    (out / RECORD).write_text(json.dumps(_one_after_the_other(records), indent=1))


def check_same(*folders: Path) -> None:
    """Raises ValueError for models whose numbers mean something else."""
    if len({(folder / VOCABULARY).read_bytes() for folder in folders}) > 1:
        names = ", ".join(str(folder) for folder in folders)
        raise ValueError(f"{names}: they have different vocabularies or shapes")


def _one_after_the_other(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    tokens, loss = 0, []
    for record in records:
        loss += [[tokens + seen, each] for seen, each in record["loss"]]
        tokens += record["tokens"]
    minutes = round(sum(record["minutes"] for record in records), 1)
    return records[-1] | {"minutes": minutes, "tokens": tokens, "loss": loss}
