"""Room for one model on this machine: where it goes, and whether a context fits, before llama.cpp tries."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli import weights
from gptoss_cli.engine import machine, memory
from gptoss_cli.engine.kv import UBATCH
from gptoss_cli.engine.memory import Machine, Plan
from gptoss_cli.engine.plan import SMALLEST_CONTEXT, repacks
from gptoss_cli.engine.shape import Shape


@dataclass(frozen=True)
class Wanted:
    """What a user asks for; None is the plan's choice. force: try whatever the figures say.

    relief is called while memory is short: it gives some back, or returns False when there is none to give.
    """

    num_ctx: int | None = None
    gpu_layers: int | None = None
    cpu_moe: int | None = None
    force: bool = False
    relief: Callable[[], bool] = lambda: False


class Room:
    """The room that the model at `path` has.

    repack: whether its weights in RAM will be a copy of the file and not its pages; None: where that pays in a chat.
    """

    def __init__(
        self, path: Path, wanted: Wanted, repack: bool | None = False, look: Callable[[], Machine] = machine.now
    ) -> None:
        """look tells what memory there is at the moment. Raises BadInput, ModelNotFound, EngineError."""
        self.shape = Shape.of(weights.headers(path))
        self._path, self._wanted, self._look = path, wanted, look
        self._machine = look()
        self.plan = self._planned()
        while not self._has_the_best() and wanted.relief():
            self._machine = look()
            self.plan = self._planned()
        # host memory that a GPU can reach itself is faster than mapped pages (llama-model-loader.cpp, create_tensor
        # says so); a forced load may need more than there is, and Apple's GPUs use the mapped pages themselves
        discrete = any(not gpu.shared for gpu in self._machine.gpus)
        self.copied = bool(self.plan.placement.cpu_moe) and discrete and self.plan.fits
        if repack is None:
            repack = not self._machine.gpus and repacks(self.shape.weight_bytes, self._machine.ram_bytes)
        self.repack = repack
        self._anonymous = self.copied or repack

    def _planned(self) -> Plan:
        n_ctx = self._wanted.num_ctx or min(SMALLEST_CONTEXT, self.shape.n_ctx_train)
        return memory.plan(
            self.shape,
            self._machine,
            n_ctx,
            UBATCH,
            gpu_layers=self._wanted.gpu_layers,
            cpu_moe=self._wanted.cpu_moe,
        )

    def _has_the_best(self) -> bool:
        """Whether more memory would change nothing: what may be on GPUs is there."""
        if self._wanted.gpu_layers is not None or self._wanted.cpu_moe is not None or not self._machine.gpus:
            return self.plan.fits
        return self.plan.fits and not self.plan.experts_in_ram

    def check(self) -> None:
        """Raises DoesNotFit when the model cannot be loaded, unless it is forced."""
        self._refuse_unless_it_fits(self.plan, str(self._path))

    def check_context(self, n_ctx: int) -> None:
        """Raises DoesNotFit when the model is loaded and a context of n_ctx tokens does not fit beside it.

        Without this the system would give the memory and kill the process when it is written to.
        """
        made = self._with_context(n_ctx)
        while not made.fits and self._wanted.relief():
            made = self._with_context(n_ctx)
        self._refuse_unless_it_fits(made, f"a context of {n_ctx} tokens")

    def _with_context(self, n_ctx: int) -> Plan:
        self._machine = memory.without(self._look(), self.plan, self._anonymous)
        return memory.placed(self.shape, self._machine, n_ctx, UBATCH, self.plan.placement)

    def _refuse_unless_it_fits(self, made: Plan, what: str) -> None:
        if made.fits or self._wanted.force:
            return
        longest = memory.largest_context(
            self.shape,
            self._machine,
            UBATCH,
            gpu_layers=self._wanted.gpu_layers,
            cpu_moe=self._wanted.cpu_moe,
        )
        raise memory.refusal(what, made, self._machine, longest)
