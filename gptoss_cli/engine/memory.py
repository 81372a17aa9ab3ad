"""What goes where: weights, KV cache and compute buffers on the memory of a machine. Pure; asks no machine itself."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gptoss_cli.engine.shape import PUBLISHED, Shape
from gptoss_cli.errors import DoesNotFit

# left free on a GPU, for what the formulas do not know (kernels, cuBLAS): what llama.cpp's own fitting leaves
# (common/common.h, fit_params_target)
MARGIN_BYTES = 2**30
STEP = 256  # contexts are multiples of it in llama.cpp


@dataclass(frozen=True)
class Gpu:
    """A device of llama.cpp with memory. shared: it is the machine's RAM (Apple's, and integrated ones)."""

    name: str
    free_bytes: int
    total_bytes: int
    shared: bool = False


@dataclass(frozen=True)
class Machine:
    """Memory that can be had now, page cache included. ram_bytes None: unknown, so nothing is refused for it."""

    ram_bytes: int | None
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True)
class Load:
    """Bytes on one device."""

    weight_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.kv_bytes + self.compute_bytes

    def __add__(self, other: "Load") -> "Load":
        return Load(
            self.weight_bytes + other.weight_bytes,
            self.kv_bytes + other.kv_bytes,
            self.compute_bytes + other.compute_bytes,
        )


NOTHING = Load()


@dataclass(frozen=True)
class Placement:
    """gpu_layers: the last ones, on GPUs; the head is one more. cpu_moe: the first layers whose experts stay in RAM.

    split: how many of the gpu_layers each GPU has.
    """

    gpu_layers: int = 0
    cpu_moe: int = 0
    split: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A placement and what it takes with a context of n_ctx tokens; the loads of GPUs in the machine's order."""

    shape: Shape
    n_ctx: int
    placement: Placement
    ram: Load
    gpus: tuple[Load, ...]
    fits_ram: bool
    fits_gpus: bool

    @property
    def fits(self) -> bool:
        return self.fits_ram and self.fits_gpus

    @property
    def total(self) -> Load:
        return sum(self.gpus, self.ram)

    @property
    def experts_in_ram(self) -> int:
        """Of how many layers the experts are computed by the CPU, as far as those layers are not there entirely."""
        return min(max(self.placement.cpu_moe, self.layers_in_ram), len(self.shape.layers))

    @property
    def layers_in_ram(self) -> int:
        layers = len(self.shape.layers)
        return min(layers, layers + 1 - self.placement.gpu_layers)


def plan(
    shape: Shape,
    machine: Machine,
    n_ctx: int,
    n_ubatch: int,
    *,
    gpu_layers: int | None = None,
    cpu_moe: int | None = None,
) -> Plan:
    """The fastest placement that the GPUs can hold. It may still not fit into RAM; `fits` tells.

    All is on GPUs when they can hold it; else the experts of the first layers are in RAM, as few as possible, since
    they are most of the bytes and the least of the work; else whole layers are, too. What is given is kept to.
    """
    for placement in _placements(len(shape.layers), bool(machine.gpus), gpu_layers, cpu_moe):
        made = placed(shape, machine, n_ctx, n_ubatch, placement)
        if made.fits_gpus:
            break
    return made


def _placements(layers: int, gpus: bool, gpu_layers: int | None, cpu_moe: int | None) -> Iterator[Placement]:
    """From the fastest to the one that needs least of the GPUs."""
    most = layers + 1 if gpus else 0
    wanted = most if gpu_layers is None else min(gpu_layers, most)
    below = layers + 1 - wanted  # these layers are in RAM anyway
    if cpu_moe is not None:
        yield Placement(wanted, min(cpu_moe, layers))
    else:
        yield Placement(wanted, 0)
        for count in range(below + 1, layers + 1) if wanted else ():
            yield Placement(wanted, count)
    if gpu_layers is None:
        for count in range(wanted - 1, -1, -1):
            yield Placement(count, layers if cpu_moe is None and count else min(cpu_moe or 0, layers))


def placed(shape: Shape, machine: Machine, n_ctx: int, n_ubatch: int, placement: Placement) -> Plan:
    """What `placement` takes; its split is worked out when it has none."""
    first = len(shape.layers) + 1 - placement.gpu_layers  # on a GPU
    kinds = {layer.windowed: layer for layer in shape.layers}
    kv = {windowed: shape.kv_bytes(layer, n_ctx, n_ubatch) for windowed, layer in kinds.items()}
    units = [_unit(shape, place, placement, kv) for place in range(len(shape.layers) + 1)]
    on_gpus = [on_gpu for _, on_gpu in units[first:]]
    split = placement.split or _split([each.total_bytes for each in on_gpus], machine)
    compute = shape.compute_bytes(n_ctx, n_ubatch)
    some_in_ram = placement.cpu_moe > 0 or first > 0
    own = compute if some_in_ram else shape.input_bytes(n_ctx, n_ubatch)
    ram = sum((in_ram for in_ram, _ in units), Load(shape.embedding_bytes, compute_bytes=own))
    # a long prompt brings the weights of a layer in RAM to the GPU for a while (op_offload in llama.h)
    visiting = max((each.expert_bytes for each in shape.layers[: max(first, placement.cpu_moe)]), default=0)
    loads, start = [], 0
    for count in split:
        load = sum(on_gpus[start : start + count], NOTHING)
        loads.append(load + Load(compute_bytes=compute + visiting) if count else load)
        start += count
    pairs = list(zip(machine.gpus, loads, strict=True))
    in_ram = sum((load for gpu, load in pairs if gpu.shared), ram).total_bytes
    return Plan(
        shape,
        n_ctx,
        Placement(placement.gpu_layers, placement.cpu_moe, split),
        ram,
        tuple(loads),
        fits_ram=machine.ram_bytes is None or in_ram <= machine.ram_bytes,
        fits_gpus=all(_holds(gpu, load) for gpu, load in pairs),
    )


