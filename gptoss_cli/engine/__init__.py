"""Tokens in, tokens out: what an engine is, whatever runs the model behind it."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Guide, Prompt


class Enough(Exception):
    """Thrown into a running generator: stop now and return the timings. Plain `close()` stops as well, without them."""


class Step(NamedTuple):
    """How far something has come before the first token: `load` (thousandths) or `prompt` (tokens of it read).

    `wait` (0 of 0): for the replies to others. `replaced` (0 of 0): the process that had the model did not answer.
    """

    stage: str
    done: int
    total: int


class Token(NamedTuple):
    """One id of the reply. logprob: natural, of the model's own distribution (temperature 1, before any cut)."""

    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Timings:
    """What one generation took. evaluated + reused = tokens of the prompt; restored: those of the reused that came back
    from a kept state. finish: `stop`, `length` or `context`.
    """

    evaluated: int
    reused: int
    restored: int
    load_s: float
    prompt_s: float
    answer_s: float
    finish: str


@dataclass(frozen=True)
class EngineInfo:
    """What is loaded; small and sendable."""

    model: str
    n_ctx: int  # of the context that exists now, 0 before the first one
    n_ctx_train: int
    n_vocab: int
    n_layer: int
    devices: tuple[str, ...]


class Engine(Protocol):
    """Takes and gives token ids. One generation at a time; closing the generator stops it within one token.

    Steps come before the first token, at most ten a second, while something keeps the caller waiting. Thrown Enough,
    the generator stops at once and returns its timings. `prepare` reads a prompt in the background, `keep` makes what
    was read last outlive the process, under a name; either may do nothing.
    """

    @property
    def info(self) -> EngineInfo: ...

    def generate(
        self, prompt: Prompt, sampling: Sampling, guide: Guide | None = None
    ) -> Generator[Token | Step, None, Timings]: ...

    def prepare(self, prompt: Prompt) -> None: ...

    def keep(self, name: str) -> None: ...

    def close(self) -> None: ...
