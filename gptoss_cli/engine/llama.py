"""llama.cpp in this process, on a thread of its own: tokens in, tokens out. Knows no text and no roles."""

import threading
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

from gptoss_cli import adapters, gguf, weights
from gptoss_cli.engine import EngineInfo, Enough, Step, Timings, Token, binding, plan
from gptoss_cli.engine.generation import STEP_INTERVAL_S, Generation, Job, Keeping, Loaded, Preparation, keep, prepare
from gptoss_cli.engine.kv import Cache
from gptoss_cli.engine.room import Room, Wanted
from gptoss_cli.engine.states import States, key_of
from gptoss_cli.errors import EngineError, GptossError
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Guide, Prompt

CLOSE_WITHIN_S = 10.0  # a bound for drivers that hang; on a CPU closing takes milliseconds


class LlamaEngine:
    """One loaded model with one sequence. Loading starts at once, in the background.

    num_ctx fixes the context's length; without it the context starts as short as the prompt allows and grows.
    gpu_layers: on the GPU, the head counted as one; cpu_moe: of so many layers the experts stay in RAM; both as the
    memory plan has them when not given. force: load what does not fit, too. repack makes CPU kernels about 30 % faster
    at reading for a copy of the weights in memory; None: where plan.repacks says so. adapters: LoRAs, in force all the
    time. One generation at a time, from any thread; in the main one Ctrl-C gets through at once. states: the folder of
    what processes keep for each other.
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
        repack: bool | None = False,
        adapters: tuple[Path, ...] = (),
        states: Path | None = None,
        relief: Callable[[], bool] = lambda: False,
    ) -> None:
        """relief: as room.Wanted has it; called on the engine's thread."""
        wanted = Wanted(num_ctx, gpu_layers, cpu_moe, force, relief)
        self._worker = _Worker(path, wanted, threads, repack, adapters, states)
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
        job = Job(prompt, sampling, guide)
        try:
            self._worker.submit(job)
            return (yield from _results(job))
        except Enough:
            self._worker.cancel(job)
            return _timings(job)
        finally:
            self._worker.release(job)

    def prepare(self, prompt: Prompt) -> None:
        """Read `prompt` in the background, so that one that begins with it need not be; what is asked next stops it."""
        self._worker.prepare(Preparation(prompt))

    def keep(self, name: str) -> None:
        """Write the state of what was read last to the disk, where `name` is a session's; what is asked next waits."""
        self._worker.keep(Keeping(name))

    def interrupt(self) -> None:
        """Make the generation that runs, if one does, end soon and return its timings. From any thread."""
        self._worker.interrupt()

    def fix_context(self, num_ctx: int | None) -> None:
        """Another fixed length of the context, or none, from the next generation on."""
        self._worker.num_ctx = num_ctx

    def close(self) -> None:
        """Stop what runs, the load included, and free the model. Idempotent; on a CPU it takes milliseconds."""
        self._close()


def _results(job: Job) -> Generator[Token | Step, None, Timings]:
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


