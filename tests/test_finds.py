"""Where other tools keep their models, and what is found there."""

import json
import sys
from pathlib import Path

import pytest
from ollama_layout import pulled

from gptoss_cli import finds
from gptoss_cli.finds import Broken, Find
from gptoss_cli.modelfile import Command


def test_folders_of_lm_studio_are_its_own_and_the_one_in_its_settings(tmp_path: Path) -> None:
    own, old = tmp_path / ".lmstudio", tmp_path / ".cache/lm-studio"
    assert finds.folders("lmstudio", {}, tmp_path) == [own / "models", old / "models"]
    own.mkdir()
    (own / "settings.json").write_text(json.dumps({"downloadsFolder": "/big/models"}))
    assert finds.folders("lmstudio", {}, tmp_path)[0] == Path("/big/models")
    (own / "settings.json").write_text("{")
    assert finds.folders("lmstudio", {}, tmp_path) == [own / "models", old / "models"]
    (tmp_path / ".lmstudio-home-pointer").write_text("/elsewhere\n")
    assert finds.folders("lmstudio", {}, tmp_path)[0] == Path("/elsewhere/models")


def test_folders_of_llama_cpp_are_its_cache_and_that_of_hugging_face(tmp_path: Path) -> None:
    own = tmp_path / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "llama.cpp"
    assert finds.folders("llama.cpp", {}, tmp_path) == [own, tmp_path / ".cache/huggingface/hub"]
    assert finds.folders("llama.cpp", {"LLAMA_CACHE": "/c", "HF_HOME": "/h"}, tmp_path) == [Path("/c")]
    for name, hub in (("HF_HOME", "/h/hub"), ("HF_HUB_CACHE", "/h"), ("HUGGINGFACE_HUB_CACHE", "/h")):
        assert finds.folders("llama.cpp", {name: "/h"}, tmp_path) == [own, Path(hub)]


def test_folders_of_ollama(tmp_path: Path) -> None:
    assert finds.folders("ollama", {"OLLAMA_MODELS": "/m"}, tmp_path) == [Path("/m")]
    assert finds.folders("ollama", {}, tmp_path)[0] == tmp_path / ".ollama/models"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("gpt-oss-20b-MXFP4.gguf", "gpt-oss-20b-mxfp4"),
        ("gpt-oss-120b-mxfp4-00001-of-00003.gguf", "gpt-oss-120b-mxfp4"),
        ("my model (2).GGUF", "my-model-2"),
        ("模型.gguf", "model"),
        (".gguf", "model"),
        ("x" * 200 + ".gguf", "x" * 80),
        ("sha256-" + "ab" * 32, "ollama-abababababab"),
    ],
)
def test_a_model_is_named_after_its_file(file: str, name: str) -> None:
    assert finds.named_after(Path(file)) == name


def test_files_are_found_below_a_folder_without_other_parts(tmp_path: Path) -> None:
    for name in ("b/z.gguf", "a/m-00001-of-00002.gguf", "a/m-00002-of-00002.gguf", "a/readme.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "gone.gguf").symlink_to(tmp_path / "nothing")
    assert list(finds.files(tmp_path)) == [
        Broken(tmp_path / "gone.gguf", "leads to a file that is gone"),
        Find(tmp_path / "a/m-00001-of-00002.gguf", "m"),
        Find(tmp_path / "b/z.gguf", "z"),
    ]
    assert list(finds.files(tmp_path / "nothing")) == []


def test_a_model_of_ollama_brings_what_its_layers_set(tmp_path: Path) -> None:
    blob = pulled(
        tmp_path,
        system="Be brief.\n",
        params='{"temperature": 1, "stop": ["<|a|>", "b"], "use_mmap": true}',
        license="MIT",
        template="{{ .Prompt }}",
        messages='[{"role": "user", "content": "hi"}, {"role": "tool", "content": "x"}]',
    )
    pulled(tmp_path, "hf.co/some.one/gpt-oss-GGUF/Q4_K_M", weights=blob)
    assert list(finds.ollama(tmp_path)) == [
        Find(blob, "some-one/gpt-oss-GGUF:Q4_K_M"),
        Find(
            blob,
            "ollama/gpt-oss:20b",
            (
                Command("system", "Be brief.\n"),
                Command("parameter", "1", "temperature"),
                Command("parameter", "<|a|>", "stop"),
                Command("parameter", "b", "stop"),
                Command("parameter", "true", "use_mmap"),
                Command("license", "MIT"),
                Command("message", "hi", "user"),
            ),
        ),
    ]


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ("{", "cannot be understood"),
        ("[]", "cannot be understood"),
        ('{"layers": [{"mediaType": "application/vnd.ollama.image.model"}]}', "cannot be understood"),
        (
            '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../x"}]}',
            "'sha256:../../x' is no digest",
        ),
        (
            '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:' + "0" * 64 + '"}]}',
            "has lost its weights",
        ),
        ('{"layers": []}', "has no weights on this machine"),
        ('{"layers": [' + " " * 2**20, "has more than 1,048,576 bytes"),
    ],
)
def test_a_manifest_of_ollama_that_is_not_whole_is_said(manifest: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "manifests/registry.ollama.ai/library/x/latest"
    path.parent.mkdir(parents=True)
    path.write_text(manifest)
    (found,) = finds.ollama(tmp_path)
    assert isinstance(found, Broken)
    assert found.path == path
    assert reason in found.reason
