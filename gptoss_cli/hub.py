"""Where weights come from: the shared Hugging Face cache. The only door to huggingface_hub."""

from pathlib import Path

# files that lie beside the weights in gpt-oss repositories and are not the model
COMPANIONS = ("eagle3", "dflash", "mmproj", "mtp")


def cached(repository: str) -> Path | None:
    """The newest GGUF of `owner/name` in the shared cache, whichever tool put it there; of a split one the first shard.

    None if there is none.
    """
    from huggingface_hub import (
        constants,
    )  # 0.1 s: only when a catalogue name is asked for; honours HF_HOME, HF_HUB_CACHE

    snapshots = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}" / "snapshots"
    files = [path for path in snapshots.glob("*/*.gguf") if _is_model(path)]
    return max(files, key=lambda path: path.stat().st_mtime, default=None)


def _is_model(path: Path) -> bool:
    name = path.name.lower()
    first = "-of-" not in name or "-00001-of-" in name
    return first and path.exists() and not name.startswith(COMPANIONS)
