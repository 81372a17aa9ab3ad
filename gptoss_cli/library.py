"""The verbs on models: find and open. Knows names and files; a reply is made by chat."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from gptoss_cli import gguf, hub, vocabulary
from gptoss_cli.chat import LocalChat
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.errors import ModelNotFound

TINY = "tiny"

# name -> repository on the Hugging Face Hub; ggml-org converted the weights with llama.cpp's authors
CATALOGUE = {
    "gpt-oss": "ggml-org/gpt-oss-20b-GGUF",
    "gpt-oss:latest": "ggml-org/gpt-oss-20b-GGUF",
    "gpt-oss:20b": "ggml-org/gpt-oss-20b-GGUF",
    "gpt-oss:120b": "ggml-org/gpt-oss-120b-GGUF",
}


@dataclass(frozen=True)
class Model:
    """A model on this machine: weights, what its preset sets (option names to values), what a user should be told."""

    name: str
    weights: Path
    preset: Mapping[str, object]
    notice: str | None = None
    is_fallback: bool = False


class Library:
    """The models of this machine. cache: a folder for what makes a later start quick, None for none."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache

    def known(self, word: str) -> bool:
        """Whether `word` names a model: `tiny`, a name of the catalogue, a `.gguf` or any file that is there."""
        return word == TINY or word in CATALOGUE or word.endswith(".gguf") or _looks_like_path(word)

    def find(self, name: str) -> Model:
        """The model called `name`, or the file at that path. Raises ModelNotFound when it is unknown or not here."""
        if name == TINY:
            return _tiny()
        if name in CATALOGUE:
            return _from_catalogue(name)
        path = Path(name).expanduser()
        if path.is_file():
            return Model(path.name, path, {})
        if name and path.is_dir():
            raise ModelNotFound(f"{name} is a folder", hint="give the path of the .gguf in it, or the name tiny")
        if _looks_like_path(name) or name.endswith(".gguf"):
            raise ModelNotFound(f"no file at {name}", hint="give the path of a gpt-oss .gguf, or the name tiny")
        raise ModelNotFound(
            f"unknown model {name or repr(name)}",
            hint=f"known: tiny, {', '.join(CATALOGUE)}, or a path; if it is the prompt: gptoss run -m NAME {name}",
        )

    def default(self) -> Model:
        """The model for a prompt without one: a gpt-oss that is here, else `tiny`, whose notice then says so."""
        for name in ("gpt-oss:20b", "gpt-oss:120b"):
            if (weights := hub.cached(CATALOGUE[name])) is not None:
                return Model(name, weights, {})
        return _tiny(fallback=True)

    def open(
        self, model: Model, *, num_ctx: int | None = None, gpu_layers: int = -1, threads: int | None = None
    ) -> LocalChat:
        """A chat with `model`; loading goes on in the background. Close it.

        Raises BadInput for a file that is not a usable gpt-oss GGUF.
        """
        gguf.check_usable(gguf.Header.read(model.weights))
        engine = LlamaEngine(model.weights, num_ctx=num_ctx, gpu_layers=gpu_layers, threads=threads)
        return LocalChat(engine, vocabulary.load(model.weights, self._cache))


def _tiny(fallback: bool = False) -> Model:
    weights = Path(str(resources.files("gptoss_cli") / "models" / "tiny.gguf"))
    toy = "tiny is a toy of a few megabytes that knows gptoss and little else"
    if fallback:
        notice = f"no gpt-oss model on this machine, so the built-in one answers: {toy}"
    else:
        notice = toy
    return Model(TINY, weights, {"temperature": 0.0}, notice, fallback)  # greedy: the same answer every time


def _from_catalogue(name: str) -> Model:
    repository = CATALOGUE[name]
    weights = hub.cached(repository)
    if weights is None:
        raise ModelNotFound(
            f"{name} is not on this machine",
            hint=f"fetch it with: hf download {repository}   or try the built-in model: tiny",
        )
    return Model(name, weights, {})


def _looks_like_path(word: str) -> bool:
    return word.startswith(("./", "../", "/", "~")) or Path(word).is_file()
