"""Models that other tools have put on this machine: where LM Studio, llama.cpp and Ollama keep them, and what is there.

Reads folders and Ollama's manifests; opens no weights. Paths are those of LM Studio's SDK (findLMStudioHome), of
llama.cpp's common/common.cpp (fs_get_cache_directory) and common/hf-cache.cpp, and of Ollama's manifest package.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptoss_cli.modelfile import Command

TOOLS = {"lmstudio": "LM Studio", "llama.cpp": "llama.cpp", "ollama": "Ollama"}

OTHER_PART = re.compile(r"-(?!00001-of-)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
FIRST_PART = re.compile(r"-00001-of-\d{5}$")
DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
MEDIA_TYPE = "application/vnd.ollama.image."
OLLAMA_HOST, OLLAMA_NAMESPACE = "registry.ollama.ai", "library"
LARGEST_TEXT = 2**20  # bytes of a manifest, a system text or a license


@dataclass(frozen=True)
class Find:
    """Something that may be a model: a file, what to call it, and what its tool has set on top of it."""

    path: Path
    name: str
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True)
class Broken:
    """Something that a tool lists and that is not whole, and why."""

    path: Path
    reason: str


def folders(tool: str, environment: Mapping[str, str], home: Path) -> list[Path]:
    """Where `tool`, one of TOOLS, keeps models; not all need exist."""
    given = {name: Path(value).expanduser() for name, value in environment.items() if value}
    if tool == "lmstudio":
        found = _lm_studio(home)
    elif tool == "llama.cpp":
        found = _llama_cpp(given, home)
    else:
        found = [given.get("OLLAMA_MODELS", home / ".ollama/models")]
        if "OLLAMA_MODELS" not in given:
            found.append(Path("/usr/share/ollama/.ollama/models"))  # of the service that its installer sets up
    return list(dict.fromkeys(found))


def files(folder: Path) -> Iterator[Find | Broken]:
    """Every GGUF below `folder`, in the order of their paths; of a split one the first part."""
    for parent, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            path = Path(parent) / name
            if not name.lower().endswith(".gguf") or OTHER_PART.search(name):
                continue
            if path.is_file():
                yield Find(path, named_after(path))
            else:
                yield Broken(path, "leads to a file that is gone")


def named_after(path: Path) -> str:
    """A model name made of the name of a file: gpt-oss-20b-mxfp4 of gpt-oss-20b-MXFP4-00001-of-00002.gguf."""
    if digest := DIGEST.fullmatch(path.name):
        return f"ollama-{digest[1][:12].lower()}"
    stem = path.name[:-5] if path.name.lower().endswith(".gguf") else path.name
    return _word(FIRST_PART.sub("", stem).lower()) or "model"


def ollama(folder: Path) -> Iterator[Find | Broken]:
    """The models in a folder of Ollama's, each as often as it has names."""
    manifests = folder / "manifests"
    for path in sorted(manifests.glob("*/*/*/*")):
        host, namespace, model, tag = path.relative_to(manifests).parts
        if path.is_file() and not any(part.startswith(".") for part in (host, namespace, model, tag)):
            if (host, namespace) == (OLLAMA_HOST, OLLAMA_NAMESPACE):
                namespace = "ollama"
            name = f"{_word(namespace).replace('.', '-')}/{_word(model)}:{_word(tag)}"
            try:
                yield _of_manifest(path, folder / "blobs", name)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # of a file that is not ours
                yield Broken(path, f"cannot be understood: {error}")


def _of_manifest(path: Path, blobs: Path, name: str) -> Find | Broken:
    layers = json.loads(_text(path))["layers"]
    kinds = [(str(layer["mediaType"]).removeprefix(MEDIA_TYPE), _blob(blobs, layer)) for layer in layers]
    weights = [blob for kind, blob in kinds if kind == "model"]
    if not weights:
        return Broken(path, "has no weights on this machine")
    if not weights[0].is_file():
        return Broken(path, f"has lost its weights: no file at {weights[0]}")
    commands = [command for kind, blob in kinds for command in _commands(kind, blob)]
    return Find(weights[0], name, tuple(commands))


def _commands(kind: str, blob: Path) -> Iterator[Command]:
    """What a layer sets. Templates have no effect here, and Ollama's are written in another language."""
    if kind in ("system", "license"):
        yield Command(kind, _text(blob))
    elif kind == "adapter":
        yield Command("adapter", str(blob))
    elif kind == "params":
        for name, value in json.loads(_text(blob)).items():
            for each in value if isinstance(value, list) else [value]:
                yield Command("parameter", each if isinstance(each, str) else json.dumps(each), str(name))
    elif kind == "messages":
        for message in json.loads(_text(blob)):
            if message["role"] in ("system", "user", "assistant") and message.get("content"):
                yield Command("message", str(message["content"]), str(message["role"]))


def _blob(blobs: Path, layer: Mapping[str, Any]) -> Path:
    digest = DIGEST.fullmatch(str(layer["digest"]))
    if not digest:
        raise ValueError(f"{layer['digest']!r} is no digest")
    return blobs / f"sha256-{digest[1].lower()}"


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(LARGEST_TEXT + 1)
    if len(data) > LARGEST_TEXT:
        raise ValueError(f"{path} has more than {LARGEST_TEXT:,} bytes")
    return data.decode("utf-8")


def _word(text: str) -> str:
    """What a part of a model name can hold of `text`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:80]


def _lm_studio(home: Path) -> list[Path]:
    homes = [home / ".lmstudio", home / ".cache/lm-studio"]
    pointer = home / ".lmstudio-home-pointer"
    with suppress(OSError, ValueError):
        homes.insert(0, Path(_text(pointer).strip()))
    chosen = [_downloads_folder(each / "settings.json") for each in homes]
    return [each for each in chosen if each] + [each / "models" for each in homes]


def _downloads_folder(settings: Path) -> Path | None:
    try:
        told = json.loads(_text(settings))["downloadsFolder"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Path(told).expanduser() if isinstance(told, str) and told else None


def _llama_cpp(given: Mapping[str, Path], home: Path) -> list[Path]:
    """Its own cache, and the one of Hugging Face, which it uses since 2026; LLAMA_CACHE stands for both."""
    if "LLAMA_CACHE" in given:
        return [given["LLAMA_CACHE"]]
    cache = given.get("XDG_CACHE_HOME", home / ".cache")
    own = home / "Library/Caches" if sys.platform == "darwin" else cache
    if "HF_HUB_CACHE" in given:
        hub = given["HF_HUB_CACHE"]
    elif "HUGGINGFACE_HUB_CACHE" in given:
        hub = given["HUGGINGFACE_HUB_CACHE"]
    else:
        hub = given.get("HF_HOME", cache / "huggingface") / "hub"
    return [own / "llama.cpp", hub]
