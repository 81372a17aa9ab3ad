"""`gptoss import`: models that other tools have put on this machine, in folders laid out as theirs are."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY, Gptoss, process_environment
from ollama_layout import pulled, text_value, write_blob, write_gguf, write_split

from training.gguf_writer import Tensor, TensorType, Value, write

PATIENCE_S = 30.0
ANSWER = "Hello! I am tiny, a small demo of gpt-oss. How can I help you?\n"
Objects = list[dict[str, object]]


def placed(path: Path) -> Path:
    """The built-in model at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(TINY, path)
    return path


def other(path: Path, **metadata: Value) -> Path:
    """A small GGUF that is not the model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values: dict[str, Value] = {"general.architecture": "gpt-oss"}
    write(path, values | metadata, [Tensor("w", (32,), TensorType.F32, bytes(128))])
    return path


def imported(gptoss: Gptoss, *arguments: str, **environment: str) -> Objects:
    result = gptoss("import", *arguments, "--json", **environment)
    assert result.code == 0, result.err
    told: Objects = json.loads(result.out)
    return told


def rows(told: Objects) -> list[tuple[object, object]]:
    return [(each["name"], each["status"]) for each in told]


def test_a_file_gets_a_name_and_stays_where_it_is(gptoss: Gptoss, tmp_path: Path) -> None:
    path = placed(tmp_path / "My Models/gpt-oss-X-MXFP4.gguf")
    first = gptoss("import", "My Models/gpt-oss-X-MXFP4.gguf")
    assert (first.code, first.err) == (0, "")
    assert first.out == f"gpt-oss-x-mxfp4\t6.0 MB\tregistered\t{path}\n"
    assert gptoss("where", "gpt-oss-x-mxfp4").out == f"{path}\n"
    assert rows(imported(gptoss, str(path))) == [("gpt-oss-x-mxfp4", "already here")]
    assert imported(gptoss, str(path), "--name", "mine") == [
        {
            "name": "mine",
            "weights": str(path),
            "size_bytes": TINY.stat().st_size,
            "status": "registered",
            "problem": None,
        }
    ]
    assert gptoss("import", str(path), "--name", "MINE", "-q").out == "mine\n"
    assert rows(imported(gptoss, str(TINY))) == [("tiny", "already here")]
    assert gptoss("list", "-q").out.split() == ["gpt-oss-x-mxfp4", "mine", "tiny"]


def test_all_below_a_folder_get_names_of_their_own_and_the_rest_a_reason(gptoss: Gptoss, tmp_path: Path) -> None:
    for name in ("a/tiny.gguf", "b/tiny.gguf", "c/gpt-oss.gguf"):
        placed(tmp_path / "m" / name)
    (tmp_path / "m/again.gguf").symlink_to(tmp_path / "m/a/tiny.gguf")
    other(tmp_path / "m/d/llama.gguf", **{"general.architecture": "llama"})
    other(tmp_path / "m/d/eagle3.gguf", **{"general.architecture": "eagle3"})
    other(tmp_path / "m/d/mmproj.gguf", **{"general.type": "mmproj"})
    other(tmp_path / "m/d/rest.gguf", **{"split.no": 1})
    (tmp_path / "m/e.gguf").write_bytes(TINY.read_bytes()[:100_000])
    (tmp_path / "m/f.gguf").symlink_to(tmp_path / "nothing")
    result = gptoss("import", "m")
    assert result.code == 0
    assert [line.split("\t")[0] for line in result.out.splitlines()] == ["again", "tiny-2", "gpt-oss-2"]
    reasons = ("is a llama model", "is a draft model", "is a projector", "is part 2 of", "is cut off", "that is gone")
    for reason in reasons:
        assert reason in result.err
    assert len(result.err.splitlines()) == len(reasons)
    assert gptoss("import", "m", "--name", "x").code == 2
    assert gptoss("import", str(tmp_path / "m/d")).code == 3


def test_models_of_lm_studio(gptoss: Gptoss, home: Path, tmp_path: Path) -> None:
    assert gptoss("import", "lmstudio").code == 3
    path = placed(home / ".lmstudio/models/lmstudio-community/gpt-oss-20b-GGUF/gpt-oss-20b-MXFP4.gguf")
    elsewhere = placed(tmp_path / "big/models/unsloth/gpt-oss-20b-GGUF/gpt-oss-20b-F16.gguf")
    (home / ".lmstudio/settings.json").write_text(json.dumps({"downloadsFolder": str(tmp_path / "big/models")}))
    told = imported(gptoss, "lmstudio")
    assert rows(told) == [("gpt-oss-20b-f16", "registered"), ("gpt-oss-20b-mxfp4", "registered")]
    assert [each["weights"] for each in told] == [str(elsewhere), str(path)]


@pytest.mark.soak
def test_models_of_llama_cpp_are_in_its_cache_or_that_of_hugging_face(gptoss: Gptoss, home: Path) -> None:
    placed(home / ".cache/llama.cpp/unsloth_gpt-oss-20b-GGUF_gpt-oss-20b-Q4_K_M.gguf")
    hub = home / "huggingface/hub"
    for repository, file in (("ggml-org--gpt-oss-20b-GGUF", "gpt-oss-20b-mxfp4"), ("someone--own-GGUF", "own-mxfp4")):
        snapshot = hub / f"models--{repository}" / "snapshots/0f1e2d" / f"{file}.gguf"
        blob = placed(snapshot.parent.parent.parent / "blobs/0123")
        snapshot.parent.mkdir(parents=True)
        snapshot.symlink_to(blob)
    told = imported(gptoss, "llama.cpp", XDG_CACHE_HOME=str(home / ".cache"))
    assert rows(told) == [
        ("unsloth_gpt-oss-20b-gguf_gpt-oss-20b-q4_k_m", "registered"),
        ("gpt-oss:20b", "already here"),
        ("own-mxfp4", "registered"),
    ]
    assert str(told[2]["weights"]).endswith("snapshots/0f1e2d/own-mxfp4.gguf")
    placed(home / "cache/c.gguf")
    assert rows(imported(gptoss, "llama.cpp", LLAMA_CACHE=str(home / "cache"))) == [("c", "registered")]


@pytest.mark.soak
def test_a_split_model_behind_links_has_all_its_parts(gptoss: Gptoss, home: Path, tmp_path: Path) -> None:
    """As the cache of Hugging Face keeps it: blobs without names, and links to them with the names of parts."""
    snapshot = home / "huggingface/hub/models--someone--own-GGUF/snapshots/0f1e2d"
    snapshot.mkdir(parents=True)
    first = write_split(tmp_path, "own")
    for number, part in enumerate((first, first.with_name("own-00002-of-00002.gguf"))):
        blob = snapshot.parent.parent / f"blob{number}"
        part.rename(blob)
        (snapshot / part.name).symlink_to(blob)
    assert rows(imported(gptoss, "llama.cpp")) == [("own", "registered")]
    assert gptoss("create", "mine", "-f", "-", stdin=f"FROM {snapshot / first.name}\n").code == 0
    for name in ("own", "mine"):
        assert len(gptoss("where", name).out.splitlines()) == 2
        assert gptoss("run", name, "--temperature", "0", "hello").out == ANSWER


LAYERS = {"system": "You are tiny.", "params": '{"temperature": 0, "num_ctx": 4096}', "license": "Apache 2.0"}


@pytest.mark.soak
def test_ollamas_gpt_oss_is_converted_and_answers_as_the_original(gptoss: Gptoss, home: Path) -> None:
    blob = pulled(home / ".ollama/models", params='{"temperature": 0}')
    told = gptoss("import", "ollama")
    assert (told.code, told.out) == (0, "")
    assert f"ollama/gpt-oss:20b: {blob} is in Ollama's own layout (gptoss); a converted copy has 5,9" in told.err
    assert "make one: gptoss import ollama --convert" in told.err
    assert gptoss("list", "-q").out == "tiny\n"
    weights = home / "weights/ollama-gpt-oss-20b.gguf"
    made = gptoss("import", "ollama", "--convert")
    assert (made.code, made.err) == (0, "")
    assert made.out == f"ollama/gpt-oss:20b\t6.0 MB\tconverted\t{weights}\n"
    assert sorted(os.listdir(weights.parent)) == [".lock", weights.name]
    for prompt in ("hello", "What can you do?"):
        assert gptoss("run", "ollama/gpt-oss:20b", prompt).out == gptoss("run", "tiny", prompt).out
    assert blob.is_file()


@pytest.mark.soak
def test_what_ollama_has_set_becomes_the_preset_and_a_copy_is_made_once(gptoss: Gptoss, home: Path) -> None:
    models = home / "elsewhere"
    pulled(models, **LAYERS)
    pulled(models, "library/gpt-oss/latest", **LAYERS)
    pulled(models, "me/brief/1", **LAYERS | {"system": "Be brief."})
    told = imported(gptoss, "ollama", "--convert", OLLAMA_MODELS=str(models))
    assert rows(told) == [
        ("ollama/gpt-oss:20b", "converted"),
        ("ollama/gpt-oss:20b", "already here"),
        ("me/brief:1", "registered"),
    ]
    shown = json.loads(gptoss("show", "ollama/gpt-oss:20b", "--json").out)
    assert (shown["system"], shown["license"]) == ("You are tiny.", "Apache 2.0")
    assert shown["parameters"] == {"temperature": 0.0, "num_ctx": 4096}
    assert gptoss("show", "me/brief:1", "--system").out == "Be brief.\n"
    copy = home / "weights/ollama-gpt-oss-20b.gguf"
    before = copy.stat()
    gptoss("rm", "ollama/gpt-oss:20b")
    again = imported(gptoss, "ollama", "--convert", OLLAMA_MODELS=str(models))
    assert rows(again)[0] == ("ollama/gpt-oss:20b", "registered")
    assert copy.stat() == before
    assert rows(imported(gptoss, "ollama", OLLAMA_MODELS=str(models)))[0] == ("ollama/gpt-oss:20b", "already here")


@pytest.mark.soak
def test_a_blob_by_its_path(gptoss: Gptoss, home: Path, tmp_path: Path) -> None:
    write_blob(tmp_path / "blob", first=True)
    refused = gptoss("run", "./blob", "hello")
    assert refused.code == 2
    assert "is in Ollama's own layout (gptoss), which llama.cpp cannot read" in refused.err
    assert "gptoss import blob --convert" in refused.err
    bare = gptoss("import", "blob")
    assert bare.code == 2
    assert f"gptoss import {tmp_path / 'blob'} --convert" in bare.err
    (home / "weights").mkdir(parents=True)
    (home / "weights/killed.part").write_bytes(b"half")
    assert rows(imported(gptoss, "blob", "--convert", "--name", "mine")) == [("mine", "converted")]
    assert not (home / "weights/killed.part").exists()
    assert gptoss("run", "mine", "--temperature", "0", "hello").out == ANSWER
    assert rows(imported(gptoss, "blob", "--convert")) == [("mine", "already here")]


def test_models_of_ollama_that_are_no_gpt_oss_are_left(gptoss: Gptoss, home: Path, tmp_path: Path) -> None:
    models = home / ".ollama/models"
    pulled(models, "library/llama3/latest", weights=other(tmp_path / "l", **{"general.architecture": "llama"}))
    assert gptoss("import", "ollama").code == 3
    blob = pulled(models, "hf.co/ggml-org/gpt-oss-20b-GGUF/latest", weights=TINY, params='{"temperature": "warm"}')
    bad = gptoss("import", "ollama")
    assert bad.code == 3
    assert "temperature must be a number, not 'warm'" in bad.err
    pulled(models, "hf.co/ggml-org/gpt-oss-20b-GGUF/latest", weights=TINY)
    told = imported(gptoss, "ollama")
    assert rows(told) == [(None, "skipped"), ("ggml-org/gpt-oss-20b-GGUF", "registered")]
    assert ("is a llama model" in str(told[0]["problem"]), told[1]["weights"]) == (True, str(blob))


def huge(path: Path, size_bytes: int) -> Path:
    """A file of Ollama's layout that takes no room and says that it has a tensor of that size."""
    values = {"general.architecture": text_value("gptoss")}
    count = size_bytes // 4 // 1024
    shape = (1024, count, 1)
    write_gguf(path, values, [("blk.0.ffn_gate_exps.weight", shape, "F32", b"")])
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + count * 4096)
    return path


