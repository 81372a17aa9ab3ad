"""The store: what is written is read, whole or not at all, by any number of processes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptoss_cli import modelfile
from gptoss_cli.errors import GptossError, ModelNotFound
from gptoss_cli.names import ModelName
from gptoss_cli.store import Damaged, Manifest, Store

TEXT = 'FROM tiny\nSYSTEM """你好\n"quoted" """\nPARAMETER temperature 0.5\nMESSAGE user hi\n'


def manifest(name: str, text: str = TEXT) -> Manifest:
    return Manifest(ModelName.parse(name), modelfile.parse(text))


def names(store: Store) -> list[str]:
    return [str(each.name) for each in store.all()]


def test_what_is_put_is_there_for_another_store(tmp_path: Path) -> None:
    put = Store(tmp_path).put(manifest("Mine/Zh:Tag"))
    assert Store(tmp_path).get(ModelName.parse("mine/zh:TAG")) == put
    assert str(put.name) == "Mine/Zh:Tag"
    assert put.modified.endswith("+00:00")
    assert put.base == "tiny"


def test_a_name_is_replaced_copied_and_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("b", "a:2", "A:2", "x/a"):
        store.put(manifest(name))
    assert names(store) == ["A:2", "b", "x/a"]
    store.remove(ModelName.parse("x/a"))
    store.remove(ModelName.parse("a:2"))
    assert names(store) == ["b"]
    assert not (tmp_path / "models/x").exists()
    with pytest.raises(ModelNotFound, match="unknown model x/a"):
        store.remove(ModelName.parse("x/a"))
    with pytest.raises(ModelNotFound, match="unknown model a:2"):
        store.get(ModelName.parse("a:2"))


def test_an_empty_store_is_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.all() == []
    assert not store.has(ModelName.parse("x"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is damaged"),
        ("[]", "is damaged"),
        ('{"schema": 1}', "is damaged"),
        ('{"schema": 1, "name": "x", "modelfile": "FRM", "modified": ""}', "is damaged"),
        ('{"schema": 2}', "has schema 2, and this gptoss reads 1"),
    ],
)
def test_a_damaged_manifest_hides_no_other(content: str, message: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(manifest("good"))
    store.put(manifest("bad"))
    path = tmp_path / "models/library/bad/latest.json"
    path.write_text(content)
    damaged, good = store.all()
    assert isinstance(damaged, Damaged)
    assert message in damaged.problem
    assert isinstance(good, Manifest)
    with pytest.raises(GptossError, match=message):
        store.get(ModelName.parse("bad"))
    store.put(manifest("bad"))
    assert isinstance(store.get(ModelName.parse("bad")), Manifest)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(manifest("a"))
    (tmp_path / "models/library/a/.hidden.json").write_text("x")
    (tmp_path / "models/library/a/notes.txt").write_text("x")
    assert names(store) == ["a"]
    store.remove(ModelName.parse("a"))
    assert (tmp_path / "models/library/a/notes.txt").exists()


WRITER = """
import sys
from pathlib import Path
from gptoss_cli import modelfile
from gptoss_cli.names import ModelName
from gptoss_cli.store import Manifest, Store
store, word = Store(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    text = f"FROM tiny\\nSYSTEM {word * 2000}{number}\\n"
    store.put(Manifest(ModelName.parse("shared"), modelfile.parse(text)))
    store.put(Manifest(ModelName.parse(f"{word}{number % 5}"), modelfile.parse(text)))
"""


def writer(folder: Path, word: str, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), word, str(times)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.soak
def test_two_writers_and_a_reader_see_whole_manifests_only(tmp_path: Path) -> None:
    processes = [writer(tmp_path, word, 60) for word in "ab"]
    reads = 0
    while any(process.poll() is None for process in processes):
        assert not [each for each in Store(tmp_path).all() if isinstance(each, Damaged)]
        reads += 1
    assert [process.wait() for process in processes] == [0, 0]
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
    assert reads > 2
    assert names(Store(tmp_path)) == [*(f"a{n}" for n in range(5)), *(f"b{n}" for n in range(5)), "shared"]


@pytest.mark.soak
def test_a_writer_that_is_killed_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(manifest("shared"))
    for attempt in range(8):
        process = writer(tmp_path, "ab", 100_000)
        time.sleep(0.003 * attempt)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        assert not [each for each in store.all() if isinstance(each, Damaged)]
    store.put(manifest("after"))  # the lock of the dead is gone
    assert "after" in names(store)


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(GptossError, match="cannot be written"):
        Store(tmp_path).put(manifest("x"))


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    Store(tmp_path).put(manifest("x"))
    told = json.loads((tmp_path / "models/library/x/latest.json").read_text())
    assert (told["schema"], told["name"]) == (1, "x")
    assert modelfile.parse(told["modelfile"]) == modelfile.parse(TEXT)


def test_a_manifest_that_was_copied_by_hand_is_damaged(tmp_path: Path) -> None:
    """Else two models of one name would not know that they share their weights."""
    store = Store(tmp_path)
    store.put(Manifest(ModelName.parse("x"), modelfile.parse("FROM tiny\n")))
    folder = tmp_path / "models/library"
    (folder / "y").mkdir()
    (folder / "y/latest.json").write_bytes((folder / "x/latest.json").read_bytes())
    good, damaged = store.all()
    assert isinstance(good, Manifest)
    assert isinstance(damaged, Damaged)
    assert "it says it is x" in damaged.problem
    store.remove(damaged.name)
    assert store.all() == [good]


@pytest.mark.parametrize(
    "change",
    [{"name": None}, {"name": 7}, {"modified": "x"}, {"modified": None}, {"modelfile": []}, {"modelfile": "FRM x"}],
)
def test_a_manifest_with_other_kinds_of_values_is_damaged_and_hides_no_other(
    change: dict[str, object], tmp_path: Path
) -> None:
    store = Store(tmp_path)
    for name in ("bad", "good"):
        store.put(Manifest(ModelName.parse(name), modelfile.parse("FROM tiny\n")))
    path = tmp_path / "models/library/bad/latest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    bad, good = store.all()
    assert isinstance(bad, Damaged)
    assert "is damaged" in bad.problem
    assert isinstance(good, Manifest)
