"""Flags that take a whole number and are no settings: what is wrong with one is said as it is of those that are."""

from collections.abc import Callable
from typing import Annotated

import typer

from gptoss_cli.options import number

MOST = 10_000_000


def whole(flag: str, least: int) -> Callable[[str | int], int]:
    """A parser for Typer, which has words of its own for what is no number. It raises BadInput."""

    def parsed(value: str | int) -> int:
        return int(number(flag, value, least, MOST))

    return parsed


CpuMoe = Annotated[
    int | None,
    typer.Option(
        "--cpu-moe",
        "--n-cpu-moe",
        metavar="N",
        parser=whole("--n-cpu-moe", 0),
        help="Layers whose experts stay in RAM: N, or all. [as fit]",
    ),
]
