"""Processes of the program that start at once: forked from one that has imported everything and done nothing yet.

`python forking.py` reads one JSON request per line and answers each with the exit code.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LIMIT_S = 300  # a process that takes longer is ended by SIGALRM: exit code -14


class Forker:
    """The process that forks; one call at a time."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
        )

    def run(self, arguments: Sequence[str], folder: Path, environment: dict[str, str], files: Sequence[Path]) -> int:
        """The exit code of `gptoss ARGUMENTS` in `folder`; `files` are its stdin, stdout and stderr."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = [list(arguments), str(folder), environment, [str(path) for path in files]]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


def _become(arguments: list[str], folder: str, environment: dict[str, str], files: list[str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    signal.alarm(LIMIT_S)
    for number, path in enumerate(files):
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in enumerate("rww"))  # noqa: SIM115
    sys.argv = ["gptoss", *arguments]


def _serve() -> None:
    from gptoss_cli import __main__, cli
    from gptoss_cli.engine import binding

    binding.api()  # numpy, too
    importlib.import_module("httpx2")  # huggingface_hub's; itself it reads the environment when it is imported
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        cli.run_app(["run", "--help"])  # what Typer imports late
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(*json.loads(line))
            return __main__.main()
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


if __name__ == "__main__":
    _serve()
