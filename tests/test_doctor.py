"""`gptoss doctor` as a process: what it finds, and that nothing that is broken stops it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Gptoss, Result, process_environment

FRESH = {
    "severity": "warning",
    "what": "there is no gpt-oss model on this machine, so the built-in one answers",
    "fix": "gptoss pull gpt-oss:20b",
}


def with_library(source: str, home: Path, folder: Path, *arguments: str) -> Result:
    """The program where llama.cpp's bindings are `source`."""
    (folder / "llama_cpp").mkdir(parents=True)
    (folder / "llama_cpp/__init__.py").write_text("")
    (folder / "llama_cpp/llama_cpp.py").write_text(source)
    environment = process_environment(home)
    environment["PYTHONPATH"] = f"{folder}{os.pathsep}{environment['PYTHONPATH']}"
    command = [sys.executable, "-m", "gptoss_cli", "doctor", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def test_the_object_of_a_healthy_machine(gptoss: Gptoss, home: Path) -> None:
    result = gptoss("doctor", "--json")
    assert (result.code, result.err) == (0, "")
    told = json.loads(result.out)
    assert set(told) == {"ok", "versions", "build", "free_ram_bytes", "places", "self_test", "problems"}
    assert told["ok"] is True
    assert {"gptoss", "Python", "numpy"} <= set(told["versions"])
    assert told["build"]["llama_cpp_python"] == "0.3.36"
    assert "CPU" in told["build"]["backends"]
    (cpu,) = (device for device in told["build"]["devices"] if device["type"] == "CPU")
    assert cpu["free_bytes"] == told["free_ram_bytes"]
    assert "gptoss" in told["self_test"]["answer"]
    places = {each["name"]: each for each in told["places"]}
    assert list(places) == ["settings", "models", "chats", "cache", "Hub cache"]
    assert places["Hub cache"]["path"] == str(home / "huggingface/hub")
    assert FRESH in told["problems"]
    assert not home.exists()  # it only looks


@pytest.mark.soak
def test_a_folder_that_cannot_be_made(gptoss: Gptoss, home: Path) -> None:
    def told(**environment: str) -> list[tuple[str, str, str]]:
        found = json.loads(gptoss("doctor", "--json", **environment).out)
        assert not [each for each in found["places"] if each["free_bytes"] == 0]
        return [(each["severity"], each["what"], each["fix"]) for each in found["problems"] if each != FRESH]

    assert told() == []
    why = "Permission denied" if os.getuid() else "it takes no files"
    lacking = f"cannot be made in /proc: {why}"
    assert told(GPTOSS_HOME="/proc/x") == [("warning", f"/proc/x (data folder) {lacking}", "unset GPTOSS_HOME")]
    assert told(HF_HOME="/proc/x") == [("warning", f"/proc/x/hub (Hub folder) {lacking}", "unset HF_HOME")]
    home.mkdir()
    (home / "cache").symlink_to("/proc")
    ((severity, what, fix),) = told()
    assert (severity, what) == ("warning", f"{home}/cache (cache folder) cannot be written to: {why}")
    assert "GPTOSS_HOME" not in fix  # what the variable names is right
    (home / "cache").unlink()
    (home / "file").touch()
    (wrong, _) = told(GPTOSS_HOME=str(home / "file"))  # whatever that file is, it stays where it is
    assert wrong == ("problem", f"{home}/file is a file, and the data folder should be there", "unset GPTOSS_HOME")


@pytest.mark.soak
def test_a_folder_for_sockets_that_cannot_be_used(gptoss: Gptoss, runtime_base: Path) -> None:
    def told(own: Path | str, shared: Path | str) -> list[tuple[str, str, str]]:
        found = json.loads(gptoss("doctor", "--json", XDG_RUNTIME_DIR=str(own), TMPDIR=str(shared)).out)["problems"]
        return [(each["severity"], each["what"], each["fix"]) for each in found if each != FRESH]

    fine, wide, file = runtime_base / "fine", runtime_base / "wide", runtime_base / "file"
    fine.mkdir(mode=0o700)
    wide.mkdir()
    wide.chmod(0o777)
    file.touch()
    assert told(fine, fine) == []
    assert list(fine.iterdir()) == []
    instead = f"; {fine}/gptoss-{os.getuid()} is used instead"
    cannot = "XDG_RUNTIME_DIR cannot be used:"
    assert told("here", fine) == [
        ("warning", f"{cannot} here is no absolute path{instead}", "unset XDG_RUNTIME_DIR"),
    ]
    assert told(file, fine) == [("warning", f"{cannot} {file} is not a folder{instead}", "unset XDG_RUNTIME_DIR")]
    assert told(wide, fine) == [("warning", f"{cannot} others may write to {wide}{instead}", f"chmod 700 {wide}")]
    own = "mkdir -p -m 700 ~/.gptoss-run && export XDG_RUNTIME_DIR=~/.gptoss-run"
    assert told(runtime_base / "none", wide) == [
        ("warning", f"{cannot} {runtime_base}/none cannot be used: No such file or directory", own),
        ("warning", f"models do not stay loaded: others may write to {wide}", f"chmod 700 {wide}"),
    ]


@pytest.mark.soak
def test_a_person_reads_sections_and_what_to_do(gptoss: Gptoss) -> None:
    gptoss("create", "mine", "-f", "-", stdin="FROM tiny\n")
    result = gptoss("doctor", GPTOSS_MODEL="mine")
    assert (result.code, result.err) == (0, "")
    titles = [line for line in result.out.splitlines() if line and not line.startswith(" ")]
    assert titles[:6] == ["Versions", "Build of llama.cpp", "Devices", "Memory", "Places", "Self-test"]
    assert "  tiny              answered after " in result.out
    assert FRESH["what"] not in result.out


def test_a_library_that_cannot_be_loaded(home: Path, tmp_path: Path) -> None:
    source = "raise OSError('libllama.so: cannot open shared object file')"
    result = with_library(source, home, tmp_path / "broken", "--json")
    assert (result.code, result.err) == (1, "")
    told = json.loads(result.out)
    assert (told["ok"], told["build"], told["self_test"]) == (False, None, None)
    problem = told["problems"][0]
    assert problem["severity"] == "problem"
    assert problem["what"].startswith("llama.cpp cannot be used: llama-cpp-python cannot be loaded: libllama.so")
    assert "--no-binary llama-cpp-python llama-cpp-python==0.3.36" in problem["fix"]


@pytest.mark.soak
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ended by SIGILL: it has instructions that this "),
        ("import os, sys; sys.stderr.write('GGML_ASSERT(x) failed\\n'); os.abort()", "SIGABRT: GGML_ASSERT(x) failed"),
        ("x = 1", "llama_model_params"),
    ],
)
def test_a_library_that_ends_the_process(source: str, said: str, home: Path, tmp_path: Path) -> None:
    result = with_library(source, home, tmp_path / "broken")
    assert (result.code, result.err) == (1, "")
    assert said in result.out
    assert "Traceback" not in result.out


