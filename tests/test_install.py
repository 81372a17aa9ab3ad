"""The set-up script on machines that lack something: one clear message, and nothing half-made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = Path(__file__).parent.parent / "scripts/install"


def machine(folder: Path, *missing: str) -> str:
    """A PATH with what the script itself needs, and without `missing`."""
    tools = folder / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "printf", "env", "cmake", "make"):
        for place in ("/bin", "/usr/bin"):
            if (Path(place) / name).exists() and name not in missing:
                (tools / name).symlink_to(Path(place) / name)
                break
    return str(tools)


def install(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", str(INSTALL)],
        capture_output=True,
        text=True,
        env={"VENV": str(folder / "venv"), "PIP_NO_INDEX": "1", "HOME": str(folder)} | environment,
        timeout=60,
        check=False,
    )


@pytest.mark.soak
def test_without_a_compiler_it_says_which_package_to_install(tmp_path: Path) -> None:
    # the venv is made before: what is tested is the step that compiles
    subprocess.run([sys.executable, "-m", "venv", "--symlinks", str(tmp_path / "venv")], check=True)
    done = install(tmp_path, PATH=machine(tmp_path), PYTHON=sys.executable)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "gptoss: no C++ compiler here, and llama.cpp is compiled from source"
    assert any("apt-get install g++" in line for line in lines)
    assert len(lines) < 10, done.stderr
    assert done.stdout == ""


def test_without_python_it_says_which_one_is_needed(tmp_path: Path) -> None:
    done = install(tmp_path, PATH=machine(tmp_path), PYTHON="python-that-is-not-here")
    assert done.returncode == 1
    assert "no python-that-is-not-here here" in done.stderr
    assert "3.11" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.8.1" && exit\nexit 1\n')
    old.chmod(0o755)
    done = install(tmp_path, PATH=os.environ["PATH"], PYTHON=str(old))
    assert done.returncode == 1
    assert "Python 3.8.1 is too old" in done.stderr