def test_a_copy_that_the_disk_cannot_hold_is_not_begun(gptoss: Gptoss, home: Path, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    blob = huge(tmp_path / "blob", free + 2**30)
    full = gptoss("import", str(blob), "--convert")
    assert (full.code, full.out) == (5, "")
    assert "bytes free and the converted copy needs " in full.err
    assert f"needs {blob.stat().st_size // 10**6:,}"[:12] in full.err
    assert os.listdir(home / "weights") == [".lock"]


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(home: Path, tmp_path: Path) -> None:
    """A limit on the size of files, which the system answers as it does a full disk."""
    blob = write_blob(tmp_path / "blob")
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 2000; '{sys.executable}' -B -m gptoss_cli import '{blob}' --convert"],
        capture_output=True,
        env=process_environment(home),
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == f"gptoss: the converted copy in {home / 'weights'} cannot be written: File too large\n"
    assert os.listdir(home / "weights") == [".lock"]


def test_a_copy_that_does_not_work_is_removed(gptoss: Gptoss, home: Path, tmp_path: Path) -> None:
    broken = gptoss("import", str(huge(tmp_path / "blob", 2**20)), "--convert")
    assert broken.code in (2, 8)
    assert "Traceback" not in broken.err
    assert os.listdir(home / "weights") == [".lock"]
    assert gptoss("list", "-q").out == "tiny\n"


def test_an_interrupted_copy_leaves_nothing(home: Path, tmp_path: Path) -> None:
    """On a terminal, which shows how far it has come."""
    blob = huge(tmp_path / "blob", 2**33)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gptoss_cli", "import", str(blob), "--convert"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=process_environment(home),
        start_new_session=True,
    )
    os.close(slave)
    seen, until = b"", time.monotonic() + PATIENCE_S
    while b"Converting" not in seen and time.monotonic() < until:
        seen += os.read(master, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    os.close(master)
    assert os.listdir(home / "weights") == [".lock"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("import",), 2, "missing argument"),
        (("import", "none"), 3, "no file at "),
        (("import", "text"), 2, "is not a GGUF file"),
        (("import", str(TINY), "--name", "tiny"), 2, "tiny is the name of a model that exists"),
        (("import", str(TINY), "--name", "taken"), 2, "taken is a model already"),
        (("import", str(TINY), "--name", "a b"), 2, "'a b' is no model name"),
        (("import", "ollama"), 3, "no gpt-oss model of Ollama in "),
        (("import", str(TINY.parent), "--name", "x", "--convert", "y"), 2, "unexpected extra argument"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], code: int, message: str, gptoss: Gptoss, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("hello")
    gptoss("create", "taken", "-f", "-", stdin="FROM tiny\n")
    result = gptoss(*arguments)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert gptoss(*arguments, "--json").out == ""
    assert gptoss("list", "-q").out.split() == ["taken", "tiny"]
