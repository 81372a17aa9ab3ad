"""The shared cache: huggingface_hub reads what we put there, and we find what it and others have put there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import Repository
from huggingface_hub import hf_hub_download, scan_cache_dir
from pulling import FIRST, NAME, Place, split_weights, weights

from gptoss_cli.hub import cache
from gptoss_cli.hub.part import partials
from gptoss_cli.names import HubReference, parse_hub_reference

WHOLE = weights(1)
LARGE = "ggml-org/gpt-oss-120b-GGUF"


def test_huggingface_hub_finds_the_file_without_a_network(place: Place) -> None:
    place.pull()
    found = Path(hf_hub_download(FIRST, NAME, cache_dir=place.cache, local_files_only=True))
    assert found.read_bytes() == WHOLE
    commit = place.server.repositories[FIRST].commit
    assert found == place.cache / f"models--ggml-org--gpt-oss-20b-GGUF/snapshots/{commit}/{NAME}"
    assert hf_hub_download(FIRST, NAME, revision=commit, cache_dir=place.cache, local_files_only=True) == str(found)
    assert found.is_symlink()
    assert not os.path.isabs(os.readlink(found))


def test_huggingface_hub_downloads_nothing_that_is_there(place: Place) -> None:
    place.pull()
    before = len(place.server.downloads())
    found = hf_hub_download(FIRST, NAME, cache_dir=place.cache, endpoint=place.server.endpoint, token=False)
    assert Path(found).read_bytes() == WHOLE
    assert len(place.server.downloads()) == before


def test_what_huggingface_hub_has_downloaded_is_not_fetched_again(place: Place) -> None:
    hf_hub_download(FIRST, NAME, cache_dir=place.cache, endpoint=place.server.endpoint, token=False)
    before = len(place.server.downloads())
    place.pull()
    assert len(place.server.downloads()) == before


@pytest.mark.soak
def test_huggingface_hub_waits_for_our_download_and_uses_it(place: Place) -> None:
    place.server.troubles.bytes_per_s = 2e6
    events = place.library.pull("gpt-oss:20b", place.source, place.tuning)
    for _ in range(3):
        next(events)
    code = (
        "import sys; from huggingface_hub import hf_hub_download\n"
        "print('asked', flush=True); hf_hub_download(sys.argv[1], sys.argv[2], cache_dir=sys.argv[3])"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, FIRST, NAME, str(place.cache)],
        env={**os.environ, "HF_ENDPOINT": place.server.endpoint},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert other.stdout is not None
    list(events)
    assert other.wait(30) == 0
    other.stdout.close()
    assert all(each.range is not None for each in place.server.downloads())  # huggingface_hub asks for no range
    assert place.content() == WHOLE


def test_a_part_confuses_no_other_tool(place: Place) -> None:
    events = place.library.pull("gpt-oss:20b", place.source, place.tuning)
    place.server.troubles.bytes_per_s = 2e6
    for _ in range(4):
        next(events)
    events.close()
    assert list(partials(place.cache))
    assert scan_cache_dir(place.cache).warnings == []
    place.server.troubles.bytes_per_s = 0.0
    place.pull()
    told = scan_cache_dir(place.cache)
    assert (told.warnings, [repo.repo_id for repo in told.repos], told.size_on_disk) == ([], [FIRST], len(WHOLE))


def test_a_split_model_is_fetched_whole_and_found_by_its_first_part(place: Place) -> None:
    parts = split_weights(3)
    place.server.repositories[LARGE] = Repository({**parts, "eagle3-gpt-oss-120b.gguf": weights(9)})
    place.pull("gpt-oss:120b")
    assert place.files("snapshots") == sorted(parts)
    assert {path: place.content(path) for path in parts} == parts
    found = cache.cached(HubReference(LARGE), place.cache)
    assert found is not None
    assert found.name == "gpt-oss-120b-mxfp4-00001-of-00003.gguf"
    (found.parent / "gpt-oss-120b-mxfp4-00002-of-00003.gguf").unlink()
    assert cache.cached(HubReference(LARGE), place.cache) is None


def test_where_no_links_can_be_made_the_file_itself_is_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    place.pull()
    assert place.files("blobs") == []
    found = Path(hf_hub_download(FIRST, NAME, cache_dir=place.cache, local_files_only=True))
    assert (found.is_symlink(), found.read_bytes()) == (False, WHOLE)
    sent = place.server.sent
    place.pull()
    assert place.server.sent == sent


def put(folder: Path, commit: str, *names: str) -> None:
    snapshot = folder / "models--o--r/snapshots" / commit
    for name in names:
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes(b"GGUF")


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("hf:o/r", "new/a-MXFP4.gguf"),
        ("hf:o/r:MXFP4", "new/a-MXFP4.gguf"),
        ("hf:o/r:Q4_K_M", "new/deep/a-Q4_K_M.gguf"),
        ("hf:o/r:a-Q4_K_M.gguf", "new/deep/a-Q4_K_M.gguf"),
        ("hf:o/r:F16", "old/a-F16.gguf"),
        ("hf:o/r:Q2_K", None),
        ("https://huggingface.co/o/r/blob/old/a-F16.gguf", "old/a-F16.gguf"),
        ("https://huggingface.co/o/r/tree/old", "old/a-MXFP4.gguf"),
        ("https://huggingface.co/o/r/tree/v1", None),
        ("hf:o/other", None),
    ],
)
def test_what_is_cached_is_found_by_reference(reference: str, found: str | None, tmp_path: Path) -> None:
    put(tmp_path, "old", "a-F16.gguf", "a-MXFP4.gguf")
    put(tmp_path, "new", "a-MXFP4.gguf", "a-Q8_0.gguf", "deep/a-Q4_K_M.gguf", "mmproj-a.gguf")
    os.utime(tmp_path / "models--o--r/snapshots/old", (1, 1))
    path = cache.cached(parse_hub_reference(reference), tmp_path)
    assert (path and str(path.relative_to(tmp_path / "models--o--r/snapshots"))) == found


def test_the_snapshot_that_main_is_at_comes_first(tmp_path: Path) -> None:
    put(tmp_path, "old", "a-MXFP4.gguf")
    put(tmp_path, "new", "a-MXFP4.gguf")
    cache.set_revision("o/r", "main", "old", tmp_path)
    assert cache.cached(HubReference("o/r"), tmp_path) == tmp_path / "models--o--r/snapshots/old/a-MXFP4.gguf"


def test_the_folder_is_the_one_of_huggingface_hub() -> None:
    """In every setting of the environment; huggingface_hub reads it when it is imported."""
    given: list[dict[str, str]] = [
        {},
        {"HF_HOME": "/a"},
        {"HF_HOME": "~/a"},
        {"HF_HOME": "$HOME/a"},
        {"XDG_CACHE_HOME": "/x"},
        {"XDG_CACHE_HOME": "/x", "HF_HOME": "/a"},
        {"HUGGINGFACE_HUB_CACHE": "/old"},
        {"HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "~/new", "HF_HOME": "/a"},
        {"HF_HUB_CACHE": "$XDG_CACHE_HOME/hub", "XDG_CACHE_HOME": "/x"},
    ]
    code = (
        "import importlib, json, os, sys\n"
        "from huggingface_hub import constants\n"
        "from gptoss_cli.hub import cache\n"
        "kept = dict(os.environ)\n"
        "for each in json.loads(sys.argv[1]):\n"
        "    os.environ.clear(); os.environ.update({**kept, **each})\n"
        "    importlib.reload(constants)\n"
        "    print(constants.HF_HUB_CACHE, cache.folder())\n"
    )
    clean = {"HOME": "/home/somebody", "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(given)], env=clean, capture_output=True, text=True, check=True
    )
    pairs = [line.split() for line in done.stdout.splitlines()]
    assert len(pairs) == len(given)
    assert [first for first, _ in pairs] == [second for _, second in pairs]
