"""What is there, and what is wrong: versions, build, devices, memory, places, and a real answer."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from gptoss_cli import __version__
from gptoss_cli.config import Places
from gptoss_cli.doctor import llama, storage
from gptoss_cli.doctor.finding import Finding
from gptoss_cli.doctor.llama import Tried
from gptoss_cli.doctor.storage import Place
from gptoss_cli.engine import machine
from gptoss_cli.engine.build import Build

# what a run or a pull needs beside llama.cpp
PACKAGES = ("huggingface_hub", "httpx2", "numpy", "prompt_toolkit", "tiktoken", "typer")


@dataclass(frozen=True)
class Report:
    """All that was found. build, tried: None when that did not work; findings: what is wrong, the worst first."""

    versions: Mapping[str, str]
    build: Build | None
    free_ram_bytes: int | None
    places: tuple[Place, ...]
    tried: Tried | None
    findings: tuple[Finding, ...]

    @property
    def answers(self) -> bool:
        """Whether nothing prevents an answer."""
        return not any(each.prevents for each in self.findings)


def examine(places: Places, environment: Mapping[str, str]) -> Report:
    """Look at everything; it takes a second or two. Raises nothing that a user could cause."""
    versions, findings = _versions()
    build, wrong = llama.probed(environment)
    findings += wrong
    tried = None
    if build is not None:
        findings += llama.judged(build, llama.processor_features(), llama.gpu_makers())
        tried, wrong = llama.tried(environment)
        findings += wrong
    findings += storage.examined(places, environment)
    findings = list(dict.fromkeys(findings))
    return Report(
        versions,
        build,
        machine.ram(),
        tuple(storage.places(places, environment)),
        tried,
        tuple(sorted(findings, key=lambda each: not each.prevents)),
    )


def _versions() -> tuple[dict[str, str], list[Finding]]:
    versions, missing = {"gptoss": __version__, "Python": platform.python_version()}, []
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            missing.append(Finding(f"{name} is not installed", "reinstall gptoss", prevents=True))
    return versions, missing
