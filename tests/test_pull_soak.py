"""A pull that is killed at a hundred random moments."""

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hub_server import HubServer, Repository
from huggingface_hub import hf_hub_download
from pulling import CHUNK, FIRST, NAME, weights

from gptoss_cli.hub.part import SUFFIX

KILLS = 100
CONNECTIONS = 4
SIZE = 3_000_000

# One process that has imported everything forks the pulls: each is killed after as many seconds as the line says, and
# "killed" or "done" is the answer.
PROGRAM = f"""
import os, signal, sys, time
from pathlib import Path
import huggingface_hub.hf_api, httpx2, filelock, ssl
from gptoss_cli.hub.api import Source
from gptoss_cli.hub.download import Tuning
from gptoss_cli.library import Library
folder, endpoint = Path(sys.argv[1]), sys.argv[2]
tuning = Tuning(chunk_bytes={CHUNK}, connections={CONNECTIONS}, timeout_s=10, retries=4, wait_s=0.01)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        for event in Library(folder / "data").pull("gpt-oss:20b", Source(folder / "cache", endpoint, False), tuning):
            pass
        os._exit(0)
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print("done" if status == 0 else "killed" if os.WIFSIGNALED(status) else "failed", flush=True)
"""


def on_disk(cache: Path, content: bytes) -> set[int]:
    """The places of all bytes, in steps of 4 KiB, that are on disk as they should be."""
    for path in cache.glob(f"models--*/blobs/*{SUFFIX}"):
        data = path.read_bytes()
        return {at for at in range(0, len(data), 4096) if data[at : at + 4096] == content[at : at + 4096]}
    return set()


@pytest.mark.soak
def test_a_pull_that_is_killed_a_hundred_times(tmp_path: Path) -> None:
    """Nothing that was on disk is asked for again beyond a chunk for each connection, and the end is always right."""
    random = Random(20)
    content = weights(1, SIZE)
    server = HubServer({FIRST: Repository({NAME: content})})
    server.troubles.bytes_per_s = 12e6
    killed = rounds = finished = resumed = 0
    with server.running():
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), server.endpoint],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        cache = tmp_path / "cache"
        while killed < KILLS:
            rounds += 1
            before, seen = on_disk(cache, content), len(server.seen)
            process.stdin.write(f"{random.uniform(0.0, 0.35)}\n")
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 30)[0]
            answer = process.stdout.readline().strip()
            assert answer in ("killed", "done")
            resumed += bool(before)
            killed += answer == "killed"
            ranges = [each.range for each in server.seen[seen:] if each.where == "cdn" and each.range]
            again = sum(4096 for start, end in ranges for at in before if start <= at and at + 4096 <= end)
            assert again <= CONNECTIONS * CHUNK, f"{again} bytes again in round {rounds}"
            links = list(cache.glob(f"models--*/snapshots/*/{NAME}"))
            if links:
                assert links[0].read_bytes() == content
            if answer == "done":
                finished += 1
                assert hf_hub_download(FIRST, NAME, cache_dir=cache, local_files_only=True)
                assert not list(cache.rglob(f"*{SUFFIX}*"))
                shutil.rmtree(cache)
        process.stdin.close()
        process.stdout.close()
        assert process.wait(30) == 0
    assert finished > 3
    assert resumed > KILLS / 2