def _unit(shape: Shape, place: int, placement: Placement, kv: dict[bool, int]) -> tuple[Load, Load]:
    """(in RAM, on a GPU) of one layer; the head is the place after the last. kv: bytes, by whether it has a window."""
    if place == len(shape.layers):
        rest, experts = Load(shape.head_bytes), 0
    else:
        layer = shape.layers[place]
        rest, experts = Load(layer.rest_bytes, kv[layer.windowed]), layer.expert_bytes
    whole = Load(rest.weight_bytes + experts, rest.kv_bytes)
    if place < len(shape.layers) + 1 - placement.gpu_layers:
        return whole, NOTHING
    return (Load(experts), rest) if place < placement.cpu_moe else (NOTHING, whole)


def _split(sizes: list[int], machine: Machine) -> tuple[int, ...]:
    """How many of the parts each GPU takes, in order, by the memory that it has free."""
    free = [max(0, gpu.free_bytes - MARGIN_BYTES) for gpu in machine.gpus]
    counts = [0] * len(free)
    if not free or not sizes:
        return tuple(counts)
    whole, budget = sum(sizes) or 1, sum(free) or 1
    before, gpu, bound = 0, 0, free[0]
    for size in sizes:
        # a part belongs to the GPU in whose share its middle lies
        while gpu < len(free) - 1 and (before + size / 2) * budget > bound * whole:
            gpu += 1
            bound += free[gpu]
        counts[gpu] += 1
        before += size
    return tuple(counts)


def _holds(gpu: Gpu, load: Load) -> bool:
    return not load.total_bytes or load.total_bytes + MARGIN_BYTES <= gpu.free_bytes


def without(machine: Machine, made: Plan, copied: bool) -> Machine:
    """The machine as it would be if the weights of `made` were not loaded, which they are in `machine`.

    copied: those in RAM are a copy of the file. If not they are its pages, which count as memory that can be had.
    """
    ram, gpus = machine.ram_bytes, []
    for gpu, load in zip(machine.gpus, made.gpus, strict=True):
        gpus.append(replace(gpu, free_bytes=gpu.free_bytes + load.weight_bytes))
        if gpu.shared and ram is not None:
            ram += load.weight_bytes
    if copied and ram is not None:
        ram += made.ram.weight_bytes
    return Machine(ram, tuple(gpus))


def largest_context(
    shape: Shape,
    machine: Machine,
    n_ubatch: int,
    *,
    gpu_layers: int | None = None,
    cpu_moe: int | None = None,
) -> int:
    """The longest context that fits, wherever things must go for it; 0 when none does."""
    low, high = 0, shape.n_ctx_train // STEP
    while low < high:
        middle = (low + high + 1) // 2
        made = plan(shape, machine, middle * STEP, n_ubatch, gpu_layers=gpu_layers, cpu_moe=cpu_moe)
        low, high = (middle, high) if made.fits else (low, middle - 1)
    return low * STEP


def fits(weight_bytes: int, machine: Machine) -> bool:
    """Whether weights of that size can be in the memory of the machine at all; cheap, for a first look."""
    own = sum(max(0, gpu.free_bytes - MARGIN_BYTES) for gpu in machine.gpus if not gpu.shared)
    return machine.ram_bytes is None or weight_bytes <= machine.ram_bytes + own


def figures(made: Plan, machine: Machine) -> str:
    """What is needed and what there is: `12.0 GiB (weights ..., compute ...), free: 14.0 GiB RAM`."""
    total = made.total
    return (
        f"{size(total.total_bytes)} (weights {size(total.weight_bytes)}, KV cache of {made.n_ctx} tokens "
        f"{size(total.kv_bytes)}, compute {size(total.compute_bytes)}), {_free(machine)}"
    )


def _free(machine: Machine) -> str:
    ram = [] if machine.ram_bytes is None else [f"{size(machine.ram_bytes)} RAM"]
    parts = [*ram, *(f"{size(gpu.free_bytes)} {gpu.name}" for gpu in machine.gpus)]
    return f"free: {' + '.join(parts)}" if parts else "free: unknown"


def size(count: int) -> str:
    """Memory as people read it: 59.0 GiB, 306 MiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def refusal(what: str, made: Plan, machine: Machine, longest: int) -> DoesNotFit:
    """The error for a plan that does not fit. longest: the largest context that fits, 0 for none."""
    crowded = [
        f"{gpu.name} would hold {size(load.total_bytes)}"
        for gpu, load in zip(machine.gpus, made.gpus, strict=True)
        if not made.fits_gpus and not _holds(gpu, load)
    ]
    message = "; ".join([f"{what} does not fit: it needs {figures(made, machine)}", *crowded])
    tries = []
    if crowded:
        tries.append("fewer --gpu-layers, or more layers' experts in RAM: --cpu-moe N")
    if longest >= made.n_ctx:
        tries.append(f"--num-ctx {made.n_ctx} from the start, which makes room for it on the GPU")
    elif longest:
        tries.append(f"a shorter context: --num-ctx {longest}")
    elif not crowded and made.shape.weight_bytes > 1.5 * PUBLISHED["gpt-oss:20b"].weight_bytes:
        tries.append("a smaller model: gpt-oss:20b")
    tries.append("--force, which reads from disk again and again what memory cannot hold")
    return DoesNotFit(message, hint="try " + "; or ".join(tries))
