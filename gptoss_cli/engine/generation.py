"""One job on the engine's thread: a reply that is sampled, or a prompt that is read ahead. Knows no text."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from gptoss_cli.engine import EngineInfo, Step, Timings, Token, binding
from gptoss_cli.engine.guide import Walk
from gptoss_cli.engine.kv import UBATCH, Cache, Kept
from gptoss_cli.engine.sampler import Sampler
from gptoss_cli.engine.shelf import Whole
from gptoss_cli.engine.states import PREFIX, SESSION
from gptoss_cli.errors import EngineError, GptossError
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Guide, Prompt

STEP_INTERVAL_S = 0.1
KEPT_FROM, KEPT_FROM_S = 256, 0.25  # ids, or what it takes to read them: less is not worth a file
SESSION_WINDOWS = 4  # to go back so many marks after the session was opened again

Item = Token | Step | Timings | Exception


@dataclass
class Job:
    """One generation: what is asked for, and the two queues between the caller and the engine's thread."""

    prompt: Prompt
    sampling: Sampling
    guide: Guide | None
    out: "SimpleQueue[Item]" = field(default_factory=SimpleQueue)
    # one entry for each token the engine may decode before the caller asks for the next: never more than one too many
    credits: "SimpleQueue[None]" = field(default_factory=SimpleQueue)
    cancelled: bool = False


class _Cancelled(Exception):
    """The caller has closed the generator."""


@dataclass
class Preparation:
    """A prompt to be read while nobody waits; the next job cancels it."""

    prompt: Prompt
    cancelled: bool = False


@dataclass
class Keeping:
    """What is held goes to the disk under a name."""

    name: str


def keep(held: "Loaded", job: Keeping) -> None:
    """Keep the state of a session that may go on in another process, when reading it again would take a while."""
    if held.cache.states and len(held.cache.ids) >= KEPT_FROM:
        held.cache.states.put(held.cache.whole(SESSION_WINDOWS), SESSION, job.name)


def prepare(held: "Loaded", job: Preparation) -> None:
    """Read the prompt of `job` as far as it comes. What fails here is told by the next reply."""
    if job.cancelled:
        return
    try:
        held.cache.open(job.prompt)
        for ids in held.cache.portions(job.prompt):
            if job.cancelled or not held.cache.decode(ids):
                return
            held.cache.mark(job.prompt)
    except GptossError:
        return


@dataclass
class Loaded:
    """What a generation works with."""

    model: binding.Model
    cache: Cache
    info: EngineInfo
    load_s: float  # until the first generation reports it
    prefix: Whole | None = None  # to be kept once nobody waits

    def keep_prefix(self) -> None:
        prefix, self.prefix = self.prefix, None
        if prefix and self.cache.states:
            self.cache.states.put(prefix, PREFIX)

    def close(self) -> None:
        self.cache.close()
        self.model.close()


class Generation:
    """One job on the engine's thread."""

    def __init__(self, held: Loaded, job: Job) -> None:
        self._held, self._cache = held, held.cache
        self._job, self._out, self._stop = job, job.out, job.prompt.stop
        self._sampler = Sampler(job.sampling, job.prompt.tokens)
        self._walk = Walk(job.guide) if job.guide else None
        self._kept = Kept(0)
        self._evaluated = 0
        self._begun = 0.0
        self._last_step = time.monotonic()

    def run(self) -> Timings:
        marks = [time.perf_counter()]  # start, context ready, prompt read, end
        finish = "stop"
        try:
            self._check_ids()
            self._kept = self._cache.open(self._job.prompt)
            marks.append(time.perf_counter())
            self._read_prompt()
            marks.append(time.perf_counter())
            finish = self._answer()
        except _Cancelled:
            pass
        marks += [time.perf_counter()] * (4 - len(marks))
        load_s, self._held.load_s = self._held.load_s + marks[1] - marks[0], 0.0
        return Timings(
            self._evaluated,
            self._kept.length,
            self._kept.restored,
            load_s,
            marks[2] - marks[1],
            marks[3] - marks[2],
            finish,
        )

    def _check_ids(self) -> None:
        """Whether the caller's vocabulary is this model's; llama.cpp finds what ends a reply by the tokens' texts."""
        model, ids = self._held.model, self._job.prompt.tokens
        if not ids or not 0 <= min(ids) <= max(ids) < model.n_vocab:
            raise EngineError(f"the prompt has no ids, or some beyond the {model.n_vocab} of this model")
        for id in sorted(self._stop):
            if not model.ends_generation(id):
                raise EngineError(f"id {id} should end a reply and does not in this model's vocabulary")

    def _note_prefix(self, prompt: Prompt) -> None:
        """Take the state at the first mark when the next process should not have to read up to there again."""
        length = len(self._cache.ids)
        if self._cache.states is None or not prompt.marks or length != prompt.marks[0]:
            return
        if length - self._kept.length >= KEPT_FROM or time.perf_counter() - self._begun >= KEPT_FROM_S:
            self._held.prefix = self._cache.whole(windows=0)

    def _read_prompt(self) -> None:
        prompt = self._job.prompt
        self._begun = time.perf_counter()
        for ids in self._cache.portions(prompt):
            self._decode(ids)
            self._cache.mark(prompt)
            self._note_prefix(prompt)
            self._evaluated = len(self._cache.ids) - self._kept.length
            self._progress(len(self._cache.ids), len(prompt.tokens))

    def _progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last_step >= STEP_INTERVAL_S:
            self._last_step = now
            self._out.put(Step("prompt", done, total))

    def _answer(self) -> str:
        """Sample until a stop id, a budget that ends the reply, or the end of the context; which of them it was."""
        walk = self._walk
        self._job.credits.put(None)
        pending: list[int] = []  # handed over and not decoded yet
        while True:
            while walk and (budget := walk.spent()):
                if budget.then is None:
                    return "length"
                pending += self._force(budget.forced)
                walk.jump(budget.then)
            if not self._append(pending):
                return "context"
            row = self._cache.logits()
            token = self._sampler.sample(row, walk.allowed, walk.banned) if walk else self._sampler.sample(row)
            self._out.put(token)
            if token.id in self._stop:
                return "stop"
            self._job.credits.get()
            if walk:
                walk.advance(token.id)
            pending = [token.id]

    def _force(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        for id in ids:
            self._out.put(Token(id))
            self._job.credits.get()
            self._sampler.accept(id)
        return ids

    def _append(self, ids: Sequence[int]) -> bool:
        """Decode `ids`; False when the context is full."""
        if self._job.cancelled:
            raise _Cancelled
        if not self._cache.make_room(len(ids)):
            return False
        for start in range(0, len(ids), UBATCH):
            self._decode(ids[start : start + UBATCH])
        return True

    def _decode(self, ids: Sequence[int]) -> None:
        if self._job.cancelled or not self._cache.decode(ids):
            raise _Cancelled
