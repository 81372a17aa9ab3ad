"""llama.cpp in this process, on a thread of its own: tokens in, tokens out. Knows no text and no roles."""

import threading
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue

from gptoss_cli import adapters, gguf, weights
from gptoss_cli.engine import EngineInfo, Enough, Step, Timings, Token, binding, plan
from gptoss_cli.engine.guide import Walk
from gptoss_cli.engine.kv import UBATCH, Cache
from gptoss_cli.engine.room import Room, Wanted
from gptoss_cli.engine.sampler import Sampler
from gptoss_cli.errors import EngineError, GptossError
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Guide, Prompt

STEP_INTERVAL_S = 0.1
CLOSE_WITHIN_S = 10.0  # a bound for drivers that hang; on a CPU closing takes milliseconds

Item = Token | Step | Timings | Exception


@dataclass
class _Job:
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


class LlamaEngine:
    """One loaded model with one sequence. Loading starts at once, in the background.

    num_ctx fixes the context's length; without it the context starts as short as the prompt allows and grows.
    gpu_layers: on the GPU, the head counted as one; cpu_moe: of so many layers the experts stay in RAM; both as the
    memory plan has them when not given. force: load what does not fit, too. repack makes CPU kernels about 20 % faster
    for a copy of the weights in memory. adapters: LoRAs, in force all the time. One generation at a time, from any
    thread; in the main one Ctrl-C gets through at once.
    """

    def __init__(
        self,
        path: Path,
        *,
        num_ctx: int | None = None,
        gpu_layers: int | None = None,
        cpu_moe: int | None = None,
        force: bool = False,
        threads: int | None = None,
        repack: bool = False,
        adapters: tuple[Path, ...] = (),
        relief: Callable[[], bool] = lambda: False,
    ) -> None:
        """relief: as room.Wanted has it; called on the engine's thread."""
        self._worker = _Worker(path, Wanted(num_ctx, gpu_layers, cpu_moe, force, relief), threads, repack, adapters)
        # also at exit: an interpreter that ends while llama.cpp computes may crash in its destructors
        self._close = weakref.finalize(self, self._worker.close)
        self._worker.start()

    @property
    def info(self) -> EngineInfo:
        """What is loaded; waits for the load. Raises what made it fail."""
        self._worker.loaded.wait()
        return self._worker.info()

    def generate(
        self, prompt: Prompt, sampling: Sampling, guide: Guide | None = None
    ) -> Generator[Token | Step, None, Timings]:
        """The reply's ids as they are sampled, the one that ends it included; returns the timings.

        Raises BadInput for a file that is no gpt-oss model, NoAnswer for a prompt longer than the context, DoesNotFit,
        EngineError.
        """
        while not self._worker.loaded.wait(STEP_INTERVAL_S):
            yield Step("load", round(self._worker.load_share * 1000), 1000)
        job = _Job(prompt, sampling, guide)
        try:
            self._worker.submit(job)
            return (yield from _results(job))
        except Enough:
            self._worker.cancel(job)
            return _timings(job)
        finally:
            self._worker.release(job)

    def prepare(self, prompt: Prompt) -> None:
        """Nothing: without checkpoints there is no state that decoding in the background could make better."""

    def interrupt(self) -> None:
        """Make the generation that runs, if one does, end soon and return its timings. From any thread."""
        self._worker.interrupt()

    def fix_context(self, num_ctx: int | None) -> None:
        """Another fixed length of the context, or none, from the next generation on."""
        self._worker.num_ctx = num_ctx

    def close(self) -> None:
        """Stop what runs, the load included, and free the model. Idempotent; on a CPU it takes milliseconds."""
        self._close()


def _results(job: _Job) -> Generator[Token | Step, None, Timings]:
    while True:
        match job.out.get():
            case Token() as token:
                yield token
                job.credits.put(None)
            case Step() as step:
                yield step
            case Timings() as timings:
                return timings
            case Exception() as error:
                raise error


def _timings(job: _Job) -> Timings:
    """Wait for a cancelled job to end."""
    while True:
        item = job.out.get()
        if isinstance(item, Timings):
            return item
        if isinstance(item, Exception):
            raise item


