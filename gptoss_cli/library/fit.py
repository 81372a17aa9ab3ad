"""Whether a model fits on this machine: by its file, or before it is fetched by its name or size."""

from dataclasses import dataclass

from gptoss_cli import names, weights
from gptoss_cli.engine import machine, memory
from gptoss_cli.engine.kv import UBATCH
from gptoss_cli.engine.memory import Machine, Plan
from gptoss_cli.engine.plan import SMALLEST_CONTEXT
from gptoss_cli.engine.shape import PUBLISHED, Shape, of_size
from gptoss_cli.library.model import Model


@dataclass(frozen=True)
class Fit:
    """A plan for a model, the machine it is made for, and the longest context that fits (0: none)."""

    plan: Plan
    machine: Machine
    longest: int

    @property
    def verdict(self) -> str:
        """One sentence with the figures: `fits: 11.5 GiB (weights ..., ...), free: 23.0 GiB RAM`."""
        figures = memory.figures(self.plan, self.machine)
        return f"fits: {figures}" if self.plan.fits else f"does not fit: it needs {figures}"


def fit_of(model: Model, num_ctx: int | None, gpu_layers: int | None, cpu_moe: int | None) -> Fit:
    """The fit of a model that is here; what is not given is its preset's, or the plan's choice."""
    shape = Shape.of(weights.headers(model.weights))
    preset = model.preset.get("num_ctx")
    n_ctx = num_ctx or (preset if isinstance(preset, int) else None)
    return _fit(shape, machine.now(), n_ctx, gpu_layers_of(model, gpu_layers), cpu_moe)


def fit_of_build(name: str | None, size_bytes: int | None, on: Machine, num_ctx: int | None = None) -> Fit:
    """The fit of a gpt-oss that is not here yet: one of the catalogue, or another of which only the size is known.

    on: `engine.machine.now()`. One of the two must be given.
    """
    shape = PUBLISHED.get((names.canonical(name) if name else None) or "")
    if shape is None:
        if size_bytes is None:
            raise ValueError("neither a known name nor a size")
        shape = of_size(size_bytes)
    elif size_bytes is not None:
        shape = shape.sized(size_bytes)
    return _fit(shape, on, num_ctx, None, None)


def gpu_layers_of(model: Model, gpu_layers: int | None) -> int | None:
    """Layers on the GPU that a flag or the preset asks for; None, which -1 means too, is the plan's choice."""
    asked = model.gpu_layers if gpu_layers is None else gpu_layers
    return None if asked < 0 else asked


def _fit(shape: Shape, on: Machine, n_ctx: int | None, gpu_layers: int | None, cpu_moe: int | None) -> Fit:
    n_ctx = n_ctx or min(SMALLEST_CONTEXT, shape.n_ctx_train)
    made = memory.plan(shape, on, n_ctx, UBATCH, gpu_layers=gpu_layers, cpu_moe=cpu_moe)
    longest = memory.largest_context(shape, on, UBATCH, gpu_layers=gpu_layers, cpu_moe=cpu_moe)
    return Fit(made, on, longest)
