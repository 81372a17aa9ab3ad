"""Measures what the engine's settings are chosen by: threads, ids per decode, repacking, mapping.

    python -m benchmarks.settings MODEL.gguf [--rounds 5] [--threads N] [--prompt 1024] [--answer 32]

Every round runs each setting once, in an order of its own, each in a process of its own: load the model, read a prompt,
decode an answer. Shown are medians, and how many prompt tokens repaid what a setting takes longer to load. The file is
in the page cache. Run it on a machine that does nothing else.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.random_model import O200K_HARMONY_SIZE
from gptoss_cli.engine import footprint, plan
from gptoss_cli.engine.binding import Abort, Context, Model

N_CTX = 8192
MB = 1e6


def settings(cores: int) -> dict[str, dict[str, int]]:
    """What is compared with ours; name -> what differs."""
    ubatches = {f"{size} ids per decode": {"ubatch": size} for size in (64, 128, 256, 1024)}
    threads = {
        f"{count} thread{'s' if count > 1 else ''}": {"threads": count} for count in sorted({1, cores * 2} - {cores})
    }
    return {"ours": {}, **ubatches, **threads, "repacked": {"repack": 1}, "read, not mapped": {"copied": 1}}


def once(path: Path, prompt: int, answer: int, setting: dict[str, int]) -> dict[str, float]:
    """One process's figures: seconds to load, tokens per second, anonymous memory in bytes."""
    started = time.perf_counter()
    model = Model(str(path), copied=bool(setting.get("copied")), repack=bool(setting.get("repack")))
    abort = Abort()
    ubatch = setting.get("ubatch", 512)
    context = Context(model, n_ctx=N_CTX, n_ubatch=ubatch, threads=setting["threads"], abort=abort)
    loaded = time.perf_counter()
    ids = [(7919 + 104_729 * place) % (O200K_HARMONY_SIZE - 2000) for place in range(prompt + answer)]
    for start in range(0, prompt, ubatch):
        context.decode(ids[start : min(start + ubatch, prompt)])
    read = time.perf_counter()
    for id in ids[prompt:]:
        context.decode([id])
    ended = time.perf_counter()
    figures = {"load_s": loaded - started, "prompt": prompt / (read - loaded), "answer": answer / (ended - read)}
    figures["anonymous"] = footprint.now().anonymous_bytes
    context.close()
    model.close()
    return figures


def compare(at: argparse.Namespace) -> None:
    known = {name: {"threads": at.threads} | each for name, each in settings(at.threads).items()}
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in known}
    order = list(known)
    for number in range(at.rounds):
        random.Random(number).shuffle(order)
        for name in order:
            command = [sys.executable, "-m", "benchmarks.settings", str(at.model), "--one", json.dumps(known[name])]
            command += ["--prompt", str(at.prompt), "--answer", str(at.answer)]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
            measured[name].append(json.loads(run.stdout))
    show(
        {
            name: {key: statistics.median(each[key] for each in runs) for key in runs[0]}
            for name, runs in measured.items()
        }
    )


def show(medians: dict[str, dict[str, float]]) -> None:
    ours = medians["ours"]
    print(f"{'':22}{'load s':>8}{'prompt/s':>10}{'answer/s':>10}{'anonymous MB':>14}{'repaid after':>16}")
    for name, each in medians.items():
        saved_s = 1 / ours["prompt"] - 1 / each["prompt"]
        repaid = (each["load_s"] - ours["load_s"]) / saved_s if saved_s > 0 else None
        told = "" if name == "ours" else "never" if repaid is None else f"{max(0, repaid):,.0f} tokens"
        print(
            f"{name:22}{each['load_s']:8.2f}{each['prompt']:10.1f}{each['answer']:10.2f}"
            f"{each['anonymous'] / MB:14,.0f}{told:>16}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=plan.threads(2**40))
    parser.add_argument("--prompt", type=int, default=1024, help="tokens")
    parser.add_argument("--answer", type=int, default=32, help="tokens")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    at = parser.parse_args()
    if at.one:
        print(json.dumps(once(at.model, at.prompt, at.answer, json.loads(at.one))))
    else:
        compare(at)


if __name__ == "__main__":
    main()