class _Worker(threading.Thread):
    """The engine's thread. It alone calls llama.cpp; a daemon, because `close` at exit ends it in order."""

    def __init__(
        self, path: Path, wanted: Wanted, threads: int | None, repack: bool, adapters: tuple[Path, ...]
    ) -> None:
        super().__init__(name="engine", daemon=True)
        self._path, self._wanted, self._threads, self._repack = path, wanted, threads, repack
        self._adapters, self.num_ctx = adapters, wanted.num_ctx
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()  # guards the next four and which job the abort flag is meant for
        self._taken: _Job | None = None  # from submit to release
        self._running: _Job | None = None  # while it is served
        self._closing = False
        self._abort: binding.Abort | None = None
        self._held: _Loaded | None = None
        self._failure: Exception | None = None
        self.loaded = threading.Event()  # or failed to
        self.load_share = 0.0

    # called from other threads

    def submit(self, job: _Job) -> None:
        with self._lock:
            if self._closing:
                raise EngineError("the engine is closed")
            if self._taken is not None:
                raise EngineError("the engine is busy with another reply")
            self._taken = job
            self._jobs.put(job)

    def cancel(self, job: _Job) -> None:
        """Make `job` end soon; harmless when it has ended."""
        with self._lock:
            self._cancel(job)

    def interrupt(self) -> None:
        with self._lock:
            if self._taken:
                self._cancel(self._taken)

    def release(self, job: _Job) -> None:
        """The caller is done with `job`, ended or not."""
        with self._lock:
            self._cancel(job)
            if self._taken is job:
                self._taken = None

    def _cancel(self, job: _Job) -> None:
        job.cancelled = True
        job.credits.put(None)
        if self._running is job and self._abort:
            self._abort.set(True)

    def close(self) -> None:
        with self._lock:
            self._closing = True
            if self._running:
                self._cancel(self._running)
        self._jobs.put(None)
        if threading.current_thread() is not self:  # the garbage collector may call from anywhere
            self.join(CLOSE_WITHIN_S)

    def info(self) -> EngineInfo:
        if self._failure:
            raise self._failure
        if not self._held:
            raise EngineError("the engine is closed")
        return replace(self._held.info, n_ctx=self._held.cache.limit)

    # on this thread

    def run(self) -> None:
        try:
            self._held = self._load()
        except Exception as error:  # whoever asks for tokens gets it, a bug of ours included
            self._failure = error
        finally:
            self.loaded.set()
        while (job := self._jobs.get()) is not None:
            self._serve(job)
        held, self._held = self._held, None
        if held:
            held.close()

    def _load(self) -> "_Loaded":
        started = time.perf_counter()
        room = Room(self._path, self._wanted, self._repack)  # says more than llama.cpp; bad headers do not reach it
        room.check()
        self._check_adapters()
        abort = binding.Abort()
        placement = room.plan.placement
        model = binding.Model(
            str(self._path),
            gpu_layers=placement.gpu_layers,
            cpu_moe=placement.cpu_moe,
            split=placement.split,
            copied=room.copied,
            repack=self._repack,
            progress=self._loading,
        )
        self._add_adapters(model)
        with self._lock:
            self._abort = abort
        devices = binding.devices()
        threads = self._threads or plan.threads(room.shape.weight_bytes)
        cache = Cache(model, abort=abort, threads=threads, num_ctx=self._wanted.num_ctx, check=room.check_context)
        info = EngineInfo(str(self._path), 0, model.n_ctx_train, model.n_vocab, model.n_layer, devices)
        return _Loaded(model, cache, info, time.perf_counter() - started)

    def _check_adapters(self) -> None:
        """Says more than llama.cpp, and what would end the process does not reach it."""
        if self._adapters:
            parts = weights.headers(self._path)
            for path in self._adapters:
                adapters.check_usable(gguf.Header.read(path), parts)

    def _add_adapters(self, model: binding.Model) -> None:
        try:
            for path in self._adapters:
                model.add_adapter(str(path))
        except GptossError:
            model.close()
            raise

    def _loading(self, share: float) -> bool:
        self.load_share = share
        return not self._closing

    def _serve(self, job: _Job) -> None:
        with self._lock:
            self._running = job
            if self._abort:
                self._abort.set(False)
            if self._closing:
                job.cancelled = True
        try:
            job.out.put(self._result(job))
        except Exception as error:  # the caller's thread shows it, a bug of ours with its traceback
            job.out.put(error)
        finally:
            with self._lock:
                self._running = None

    def _result(self, job: _Job) -> Timings:
        if self._failure or not self._held:
            raise self._failure or EngineError("the engine is closed")
        self._held.cache.num_ctx = self.num_ctx
        timings = _Generation(self._held, job).run()
        if self._closing:
            raise EngineError("the engine was closed")
        return timings


@dataclass
class _Loaded:
    """What a generation works with."""

    model: binding.Model
    cache: Cache
    info: EngineInfo
    load_s: float  # until the first generation reports it

    def close(self) -> None:
        self.cache.close()
        self.model.close()


class _Generation:
    """One job on the engine's thread."""

    def __init__(self, held: _Loaded, job: _Job) -> None:
        self._held, self._cache = held, held.cache
        self._job, self._out, self._stop = job, job.out, job.prompt.stop
        self._sampler = Sampler(job.sampling, job.prompt.tokens)
        self._walk = Walk(job.guide) if job.guide else None
        self._reused = self._evaluated = 0
        self._last_step = time.monotonic()

    def run(self) -> Timings:
        marks = [time.perf_counter()]  # start, context ready, prompt read, end
        finish = "stop"
        try:
            self._check_ids()
            self._reused = self._cache.open(self._job.prompt)
            marks.append(time.perf_counter())
            self._read_prompt()
            marks.append(time.perf_counter())
            finish = self._answer()
        except _Cancelled:
            pass
        marks += [time.perf_counter()] * (4 - len(marks))
        load_s, self._held.load_s = self._held.load_s + marks[1] - marks[0], 0.0
        return Timings(self._evaluated, self._reused, 0, load_s, marks[2] - marks[1], marks[3] - marks[2], finish)

    def _check_ids(self) -> None:
        """Whether the caller's vocabulary is this model's; llama.cpp finds what ends a reply by the tokens' texts."""
        model, ids = self._held.model, self._job.prompt.tokens
        if not ids or not 0 <= min(ids) <= max(ids) < model.n_vocab:
            raise EngineError(f"the prompt has no ids, or some beyond the {model.n_vocab} of this model")
        for id in sorted(self._stop):
            if not model.ends_generation(id):
                raise EngineError(f"id {id} should end a reply and does not in this model's vocabulary")

    def _read_prompt(self) -> None:
        ids = self._job.prompt.tokens
        for start in range(self._reused, len(ids), UBATCH):
            self._decode(ids[start : start + UBATCH])
            self._evaluated = len(self._cache.ids) - self._reused
            self._progress(len(self._cache.ids), len(ids))

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
