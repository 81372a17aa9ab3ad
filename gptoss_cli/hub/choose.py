"""Which files of a repository a reference means. Pure: names in, names out, the same for the Hub and for the cache."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gptoss_cli.errors import BadInput, ModelNotFound
from gptoss_cli.names import HubReference

# files that lie beside the weights in gpt-oss repositories and are not the model
COMPANIONS = ("eagle3", "dflash", "mmproj", "mtp")
# what a repository is asked for that is not told which: the experts are MXFP4 in all of these, as OpenAI published
# them, and the rest is Q8_0 in the file that ggml-org calls MXFP4
PREFERRED = ("MXFP4", "MXFP4_MOE", "Q8_0", "F16", "BF16")
# how files are named after their quantisation: ggml's docs/gguf.md, "GGUF Naming Convention"; UD- is Unsloth's
LABEL = re.compile(r"(?:^|[-_.])((?:UD-)?(?:I?Q\d\w*|T?Q\d_\d\w*|MXFP4\w*|NVFP4\w*|BF16|FP?16|FP?32))(?=$|[-.])", re.I)
SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")  # gguf-split's


@dataclass(frozen=True)
class Candidate:
    """A model among the files: one path, or the parts of a split one in their order. label: its quantisation, or ""."""

    paths: tuple[str, ...]
    label: str
    complete: bool

    @property
    def name(self) -> str:
        return self.paths[0]


def candidates(paths: Iterable[str]) -> list[Candidate]:
    """The models among the files of a repository, in the order of their names; companions are left out."""
    sets: dict[tuple[str, int], dict[int, str]] = {}
    for path in sorted(set(paths)):
        if not path.lower().endswith(".gguf") or is_companion(path):
            continue
        stem = path[: -len(".gguf")]
        found = SHARD.search(stem)
        key = (stem[: found.start()], int(found[2])) if found else (stem, 1)
        sets.setdefault(key, {})[int(found[1]) if found else 1] = path
    return [
        Candidate(
            tuple(parts[number] for number in sorted(parts)), _label(stem), sorted(parts) == list(range(1, count + 1))
        )
        for (stem, count), parts in sets.items()
    ]


def is_companion(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    return name.startswith(COMPANIONS) or "imatrix" in name


def choose(paths: Iterable[str], reference: HubReference, *, any_build: bool = False) -> tuple[str, ...]:
    """The files that `reference` means, a split model whole and its first part first.

    A reference without file and quantisation means MXFP4, or the only model there is; any_build: rather than none,
    the next of PREFERRED. Raises ModelNotFound when nothing fits, BadInput when several do; both name the choices.
    """
    found = candidates(paths)
    whole = [each for each in found if each.complete]
    if reference.file is not None:
        fitting = _by_file(found, reference)
    elif reference.quant is not None:
        fitting = _by_quant(whole, reference.quant)
    else:
        fitting = _preferred(whole, PREFERRED if any_build else PREFERRED[:2])
    fitting = _one_of_twins(fitting)
    if not fitting:
        raise ModelNotFound(f"{reference} is not there", hint=_choices(whole))
    if len(fitting) > 1:
        raise BadInput(f"{reference} could be any of {len(fitting)} models", hint=_choices(fitting))
    if not fitting[0].complete:
        raise ModelNotFound(f"{reference}: parts of the split model are missing", hint=_choices(whole))
    return fitting[0].paths


def rank(label: str) -> int:
    """The place among PREFERRED; behind them all for others."""
    return PREFERRED.index(label) if label in PREFERRED else len(PREFERRED)


def _label(stem: str) -> str:
    names = LABEL.findall(stem.rpartition("/")[2])
    return str(names[-1]).upper() if names else ""


def _by_file(found: Sequence[Candidate], reference: HubReference) -> list[Candidate]:
    """By the whole path, else by the name in whatever folder; any part of a split model stands for all."""
    wanted = reference.file or ""
    if is_companion(wanted):
        raise BadInput(f"{reference} lies beside the model and is not the model itself")
    ways: tuple[Callable[[str], str], ...] = (str, _name_of, str.lower)
    for way in ways:
        if fitting := [each for each in found if any(way(path) == way(wanted) for path in each.paths)]:
            return fitting
    return []


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]


def _by_quant(found: Sequence[Candidate], quant: str) -> list[Candidate]:
    wanted = quant.upper()
    word = re.compile(rf"(?<![A-Z0-9]){re.escape(wanted)}(?![A-Z0-9_])")
    for fitting in (
        [each for each in found if each.label == wanted],
        [each for each in found if _plain(each.label) == _plain(wanted)],
        [each for each in found if word.search(each.name.upper())],
    ):
        if fitting:
            return fitting
    return []


def _plain(label: str) -> str:
    """Without Unsloth's prefix, and without what quantisers add to MXFP4, which is of experts anyway."""
    return label.removeprefix("UD-").removesuffix("_MOE")


def _preferred(found: Sequence[Candidate], labels: Sequence[str]) -> list[Candidate]:
    for label in labels:
        if fitting := [each for each in found if each.label == label]:
            return fitting
    return list(found)


def _one_of_twins(found: Sequence[Candidate]) -> list[Candidate]:
    """One of each group that differs in capitals, or in being split, only; the unsplit one."""
    twins: dict[str, Candidate] = {}
    for each in sorted(found, key=lambda each: len(each.paths)):
        stem = SHARD.sub("", each.name[: -len(".gguf")]).lower()
        twins.setdefault(stem, each)
    return list(twins.values())


def _choices(found: Sequence[Candidate]) -> str:
    names = [each.label if each.label and _is_alone(each, found) else each.name for each in found]
    return f"there is: {', '.join(names)}" if names else "there is no GGUF of a model in it"


def _is_alone(candidate: Candidate, found: Sequence[Candidate]) -> bool:
    return sum(each.label == candidate.label for each in found) == 1
