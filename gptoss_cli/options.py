"""Generation options: every name, type, default and limit, once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from gptoss_cli.errors import BadInput
from gptoss_cli.messages import Effort


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn from logits. The defaults are OpenAI's for gpt-oss: the model's own distribution, uncut.

    temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 are off; seed None draws one; repeat_last_n -1 is the whole
    context; logprobs: how many alternatives to report per token, None for no log-probabilities at all.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: int | None = None


@dataclass(frozen=True)
class Options:
    """Everything that can be asked of one reply. None means no limit, or the engine's choice."""

    sampling: Sampling = Sampling()
    reasoning: Effort = Effort.MEDIUM
    num_ctx: int | None = None
    max_tokens: int | None = None  # ids of all but thoughts
    max_thinking: int | None = None  # ids in the analysis channel
    stop: tuple[str, ...] = ()  # strings that end the final channel
    header_guard: bool = True

    def override(self, values: Mapping[str, object]) -> "Options":
        """These options with some replaced, by field name of Options or Sampling; a value may be text.

        Raises BadInput for an unknown name, a value of another type or out of its range.
        """
        for name in values:
            if name in LOADING:
                raise BadInput(f"{name} is set when a model is loaded, not for one reply")
        given = {name: typed(name, value) for name, value in values.items()}
        sampled = {name: value for name, value in given.items() if name in SAMPLING_NAMES}
        other = {name: value for name, value in given.items() if name not in SAMPLING_NAMES}
        return replace(self, sampling=replace(self.sampling, **sampled), **other)  # type: ignore[arg-type]

    def changed(self) -> dict[str, object]:
        """The options that are not at their default, and the effort, as JSON has them; `override` takes them."""
        default = Options()
        told: dict[str, object] = {"reasoning": str(self.reasoning)}
        for own, usual in ((self, default), (self.sampling, default.sampling)):
            for each in fields(own):
                if each.name not in ("sampling", "reasoning") and getattr(own, each.name) != getattr(usual, each.name):
                    value = getattr(own, each.name)
                    told[each.name] = list(value) if isinstance(value, tuple) else value
        return told


SAMPLING_NAMES = frozenset(field.name for field in fields(Sampling))
NAMES = SAMPLING_NAMES | {field.name for field in fields(Options)} - {"sampling"}

# inclusive bounds of the numbers; a float where either bound is one
LIMITS: dict[str, tuple[float, float]] = {
    "temperature": (0.0, 100.0),
    "top_p": (0.0, 1.0),
    "top_k": (0, 10_000_000),
    "min_p": (0.0, 1.0),
    "seed": (-(2**63), 2**64 - 1),
    "repeat_penalty": (0.01, 100.0),
    "repeat_last_n": (-1, 1_000_000),
    "presence_penalty": (-100.0, 100.0),
    "frequency_penalty": (-100.0, 100.0),
    "logprobs": (0, 20),  # the OpenAI API's limit of top_logprobs
    "num_ctx": (16, 131072),  # gpt-oss.context_length in the published GGUFs
    "max_tokens": (1, 10_000_000),
    "max_thinking": (0, 10_000_000),
}
NO_LIMIT = ("-1", "-2")  # Ollama's num_predict: no limit; until the context is full, which always ends an answer
# of a model while it is loaded, not of one reply
LOADING: dict[str, tuple[int, int]] = {"gpu_layers": (-1, 1_000_000), "threads": (1, 1024)}

# spellings of the reasoning level that other tools use
EFFORTS = {"none": "off", "false": "off", "minimal": "low", "true": "medium", "max": "high", "xhigh": "high"}


def typed(name: str, value: object) -> object:
    """`value` as the type of the option `name` (LOADING's too), checked against its limits; NO_LIMIT is None.

    Raises BadInput.
    """
    if name == "reasoning":
        return _effort(value)
    if name == "stop":
        return _stop(value)
    if name == "header_guard":
        return boolean(name, value)
    if name == "max_tokens" and (value is None or str(value).strip() in NO_LIMIT):
        return None
    if name not in LIMITS and name not in LOADING:
        raise BadInput(f"unknown option {name}", hint="known: " + ", ".join(sorted(NAMES)))
    return number(name, value, *(LOADING[name] if name in LOADING else LIMITS[name]))


def number(name: str, value: object, low: int | float, high: int | float) -> float:
    """`value` as the number `name` within these bounds, whole unless one of them is a float. Raises BadInput."""
    kind = float if isinstance(low, float) or isinstance(high, float) else int
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        found = kind(value)
        if isinstance(value, float) and found != value:
            raise ValueError
    except (ValueError, OverflowError):
        raise BadInput(f"{name} must be a {'number' if kind is float else 'whole number'}, not {value!r}") from None
    if not math.isfinite(found) or not low <= found <= high:
        raise BadInput(f"{name} must be from {low} to {high}, not {value}")
    return found


def _effort(value: object) -> Effort:
    text = str(value).lower()
    try:
        return Effort(EFFORTS.get(text, text))
    except ValueError:
        raise BadInput(f"reasoning must be low, medium, high or off, not {str(value)!r}") from None


def _stop(value: object) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) and text for text in texts):
        raise BadInput(f"stop must be one or more texts that are not empty, not {value!r}")
    return tuple(texts)


def boolean(name: str, value: object) -> bool:
    """`value` as the switch `name`: true, false, 1 or 0. Raises BadInput."""
    text = str(value).lower()
    if text not in ("true", "false", "1", "0"):
        raise BadInput(f"{name} must be true or false, not {value!r}")
    return text in ("true", "1")
