"""Trains `tiny`: two data-parallel processes of one thread each, gradients averaged in shared memory.

Muon for attention matrices (Keller Jordan, 2024), Adam for the rest; from 75 % on the experts are trained as MXFP4 will
round them, straight through.
"""

import ctypes
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing import Barrier, get_context
from torch.nn import functional

from gptoss_cli.harmony.tokenizer import Tokenizer
from training import induction
from training.corpus.mixes import FIRST, Mix
from training.data import tokenizer, vocabulary
from training.model import GptOss, Span
from training.parts import RECORD, VOCABULARY, WEIGHTS
from training.restore import restore
from training.rows import Batch, batches
from training.shape import Shape

WORKERS = 2
TOKENS = 900  # per worker and step, mostly two rows: small steps learn more from the same tokens
WARM_UP_STEPS = 40
SAVE_EVERY = 200  # steps: three minutes
STATE = "state.pt"
DECAY_FROM, QUANTIZE_FROM = 0.4, 0.75  # shares of the steps
QUANTIZE_EVERY = 4  # steps: weights hardly move between them, and rounding takes half a step
RATES = {"muon": 0.01, "experts": 0.0007, "rest": 0.006, "head": 0.003}


@dataclass(frozen=True)
class Plan:
    """begin: an exported model to go on from, from where the rates begin to fall. rate: of all RATES."""

    steps: int
    vocabulary: int = 2816
    seed: int = 1
    begin: Path | None = None
    rate: float = 1.0
    mix: Mix = FIRST

    def share(self, step: int) -> float:
        """How much of the training is over."""
        first = DECAY_FROM if self.begin else 0.0
        return first + (1 - first) * step / self.steps


def train(plan: Plan, out: Path, *, resume: bool = False) -> None:
    """Weights, vocabulary and a record of the training in the folder `out`.

    resume: go on where one with the same plan was interrupted, at most SAVE_EVERY steps before; one that has ended is
    left as it is.
    """
    if resume and (out / RECORD).exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / RECORD).unlink(missing_ok=True)
    torch.set_num_threads(1)  # the workers are copies of this process, which threads do not survive
    if resume and (out / STATE).exists():
        kept = torch.load(out / VOCABULARY, weights_only=True)
        model, pieces = GptOss(Shape(**kept["shape"])), kept["pieces"]
    else:
        (out / STATE).unlink(missing_ok=True)
        model, pieces = _first_model(plan)
        torch.save({"shape": asdict(model.shape), "pieces": pieces}, out / VOCABULARY)
    size = sum(weight.numel() for weight in model.parameters())
    shared = torch.zeros(WORKERS, size).share_memory_()
    context = get_context("fork")
    barrier = context.Barrier(WORKERS)
    workers = [
        context.Process(target=_work, args=(rank, plan, tokenizer(pieces), model, shared, barrier, out))
        for rank in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise SystemExit(f"a training process ended with {worker.exitcode}")


def _first_model(plan: Plan) -> tuple[GptOss, list[bytes]]:
    """The model that the training begins with, and its ordinary tokens."""
    if plan.begin:
        weights, pieces, shape = restore(plan.begin)
        model = GptOss(shape)
        model.load_state_dict({name: torch.from_numpy(each) for name, each in weights.items()})
        return model, pieces
    pieces = vocabulary(plan.vocabulary, plan.seed)
    torch.manual_seed(plan.seed)
    model = GptOss(Shape(vocabulary=tokenizer(pieces).n_vocab))
    induction.prepare(model)
    return model, pieces


def _work(rank: int, plan: Plan, words: Tokenizer, model: GptOss, shared: Tensor, barrier: Barrier, out: Path) -> None:
    _keep_memory()
    stepper = _Stepper(model, plan.rate)  # the same weights in every worker, which then step alike
    record, first = _Record(), 0
    if (out / STATE).exists():
        state = torch.load(out / STATE, weights_only=True)
        model.load_state_dict(state["model"])
        stepper.load(state["stepper"])
        record, first = _Record(**state["record"]), state["step"]
    share = plan.share(first)
    feed = batches(plan.seed * 1000, words, TOKENS, lambda: share, rank, WORKERS, plan.mix)
    for step in range(first):  # what came before an interruption is made again: the model is the same without one
        share = plan.share(step)
        next(feed)
    for step in range(first, plan.steps):
        share = plan.share(step)
        barrier.wait()
        if share >= QUANTIZE_FROM and step % QUANTIZE_EVERY == 0:
            stepper.round_experts()
        batch = next(feed)
        loss = _loss(model, batch)
        loss.backward()
        _average(model, shared, rank, barrier)
        stepper.step(step, share)
        record.add(float(loss.detach()), batch.ids.size, rank, step, share)
        if rank == 0 and (step + 1) % SAVE_EVERY == 0:
            state = {"model": model.state_dict(), "stepper": stepper.state(), "record": record.state()}
            _save(state | {"step": step + 1}, out)
            torch.save(model.state_dict(), out / WEIGHTS)  # --export-only tells how far it is
    if rank == 0:
        stepper.round_experts()
        torch.save(model.state_dict(), out / WEIGHTS)
        (out / RECORD).write_text(json.dumps(record.summary(model.shape, shared.shape[1]), indent=1))


def _save(state: dict[str, Any], out: Path) -> None:
    """All or nothing: it is what is left when the training is interrupted."""
    torch.save(state, out / f"{STATE}.part")
    os.replace(out / f"{STATE}.part", out / STATE)


def _keep_memory() -> None:
    """glibc gives large blocks back and asks for them again at every operation: a fifth of a step. malloc.h, mallopt"""
    trim_threshold, mmap_max = -1, -4
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)


