"""What `gptoss show --fit` prints: memory needed and there, a verdict, the longest context."""

from gptoss_cli.engine.memory import Load, size
from gptoss_cli.library.fit import Fit


def fit_object(name: str, fit: Fit) -> dict[str, object]:
    """What --fit --json says; the keys are stable. devices: RAM first; free_bytes null where the system tells none."""
    plan = fit.plan
    devices = [_device_object("RAM", fit.machine.ram_bytes, plan.ram)]
    for gpu, load in zip(fit.machine.gpus, plan.gpus, strict=True):
        devices.append(_device_object(gpu.name, gpu.free_bytes, load))
    return {
        "name": name,
        "num_ctx": plan.n_ctx,
        **_load_object(plan.total),
        "devices": devices,
        "fits": plan.fits,
        "longest_context": fit.longest,
        "layers": len(plan.shape.layers),
        "gpu_layers": plan.placement.gpu_layers,
        "cpu_moe": plan.experts_in_ram,
    }


def fit_lines(fit: Fit) -> list[str]:
    """The same for people."""
    plan, layers = fit.plan, len(fit.plan.shape.layers)
    total = plan.total
    devices = [("RAM", fit.machine.ram_bytes, plan.ram)]
    devices += [(gpu.name, gpu.free_bytes, load) for gpu, load in zip(fit.machine.gpus, plan.gpus, strict=True)]
    placed = [("layers on GPUs", f"{layers - plan.layers_in_ram} of {layers}")] if fit.machine.gpus else []
    sections = {
        f"Needed for {plan.n_ctx} tokens": [
            ("weights", size(total.weight_bytes)),
            ("KV cache", size(total.kv_bytes)),
            ("compute buffers", size(total.compute_bytes)),
            ("total", size(total.total_bytes)),
        ],
        "This machine": [(name, _share(load, free)) for name, free, load in devices],
        "Verdict": [
            ("fits", "yes" if plan.fits else "no"),
            ("longest context", f"{fit.longest} tokens" if fit.longest else "none fits"),
            *placed,
            ("experts in RAM", f"{plan.experts_in_ram} of {layers} layers"),
        ],
    }
    lines: list[str] = []
    for title, rows in sections.items():
        lines += ["", f"  {title}", *(f"    {name:<16}{value}" for name, value in rows)]
    return lines[1:]


def _share(load: Load, free_bytes: int | None) -> str:
    return f"{size(load.total_bytes)} of {'unknown' if free_bytes is None else size(free_bytes)} free"


def _device_object(name: str, free_bytes: int | None, load: Load) -> dict[str, object]:
    return {"name": name, "free_bytes": free_bytes, **_load_object(load)}


def _load_object(load: Load) -> dict[str, int]:
    return {
        "weights_bytes": load.weight_bytes,
        "kv_bytes": load.kv_bytes,
        "compute_bytes": load.compute_bytes,
        "total_bytes": load.total_bytes,
    }
