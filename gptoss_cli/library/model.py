"""A model on this machine: its weights, and what is set on top of them. Finds those that have no manifest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from gptoss_cli import names, weights
from gptoss_cli.downloads import Downloads
from gptoss_cli.errors import ModelNotFound
from gptoss_cli.hub import cache
from gptoss_cli.language import translated
from gptoss_cli.modelfile import Command, Modelfile
from gptoss_cli.names import HubReference

TINY = "tiny"
# greedy: the same answer every time; a toy's answer that turns round would then never end, and nothing that it has
# learnt is nearly as long as these limits
TINY_PRESET = {"temperature": 0.0, "max_tokens": 512, "max_thinking": 512}


@dataclass(frozen=True)
class Model:
    """A model on this machine: weights, what its preset sets (option names to values), what a user should be told.

    base: what a FROM line would say. modelfile: of a named model, all that is set on top of the base.
    """

    name: str
    weights: Path
    preset: Mapping[str, object]
    notice: str | None = None
    is_fallback: bool = False
    base: str = ""
    modelfile: Modelfile | None = None
    modified: str = ""
    system: str | None = None
    messages: tuple[tuple[str, str], ...] = ()
    gpu_layers: int = -1
    threads: int | None = None
    adapters: tuple[Path, ...] = ()

    @property
    def reference(self) -> str:
        """What finds the model again, from any folder: its name; the path of a file that has none."""
        is_file = self.modelfile is None and Path(self.base).is_absolute()
        return self.base if is_file else self.name

    @property
    def settings(self) -> dict[str, object]:
        """What its preset sets: options, and how it is loaded."""
        loading = {"gpu_layers": None if self.gpu_layers == -1 else self.gpu_layers, "threads": self.threads}
        return {**self.preset, **{name: value for name, value in loading.items() if value is not None}}


@dataclass(frozen=True)
class Listed:
    """A model in a list. weights: None when they are not on this machine; problem: why it cannot be used, if so."""

    name: str
    base: str
    weights: Path | None
    size_bytes: int | None
    modified: str
    problem: str | None = None


def size_of(path: Path) -> int:
    """Bytes of the file, and of the other parts when it is the first of a split one."""
    return sum(part.stat().st_size for part in weights.parts(path))


def described(model: Model) -> Modelfile:
    """The Modelfile that makes the same model."""
    return model.modelfile or Modelfile((Command("from", model.base),))


def tiny(fallback: bool = False) -> Model:
    path = Path(str(resources.files("gptoss_cli") / "models" / "tiny.gguf"))
    toy = translated("tiny is a toy of a few megabytes that knows gptoss and little else")
    if fallback:
        notice = translated("no gpt-oss model on this machine, so the built-in one answers: {toy}", toy=toy)
    else:
        notice = toy
    return Model(TINY, path, dict(TINY_PRESET), notice, fallback, base=TINY)


def from_catalogue(name: str) -> Model:
    canonical = names.canonical(name) or name
    path = cached(canonical)
    if path is None:
        raise ModelNotFound(
            f"{name} is not on this machine",
            hint=f"fetch it with: gptoss pull {canonical}   or try the built-in model: tiny",
        )
    return Model(name, path, {}, base=canonical)


def from_hub(name: str) -> Model:
    """Weights in the cache that a reference to the Hub means. Raises ModelNotFound, BadInput."""
    reference = names.parse_hub_reference(name)
    path = cache.cached(reference)
    if path is None:
        raise ModelNotFound(f"{name} is not on this machine", hint=f"fetch it with: gptoss pull {name}")
    return Model(name, path, {}, base=str(reference) if reference.revision == "main" else name)


def references(name: str) -> tuple[HubReference, ...]:
    """Where a name of the catalogue, or a reference, is on the Hub; the first that can be had is meant."""
    if (canonical := names.canonical(name)) is not None:
        return tuple(HubReference(repository) for repository in names.BUILDS[canonical])
    return (names.parse_hub_reference(name),)


def cached(name: str) -> Path | None:
    """Weights of a build in the shared Hugging Face cache, from whichever of its repositories."""
    found = (cache.cached(reference) for reference in references(name))
    return next((path for path in found if path is not None), None)


def pulled(downloads: Downloads, others: Iterable[Path]) -> list[Listed]:
    """What was fetched by a reference to the Hub, and is not one of `others`."""
    listed, known = [], set(others)
    for each in downloads.all():
        found = cache.cached(HubReference(each.repository, file=each.file))
        if each.snapshot in known or each.snapshot != found:  # another part, gone, or there is a newer one
            continue
        listed.append(Listed(each.name, each.name, each.snapshot, size_of(each.snapshot), each.time))
    return listed


def time_of(path: Path) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
