"""What is not on this machine is offered to whoever sits at the terminal: size, place, fit; and then fetched."""

import os
import sys
from collections.abc import Mapping

import typer

from gptoss_cli.cli.asking import can_ask
from gptoss_cli.cli.pull import fetch
from gptoss_cli.engine import machine
from gptoss_cli.engine.memory import Machine
from gptoss_cli.errors import ModelNotFound
from gptoss_cli.hub.api import Unreachable
from gptoss_cli.language import translated
from gptoss_cli.library import Library
from gptoss_cli.library.fit import fit_of_build
from gptoss_cli.library.model import Model
from gptoss_cli.library.pull import Fetching
from gptoss_cli.names import BUILDS
from gptoss_cli.terminal import Screen, safe
from gptoss_cli.units import size


def wanted(name: str | None, file: Mapping[str, object]) -> str | None:
    """The model that is asked for: `name`, else that of the environment or of the settings in `file`; None for none."""
    if name is not None:
        return name
    configured = os.environ.get("GPTOSS_MODEL") or file.get("model")
    return configured if isinstance(configured, str) else None


def found(library: Library, name: str, screen: Screen) -> Model:
    """The model `name`, fetched first when it is not here and the user agrees. Raises as Library.find and pull."""
    try:
        return library.find(name)
    except ModelNotFound as error:
        try:
            if not offered(library, name, screen):
                raise
        except Unreachable as reason:
            raise ModelNotFound(str(error), hint=f"it cannot be fetched now: {reason}") from reason
    return library.find(name)


def offered(library: Library, name: str, screen: Screen) -> bool:
    """Whether `name` is here now, because it could be fetched and the user agreed."""
    return library.can_be_pulled(name) and can_ask() and fetch(library, name, screen, agreed=_agreed)


def _agreed(start: Fetching) -> bool:
    fit = fit_of_build(start.name, start.size_bytes, machine.now())
    _say(translated("{name} is not on this machine", name=start.name))
    _say(f"  {size(start.missing_bytes)}, {start.repository} → {start.place}")
    _say(f"  {fit.verdict}")
    return typer.confirm(translated("Fetch it?"), default=fit.plan.fits, err=True)


def choose(library: Library, screen: Screen) -> str | None:
    """The build of gpt-oss that the user has chosen and that is here now; None for none of them, as is Enter alone."""
    on = machine.now()
    _say(translated("no gpt-oss model on this machine yet"))
    for number, name in enumerate(BUILDS, start=1):
        _say_row(number, name, on)
    answer = typer.prompt(translated("Fetch which? (a number, or n for none)"), default="n", err=True)
    chosen = {str(number): name for number, name in enumerate(BUILDS, start=1)}.get(str(answer).strip())
    if chosen is None:
        _say(translated("gptoss pull {name} fetches it later", name=next(iter(BUILDS))))
        return None
    return chosen if fetch(library, chosen, screen) else None


def _say_row(number: int, name: str, on: Machine) -> None:
    """What the build takes, and whether it fits."""
    fit = fit_of_build(name, None, on)
    _say(f"  {number}  {name:<14}{size(fit.plan.total.weight_bytes):>9}  {fit.verdict}")


def _say(text: str) -> None:
    print(safe(text), file=sys.stderr)
