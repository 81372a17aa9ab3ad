"""A program on a pseudo-terminal, and somebody who answers its questions."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence

PATIENCE_S = 60


def on_terminal(
    environment: dict[str, str], *arguments: str, answers: Sequence[tuple[str, str]] = ()
) -> tuple[int, str]:
    """Exit code and all that appears. answers: (what is waited for, what is typed then), one after the other."""
    left = list(answers)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gptoss_cli", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={name: value for name, value in environment.items() if name != "CI"},
        start_new_session=True,
    )
    os.close(slave)
    seen, until = b"", time.monotonic() + PATIENCE_S
    since = 0  # where the part begins that the next answer waits for
    try:
        while True:
            assert time.monotonic() < until, seen.decode()
            if not select.select([master], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(master, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not piece:
                break
            seen += piece
            if left and left[0][0].encode() in seen[since:]:
                since = len(seen)
                os.write(master, left.pop(0)[1].encode())
        assert not left, f"never asked: {left[0][0]}\n{seen.decode()}"
        return process.wait(PATIENCE_S), seen.decode().replace("\r\n", "\n")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
