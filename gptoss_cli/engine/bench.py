"""How fast a model is here: prefill and decode at several depths, load time, memory, and the bound that memory sets.

Measured as llama.cpp's llama-bench does: a warm-up, random ids, prompt and answer each for itself, the median of
repetitions. Unlike it, sampling is part of an answer, at the temperature that users have. Knows no text.
"""

import random
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from gptoss_cli.engine import Step, Timings, bandwidth, footprint, memory, plan
from gptoss_cli.engine.footprint import Footprint
from gptoss_cli.engine.kv import UBATCH
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.engine.memory import Load, Plan
from gptoss_cli.engine.room import Room, Wanted
from gptoss_cli.errors import BadInput, DoesNotFit
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Budget, Guide, Prompt, State
from gptoss_cli.units import duration

DEPTHS = (0, 4096, 32768)
WARM_UP_TOKENS = 8
SEED = 20_000


@dataclass(frozen=True)
class Task:
    """What is measured: a prompt of `prompt` ids read, and `answer` ids decoded, each after `depth` others.

    depths None: DEPTHS, as far as they fit into the context, the memory, and within_s seconds each.
    """

    prompt: int = 512
    answer: int = 128
    repetitions: int = 5
    depths: tuple[int, ...] | None = None
    within_s: float = 60.0


@dataclass(frozen=True)
class Rate:
    """Tokens per second of every run, in order."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        import statistics  # 10 ms, and every command imports this module

        return statistics.median(self.runs)


@dataclass(frozen=True)
class Setting:
    """What runs, and where."""

    weight_bytes: int
    layers: int
    threads: int
    devices: tuple[str, ...]
    plan: Plan
    load_s: float


@dataclass(frozen=True)
class Speed:
    """The rates at one depth.

    token_bytes: read for each decoded token. ram_bytes: the part of them which is in RAM; None when that says nothing
    of the speed, since nothing is computed there or all of it fits into the caches.
    context: the KV cache and compute buffers of n_ctx tokens, on all devices, as planned.
    """

    depth: int
    n_ctx: int
    prefill: Rate
    decode: Rate
    token_bytes: int
    ram_bytes: int | None
    context: Load
    footprint: Footprint

    def ceiling(self, ram: "Bandwidth") -> float | None:
        """Tokens per second that reading them from RAM allows at most."""
        return ram.bytes_s / self.ram_bytes if self.ram_bytes else None


@dataclass(frozen=True)
class LeftOut:
    """A depth that was not measured, and why."""

    depth: int
    reason: str


@dataclass(frozen=True)
class Bandwidth:
    """How fast the threads read memory: the best that was seen, by itself before and after the runs, or in one of them.

    What else the machine does slows each of these, at times of its own; a bound below what was done would be none.
    """

    bytes_s: float

    @classmethod
    def best(cls, measured: Sequence[float], speeds: Sequence[Speed]) -> "Bandwidth":
        """measured: bytes per second, by themselves."""
        return cls(max(*measured, *(max(each.decode.runs) * (each.ram_bytes or 0) for each in speeds)))


Event = Setting | Step | Speed | LeftOut | Bandwidth


def measure(
    path: Path, task: Task, wanted: Wanted, *, threads: int | None, repack: bool, adapters: tuple[Path, ...] = ()
) -> Generator[Event, None, None]:
    """One Setting, a Speed or a LeftOut for each depth, the Bandwidth; Steps while something goes on. Closing stops it.

    Raises BadInput for a file that is no model and a depth beyond its context, DoesNotFit, EngineError.
    """
    room = Room(path, wanted, repack)
    room.check()
    depths = _checked_depths(task, room.shape.n_ctx_train)
    threads = threads or plan.threads(room.shape.weight_bytes)
    yield Step("memory", 0, 2)
    before = bandwidth.measured(threads)
    engine = LlamaEngine(
        path,
        num_ctx=wanted.num_ctx,
        gpu_layers=wanted.gpu_layers,
        cpu_moe=wanted.cpu_moe,
        force=wanted.force,
        threads=threads,
        repack=repack,
        adapters=adapters,
        relief=wanted.relief,
    )
    with closing(engine):
        runs = _Runs(engine, task)
        load_s = yield from runs.warm_up()
        info = engine.info
        setting = Setting(room.shape.weight_bytes, info.n_layer, threads, info.devices, room.plan, load_s)
        yield setting
        speeds = yield from _speeds(runs, task, depths, setting.plan)
    yield Step("memory", 1, 2)  # the model has left memory: there is room
    yield Bandwidth.best((before, bandwidth.measured(threads)), speeds)


def _checked_depths(task: Task, most: int) -> tuple[int, ...]:
    needed = max(task.prompt, task.answer + 1)
    if task.depths is None:
        return tuple(depth for depth in DEPTHS if depth + needed <= most) or (0,)
    for depth in task.depths:
        if depth + needed > most:
            raise BadInput(f"depth {depth} and {needed} tokens are more than the {most} that the model can hold")
    return tuple(dict.fromkeys(task.depths))


def _speeds(runs: "_Runs", task: Task, depths: tuple[int, ...], made: Plan) -> Generator[Event, None, list[Speed]]:
    asked = task.depths is not None
    done: list[Speed] = []
    for depth in depths:
        if done and not asked and (takes_s := estimate_s(task, depth, done)) > task.within_s:
            yield LeftOut(depth, f"it would take about {duration(takes_s)}; --depth {depth} measures it")
            continue
        try:
            prefill, decode = yield from runs.at(depth)
        except DoesNotFit as error:
            if asked or not depth:
                raise
            yield LeftOut(depth, str(error))
            continue
        done.append(_speed(depth, prefill, decode, runs.n_ctx, made))
        yield done[-1]
    return done


def estimate_s(task: Task, depth: int, done: Sequence[Speed]) -> float:
    """Seconds that measuring at `depth` takes, by what was measured at smaller depths, at least one.

    The time of a token grows with what is before it, as a straight line: attention reads all of that.
    """
    last = done[-1]
    reading = _line(depth, [(each.depth, 1 / each.prefill.median) for each in done])
    answering = _line(depth, [(each.depth, 1 / each.decode.median) for each in done])
    halfway = (1 / last.prefill.median + reading) / 2
    fill_s = (depth - last.depth) * halfway
    return fill_s + task.repetitions * (task.prompt * reading + task.answer * answering)


def _line(x: float, points: Sequence[tuple[float, float]]) -> float:
    """The line through the first and the last point, at x; level when there is but one, and never falling."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    return y1 if x0 == x1 else y1 + max(0.0, (y1 - y0) / (x1 - x0)) * (x - x1)