def _timings(job: Job) -> Timings:
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
        self,
        path: Path,
        wanted: Wanted,
        threads: int | None,
        repack: bool | None,
        adapters: tuple[Path, ...],
        states: Path | None,
    ) -> None:
        super().__init__(name="engine", daemon=True)
        self._path, self._wanted, self._threads, self._repack = path, wanted, threads, repack
        self._adapters, self._states, self.num_ctx = adapters, states, wanted.num_ctx
        self._jobs: SimpleQueue[Job | Preparation | Keeping | None] = SimpleQueue()
        self._lock = threading.Lock()  # guards the next five and which job the abort flag is meant for
        self._taken: Job | None = None  # from submit to release
        self._running: Job | Preparation | None = None  # while it is served
        self._preparing: Preparation | None = None  # the last one, also when it has ended
        self._closing = False
        self._abort: binding.Abort | None = None
        self._held: Loaded | None = None
        self._failure: Exception | None = None
        self.loaded = threading.Event()  # or failed to
        self.load_share = 0.0

    # called from other threads

    def submit(self, job: Job) -> None:
        with self._lock:
            if self._closing:
                raise EngineError("the engine is closed")
            if self._taken is not None:
                raise EngineError("the engine is busy with another reply")
            self._taken = job
            self._cancel(self._preparing)
            self._jobs.put(job)

    def prepare(self, preparation: Preparation) -> None:
        with self._lock:
            if self._closing or self._taken is not None:
                return
            self._cancel(self._preparing)
            self._preparing = preparation
            self._jobs.put(preparation)

    def cancel(self, job: Job) -> None:
        """Make `job` end soon; harmless when it has ended."""
        with self._lock:
            self._cancel(job)

    def interrupt(self) -> None:
        with self._lock:
            if self._taken:
                self._cancel(self._taken)

    def release(self, job: Job) -> None:
        """The caller is done with `job`, ended or not."""
        with self._lock:
            self._cancel(job)
            if self._taken is job:
                self._taken = None

    def keep(self, keeping: Keeping) -> None:
        with self._lock:
            if not self._closing:
                self._cancel(self._preparing)
                self._jobs.put(keeping)

    def _cancel(self, job: Job | Preparation | None) -> None:
        if job is None:
            return
        job.cancelled = True
        if isinstance(job, Job):
            job.credits.put(None)
        if self._running is job and self._abort:
            self._abort.set(True)

    def close(self) -> None:
        with self._lock:
            self._closing = True
            self._cancel(self._running)
            self._cancel(self._preparing)
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
            if isinstance(job, Keeping):
                with suppress(Exception):  # nobody waits for it, and this thread has replies to give
                    if self._held:
                        keep(self._held, job)
            else:
                self._serve(job)
        held, self._held = self._held, None
        if held:
            held.close()

    def _load(self) -> Loaded:
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
            repack=room.repack,
            progress=self._loading,
        )
        self._add_adapters(model)
        with self._lock:
            self._abort = abort
        devices = binding.devices()
        threads = self._threads or plan.threads(room.shape.weight_bytes)
        cache = Cache(
            model,
            abort=abort,
            threads=threads,
            num_ctx=self._wanted.num_ctx,
            check=room.check_context,
            states=self._states_of(devices),
        )
        info = EngineInfo(str(self._path), 0, model.n_ctx_train, model.n_vocab, model.n_layer, devices)
        return Loaded(model, cache, info, time.perf_counter() - started)

    def _states_of(self, devices: Sequence[str]) -> States | None:
        """What belongs to this model on this machine: a state depends on all of this, and on no more."""
        if self._states is None:
            return None
        files = [header.path for header in weights.headers(self._path)]
        return States(
            self._states, key_of([*files, *self._adapters], binding.VERSION, binding.LLAMA_VERSION.decode(), *devices)
        )

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

    def _serve(self, job: Job | Preparation) -> None:
        with self._lock:
            self._running = job
            if self._abort:
                self._abort.set(False)
            if self._closing:
                job.cancelled = True
        try:
            if isinstance(job, Job):
                job.out.put(self._result(job))
            elif self._held:
                prepare(self._held, job)
        except Exception as error:  # the caller's thread shows it, a bug of ours with its traceback
            if isinstance(job, Job):
                job.out.put(error)
            else:
                self._failure = error
        finally:
            with suppress(Exception):  # the reply is given, or was stopped: what was read for it need not be read again
                if self._held:
                    self._held.keep_prefix()
            with self._lock:
                self._running = None

    def _result(self, job: Job) -> Timings:
        if self._failure or not self._held:
            raise self._failure or EngineError("the engine is closed")
        self._held.cache.num_ctx = self.num_ctx
        timings = Generation(self._held, job).run()
        if self._closing:
            raise EngineError("the engine was closed")
        return timings