def _loss(model: GptOss, batch: Batch) -> Tensor:
    ids, weights = torch.from_numpy(batch.ids), torch.from_numpy(batch.weights)[:, 1:]
    hidden, balance = model(ids[:, :-1], [Span(*each) for each in batch.spans()])
    wanted = weights > 0  # the head is an eighth of the work: only where it is asked
    logits = model.head(hidden[wanted])
    losses = functional.cross_entropy(logits, ids[:, 1:][wanted], reduction="none")
    return (losses * weights[wanted]).sum() / weights.sum() + 0.01 * balance


def _average(model: GptOss, shared: Tensor, rank: int, barrier: Barrier) -> None:
    """The mean of all workers' gradients in every worker's."""
    gradients = [weight.grad for weight in model.parameters()]
    torch.cat([gradient.reshape(-1) for gradient in gradients], out=shared[rank])
    barrier.wait()
    mean = shared.mean(0)
    start = 0
    for gradient in gradients:
        gradient.copy_(mean[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


class _Stepper:
    """The optimizers of one model, and the rounding of its experts."""

    def __init__(self, model: GptOss, rate: float) -> None:
        self._rate = rate
        groups: dict[str, list[nn.Parameter]] = {"muon": [], "experts": [], "rest": [], "head": []}
        for name, weight in model.named_parameters():
            groups[_group(name)].append(weight)
        self._experts = groups["experts"]
        self._rounding = [torch.zeros_like(weight) for weight in self._experts]
        self._muon = [(weight, torch.zeros_like(weight)) for weight in groups["muon"]]
        self._adam = torch.optim.Adam(
            [{"params": groups[name], "name": name} for name in ("experts", "rest", "head")],
            betas=(0.9, 0.98),
            fused=True,
        )

    def step(self, step: int, share: float) -> None:
        scale = self._rate * min(1.0, (step + 1) / WARM_UP_STEPS, (1 - share) / (1 - DECAY_FROM))
        for group in self._adam.param_groups:
            group["lr"] = RATES[group["name"]] * scale
        self._unround()
        self._adam.step()
        for weight, momentum in self._muon:
            _muon_step(weight, momentum, RATES["muon"] * scale)
        self._adam.zero_grad()
        for weight, _ in self._muon:
            weight.grad = None
        self._reround()

    def state(self) -> dict[str, Any]:
        momenta = [momentum for _, momentum in self._muon]
        return {"adam": self._adam.state_dict(), "muon": momenta, "rounding": self._rounding}

    def load(self, state: dict[str, Any]) -> None:
        self._adam.load_state_dict(state["adam"])
        mine = [*(momentum for _, momentum in self._muon), *self._rounding]
        for tensor, kept in zip(mine, [*state["muon"], *state["rounding"]], strict=True):
            tensor.copy_(kept)

    def round_experts(self) -> None:
        """Forward passes see the experts rounded; steps change them unrounded."""
        self._unround()
        for weight, rounding in zip(self._experts, self._rounding, strict=True):
            rounding.copy_(rounded(weight.detach()) - weight.detach())
        self._reround()

    def _unround(self) -> None:
        with torch.no_grad():
            for weight, rounding in zip(self._experts, self._rounding, strict=True):
                weight.sub_(rounding)

    def _reround(self) -> None:
        with torch.no_grad():
            for weight, rounding in zip(self._experts, self._rounding, strict=True):
                weight.add_(rounding)


def _group(name: str) -> str:
    if name.endswith(("gate_up", "down")):
        return "experts"
    if ".attention." in name and name.endswith("weight"):
        return "muon"
    return "head" if name.startswith("head") else "rest"


@torch.no_grad()
def _muon_step(weight: Tensor, momentum: Tensor, rate: float) -> None:
    """Momentum, made orthogonal by five Newton-Schulz steps."""
    assert weight.grad is not None
    momentum.mul_(0.95).add_(weight.grad)
    x = weight.grad.add(momentum, alpha=0.95)
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    x = x.T if turned else x
    weight.sub_(x, alpha=rate * math.sqrt(max(1.0, weight.shape[0] / weight.shape[1])))


def rounded(weights: Tensor) -> Tensor:
    """`weights` after MXFP4, the better of two exponents per block: training.mxfp4.rounded in PyTorch."""
    blocks = weights.view(-1, 32)
    peak = blocks.abs().amax(1, keepdim=True).clamp(min=2.0**-120)
    base = peak.log2().floor() - 2
    candidates = [_on_grid(blocks, torch.exp2(exponent)) for exponent in (base, base + 1)]
    errors = [((each - blocks) ** 2).sum(1, keepdim=True) for each in candidates]
    return torch.where(errors[1] < errors[0], candidates[1], candidates[0]).view_as(weights)


def _on_grid(blocks: Tensor, scale: Tensor) -> Tensor:
    x = (blocks / scale).clamp(-6, 6)
    size = x.abs()
    step = torch.where(size < 2, 0.5, torch.where(size < 4, 1.0, 2.0))
    return (x / step).round() * step * scale


class _Record:
    """What is worth telling of a training. The arguments: what state() said of the part before."""

    def __init__(self, tokens: int = 0, curve: Sequence[tuple[int, float]] = (), seconds: float = 0.0) -> None:
        self._tokens = tokens
        self._recent: list[float] = []
        self._curve = list(curve)
        self._started = time.monotonic() - seconds

    def state(self) -> dict[str, Any]:
        return {"tokens": self._tokens, "curve": self._curve, "seconds": time.monotonic() - self._started}

    def add(self, loss: float, tokens: int, rank: int, step: int, share: float) -> None:
        self._tokens += tokens * WORKERS
        self._recent.append(loss)
        if (step + 1) % 50 == 0:
            mean = sum(self._recent) / len(self._recent)
            self._recent = []
            self._curve.append((self._tokens, round(mean, 4)))
            if rank == 0:
                print(f"{share:6.1%}  step {step + 1}  {self._tokens / 1e6:.2f} M tokens  loss {mean:.3f}", flush=True)

    def summary(self, shape: Shape, parameters: int) -> dict[str, object]:
        return {
            "minutes": round((time.monotonic() - self._started) / 60, 1),
            "tokens": self._tokens,
            "parameters": parameters,
            "shape": asdict(shape),
            "loss": self._curve[:: max(1, len(self._curve) // 12)] + self._curve[-1:],
        }