@pytest.mark.soak
def test_all_else_that_is_broken_is_told_at_once(gptoss: Gptoss, home: Path) -> None:
    gptoss("create", "mine", "-f", "-", stdin="FROM tiny\n")
    (manifest,) = (home / "models").glob("*/mine/*.json")
    manifest.write_text("{")
    (home / "config.toml").write_text("temperature = = 1\n")
    (home / "sessions.db").write_bytes(b"no database" * 1000)
    (home / "cache").write_text("in the way")
    result = gptoss("doctor", "--json", GPTOSS_COLOR="purple")
    assert (result.code, result.err) == (1, "")
    told = json.loads(result.out)
    assert told["self_test"] is not None
    found = {each["what"]: (each["severity"], each["fix"]) for each in told["problems"]}

    def the_one(words: str) -> tuple[str, str]:
        (only,) = (found[what] for what in found if words in what)
        return only

    assert the_one("config.toml") == ("problem", "gptoss config edit opens it")
    assert the_one("saved chats cannot be read") == ("warning", f"mv {home}/sessions.db {home}/sessions.db.old")
    assert the_one("mine cannot be used") == ("warning", "gptoss rm mine")
    assert the_one("is a file, and the cache folder") == ("problem", f"mv {home}/cache {home}/cache.old")
    assert told["problems"][0]["severity"] == "problem"
    assert told["problems"][-1]["severity"] == "warning"


@pytest.mark.soak
@pytest.mark.parametrize(
    ("variables", "what", "fix"),
    [
        ({"GPTOSS_TEMPERATURE": "hot"}, "GPTOSS_TEMPERATURE", "unset GPTOSS_TEMPERATURE"),
        ({"GPTOSS_COLOR": "purple"}, "GPTOSS_COLOR", "unset GPTOSS_COLOR"),
        (
            {"GPTOSS_MODEL": "none"},
            "the default model (GPTOSS_MODEL) cannot be used: unknown model none",
            "known: tiny",
        ),
        ({"GPTOSS_MODEL": "gpt-oss:20b"}, "gpt-oss:20b is not on this machine", "gptoss pull gpt-oss:20b"),
    ],
)
def test_what_a_variable_breaks(variables: dict[str, str], what: str, fix: str, gptoss: Gptoss) -> None:
    result = gptoss("doctor", **variables)
    assert (result.code, result.err) == (1, "")
    lines = result.out.splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith("problem: "))
    assert what in lines[place]
    assert fix in lines[place + 1]
