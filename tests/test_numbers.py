"""Flags with numbers: what is wrong with one is said by gptoss, not by Typer."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from conftest import Gptoss

from gptoss_cli.cli import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "tiny", "--n-cpu-moe", "x", "hi"], "--n-cpu-moe must be a whole number, not 'x'"),
        (["run", "tiny", "--cpu-moe", "-1", "hi"], "--n-cpu-moe must be from 0 to 10000000, not -1"),
        (["run", "tiny", "--gpu-layers", "x", "hi"], "gpu_layers must be a whole number, not 'x'"),
        (["run", "tiny", "--threads", "0", "hi"], "threads must be from 1 to 1024, not 0"),
        (["bench", "tiny", "-t", "two"], "threads must be a whole number, not 'two'"),
        (["bench", "tiny", "-d", "0", "-d", "1.5"], "--depth must be a whole number, not '1.5'"),
        (["bench", "tiny", "-r", "0"], "--repetitions must be from 1 to 10000000, not 0"),
        (["history", "list", "-n", "all"], "-n must be a whole number, not 'all'"),
    ],
)
def test_a_number_that_is_none_gets_one_line(arguments: list[str], message: str, gptoss: Gptoss) -> None:
    result = gptoss(*arguments)
    assert (result.code, result.out, result.err) == (2, "", f"gptoss: {message}\n")


def test_typer_reads_no_number_itself() -> None:
    kinds = {(path, each.name): each.type.name for path, each in _parameters(typer.main.get_command(app))}
    assert len(kinds) > 100
    assert {path for path, kind in kinds.items() if "integer" in kind or "float" in kind} == set()


def _parameters(command: Any, path: str = "gptoss") -> Iterator[tuple[str, Any]]:
    yield from ((path, each) for each in command.params)
    for name, below in getattr(command, "commands", {}).items():
        yield from _parameters(below, f"{path} {name}")
