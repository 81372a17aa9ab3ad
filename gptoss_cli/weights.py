"""Whether a GGUF can be used as the weights of gpt-oss, and which files are parts of one model. Loads nothing."""

import re
from pathlib import Path

from gptoss_cli.errors import BadInput
from gptoss_cli.gguf import Header

MODEL_HINT = "give the model's own .gguf"


def check_usable(header: Header) -> list[Header]:
    """The header and those of the other parts of a split model; all that can be known of a model without loading it.

    Raises BadInput, saying why, unless the file is the weights of a gpt-oss model, or their first part; ModelNotFound
    for a part that is missing.
    """
    if reason := _why_unusable(header):
        what, hint = reason
        raise BadInput(f"{header.path} {what}", hint=hint)
    return [header, *map(Header.read, _other_parts(header))]


def headers(path: Path) -> list[Header]:
    """The headers of the model at `path`, part by part; see `check_usable`."""
    return check_usable(Header.read(path))


def _why_unusable(header: Header) -> tuple[str, str | None] | None:
    architecture, kind = header.architecture, header.text("general.type")
    part = header.values.get("split.no", 0)
    if isinstance(part, int) and part > 0:  # such a part need not name an architecture
        return f"is part {part + 1} of a split model", "give the first part, ...-00001-of-..."
    if kind == "adapter":
        return "is an adapter (LoRA), not a model", MODEL_HINT
    if kind == "mmproj" or architecture == "clip":
        return "is a projector for images, not a model", MODEL_HINT
    if kind == "imatrix" or architecture == "imatrix":
        return "is an importance matrix, not a model", MODEL_HINT
    if any(word in architecture for word in ("eagle3", "dflash", "mtp")):
        return f"is a draft model ({architecture}), not gpt-oss itself", MODEL_HINT
    if architecture == "gptoss":
        return (
            "is in Ollama's own layout (gptoss), which llama.cpp cannot read",
            f"make a converted copy: gptoss import {header.path} --convert",
        )
    if architecture != "gpt-oss":
        return f"is a {architecture or 'nameless'} model; gptoss runs gpt-oss only", None
    if not header.tensors and not _other_parts(header):  # the first part of a split model may have none
        return "has a vocabulary and no weights", MODEL_HINT
    return None


def _other_parts(header: Header) -> list[Path]:
    """The parts of a split model after the first, named as llama.cpp's gguf-split does: NAME-00002-of-00003.gguf."""
    count = header.values.get("split.count", 1)
    name = header.path.name
    if not isinstance(count, int) or not 1 < count < 1000 or f"-00001-of-{count:05}" not in name:
        return []
    return [
        header.path.with_name(name.replace(f"-00001-of-{count:05}", f"-{part:05}-of-{count:05}"))
        for part in range(2, count + 1)
    ]


def parts(path: Path) -> list[Path]:
    """The files of the model at `path`: all parts that are there when it is the first of a split one."""
    if found := re.search(r"-00001-of-(\d{5})", path.name):
        names = (path.name.replace(found[0], f"-{part:05}-of-{found[1]}") for part in range(1, int(found[1]) + 1))
        return [part for name in names if (part := path.with_name(name)).is_file()]
    return [path]
