"""`gptoss doctor`: what is there, and what is wrong."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict

import typer

from gptoss_cli import doctor as examination
from gptoss_cli.cli.models import Json, print_lines
from gptoss_cli.config import Places
from gptoss_cli.doctor import Report
from gptoss_cli.doctor.finding import Finding
from gptoss_cli.doctor.storage import Place
from gptoss_cli.engine import memory
from gptoss_cli.engine.build import Build, Device
from gptoss_cli.units import size


def doctor(as_json: Json = False) -> None:
    """What is there, and what is wrong: versions, llama.cpp's build, devices, memory, places, and a real answer.

    Every problem comes with what fixes it. Exit code 1 when one of them prevents answers; warnings alone: 0.
    """
    report = examination.examine(Places.of(os.environ), os.environ)
    print_lines(*([json.dumps(_object(report), ensure_ascii=False)] if as_json else _lines(report)))
    if not report.answers:
        raise typer.Exit(1)


def _lines(report: Report) -> Iterator[str]:
    sections = {
        "Versions": list(report.versions.items()) + (_versions(report.build) if report.build else []),
        "Build of llama.cpp": _build(report.build) if report.build else [],
        "Devices": [(each.name, _device(each)) for each in report.build.devices] if report.build else [],
        "Memory": [
            ("RAM", "unknown" if report.free_ram_bytes is None else f"{memory.size(report.free_ram_bytes)} free")
        ],
        "Places": [(each.name, _place(each)) for each in report.places],
        "Self-test": [("tiny", f"answered after {report.tried.seconds:.2f} s")] if report.tried else [],
    }
    for title, rows in sections.items():
        if rows:
            yield title
            yield from (f"  {name:<18}{value}" for name, value in rows)
            yield ""
    yield from _findings(report.findings)


def _versions(build: Build) -> list[tuple[str, str]]:
    return [("llama-cpp-python", build.llama_cpp_python), ("llama.cpp", build.llama_cpp), ("ggml", build.ggml)]


def _build(build: Build) -> list[tuple[str, str]]:
    return [("backends", ", ".join(build.backends)), ("CPU features", ", ".join(build.features))]


def _device(device: Device) -> str:
    """llama.cpp takes all memory of the CPU for free; what is free of it stands below."""
    free = "" if device.type == "CPU" else f"{memory.size(device.free_bytes)} free of "
    return f"{device.description}, {free}{memory.size(device.total_bytes)}"


def _place(place: Place) -> str:
    if not place.exists:
        return f"{place.path} (not there yet)"
    free = "" if place.free_bytes is None else f", {size(place.free_bytes)} free"
    return f"{place.path} ({size(place.size_bytes)}{free})"


def _findings(findings: tuple[Finding, ...]) -> Iterator[str]:
    if not findings:
        yield "No problem found."
    for each in findings:
        what = " ".join(each.what.split())  # some errors have several lines: a Modelfile's shows the place
        yield f"{'problem' if each.prevents else 'warning'}: {what}"
        yield f"  fix: {each.fix}"


def _object(report: Report) -> dict[str, object]:
    """What --json says; keys are added, never renamed. Null for what could not be found out."""
    build = asdict(report.build) if report.build else None
    for device in build["devices"] if build else ():
        if device["type"] == "CPU":
            device["free_bytes"] = report.free_ram_bytes
    return {
        "ok": report.answers,
        "versions": dict(report.versions),
        "build": build,
        "free_ram_bytes": report.free_ram_bytes,
        "places": [{**asdict(each), "path": str(each.path)} for each in report.places],
        "self_test": asdict(report.tried) if report.tried else None,
        "problems": [
            {"severity": "problem" if each.prevents else "warning", "what": each.what, "fix": each.fix}
            for each in report.findings
        ],
    }