def _speed(depth: int, prefill: Rate, decode: Rate, n_ctx: int, made: Plan) -> Speed:
    in_ram, elsewhere = token_bytes(made, depth)
    says = in_ram > bandwidth.cache_bytes()
    shape, placement = made.shape, made.placement
    machine = memory.Machine(None, tuple(memory.Gpu(str(place), 0, 0) for place in range(len(made.gpus))))
    context = memory.placed(shape, machine, n_ctx, UBATCH, placement).total
    return Speed(
        depth,
        n_ctx,
        prefill,
        decode,
        in_ram + elsewhere,
        in_ram if says else None,
        replace(context, weight_bytes=0),
        footprint.now(),
    )


def token_bytes(made: Plan, depth: int) -> tuple[int, int]:
    """What decoding one token after `depth` others reads: (from RAM, from GPUs' memory).

    Attention, routers, the head, the chosen experts, and keys and values; of the embedding one row, which is nothing.
    """
    shape, layers_in_ram = made.shape, made.layers_in_ram
    in_ram, elsewhere = (0, shape.head_bytes) if made.placement.gpu_layers else (shape.head_bytes, 0)
    for place, layer in enumerate(shape.layers):
        rest = layer.rest_bytes + shape.kv_bytes_read(layer, depth)
        experts = shape.expert_bytes_read(layer)
        in_ram += rest * (place < layers_in_ram) + experts * (place < made.experts_in_ram)
        elsewhere += rest * (place >= layers_in_ram) + experts * (place >= made.experts_in_ram)
    return in_ram, elsewhere


class _Runs:
    """Runs of one engine, with other ids each time, so that nothing but what is meant is reused."""

    def __init__(self, engine: LlamaEngine, task: Task) -> None:
        self._engine, self._task = engine, task
        self._random = random.Random(SEED)
        self._before: tuple[int, ...] = ()  # grows from depth to depth, so that none is read twice

    @property
    def n_ctx(self) -> int:
        return self._engine.info.n_ctx

    def warm_up(self) -> Generator[Step, None, float]:
        """Bring the weights into memory and the kernels into the caches; the seconds that loading took."""
        steps = self._engine.generate(Prompt((0,)), Sampling(temperature=0), _guide(1))
        with closing(steps):
            load_s = (yield from _shown(steps)).load_s
        yield Step("warm-up", 0, 1)
        self._run(self._ids(self._task.prompt), min(self._task.answer, WARM_UP_TOKENS) + 1)
        return load_s

    def at(self, depth: int) -> Generator[Step, None, tuple[Rate, Rate]]:
        """Rates of reading and of answering, behind `depth` ids. Raises DoesNotFit."""
        self._before += self._ids(depth - len(self._before))
        before, count = self._before[:depth], self._task.repetitions
        read, answered = [], []
        for done in range(count):
            yield Step(f"prefill at {depth}", done, count)
            yield from self._hold(before, self._task.prompt)
            timings = self._run(before + self._ids(self._task.prompt), 1, depth)
            read.append(timings.evaluated / timings.prompt_s)
        for done in range(count):
            yield Step(f"decode at {depth}", done, count)
            timings = self._run(
                before + self._ids(1), self._task.answer + 1, depth
            )  # the first needs no decode of its own
            answered.append(self._task.answer / timings.answer_s)
        return Rate(tuple(read)), Rate(tuple(answered))

    def _hold(self, before: tuple[int, ...], room: int) -> Generator[Step, None, None]:
        """Make the context hold `before`, which the window may have forgotten."""
        if before:
            prompt = Prompt(before, marks=(len(before),), room=room)
            steps = self._engine.generate(prompt, Sampling(temperature=0), _guide(1))
            with closing(steps):
                yield from _shown(steps)

    def _run(self, ids: tuple[int, ...], answer: int, depth: int = 0) -> Timings:
        prompt = Prompt(
            ids, marks=(depth,) if depth else (), room=answer
        )  # the context is as long as needed from the start
        steps = self._engine.generate(prompt, Sampling(seed=SEED), _guide(answer))
        with closing(steps):
            return _ended(steps)

    def _ids(self, count: int) -> tuple[int, ...]:
        n_vocab = self._engine.info.n_vocab
        return tuple(self._random.randrange(n_vocab) for _ in range(count))


def _guide(count: int) -> Guide:
    """Any ids, so many."""
    return Guide((State(None, budget=0),), (Budget(count),))


def _shown(steps: Generator[object, None, Timings]) -> Generator[Step, None, Timings]:
    """The Steps of a generation; its timings are returned."""
    while True:
        try:
            item = next(steps)
        except StopIteration as stop:
            timings: Timings = stop.value
            return timings
        if isinstance(item, Step):
            yield item


def _ended(steps: Generator[object, None, Timings]) -> Timings:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            timings: Timings = stop.value
            return timings
