"""What goes with a name, what stays, and what may go anyway."""

import json
import os
from pathlib import Path

import pytest
from conftest import TINY
from hub_server import HubServer, Repository
from pulling import FIRST, NAME, SECOND, Place, split_weights, weights

from gptoss_cli import conversion, modelfile
from gptoss_cli.errors import BadInput, ModelNotFound
from gptoss_cli.hub import cache as hub_cache
from gptoss_cli.library import Library
from gptoss_cli.library.pull import FileStarted
from gptoss_cli.library.removal import Leftover
from gptoss_cli.names import ModelName
from gptoss_cli.store import Manifest, Store

ANSWER = "gpt-oss:20b"
CONVERTED = weights(9, **{conversion.ORIGIN: "/ollama/blob 1"})


@pytest.fixture
def pulled(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place whose library sees what was pulled."""
    monkeypatch.setenv("HF_HUB_CACHE", str(place.cache))
    place.pull()
    return place


def create(place: Place, name: str, source: str) -> None:
    place.library.create(name, modelfile.parse(f"FROM {source}\n"), place.folder)


def leftovers(place: Place) -> list[Leftover]:
    return place.library.leftovers()


def test_what_was_pulled_goes_with_its_name_and_is_pulled_again(pulled: Place) -> None:
    size = len(pulled.content())
    removal = pulled.library.remove(ANSWER)
    assert (removal.size_bytes, removal.stays) == (size, None)
    assert [each for each in pulled.cache.rglob("*") if each.is_file() and ".locks" not in each.parts] == [
        pulled.cache / "CACHEDIR.TAG"
    ]
    with pytest.raises(ModelNotFound):
        pulled.library.find(ANSWER)
    pulled.pull()
    assert pulled.library.find(ANSWER).weights.is_file()


def test_all_parts_of_a_split_model_go(server: HubServer, pulled: Place) -> None:
    server.repositories["ggml-org/gpt-oss-120b-GGUF"] = Repository(dict(split_weights(3)))
    pulled.pull("gpt-oss:120b")
    removal = pulled.library.remove("gpt-oss:120b")
    assert removal.size_bytes == sum(map(len, split_weights(3).values()))
    assert pulled.files("blobs") == [pulled.library.find(ANSWER).weights.resolve().name]


def test_weights_of_which_a_named_model_is_made_stay(pulled: Place) -> None:
    create(pulled, "mine", ANSWER)
    with pytest.raises(BadInput, match=r"mine is made from gpt-oss:20b") as caught:
        pulled.library.remove(ANSWER)
    assert caught.value.hint == "gptoss rm mine first"
    removal = pulled.library.remove("mine")
    assert (removal.files, removal.stays) == ((), "the weights stay: gpt-oss:20b")
    assert pulled.library.remove(ANSWER).size_bytes


def test_what_another_tool_has_fetched_stays(pulled: Place) -> None:
    for record in (pulled.folder / "data/downloads").iterdir():
        record.unlink()
    with pytest.raises(BadInput, match="was put into the cache by another tool"):
        pulled.library.remove(ANSWER)
    assert pulled.library.find(ANSWER).weights.is_file()


def test_a_file_of_the_users_own_stays(pulled: Place) -> None:
    own = pulled.folder / "own.gguf"
    own.write_bytes(TINY.read_bytes())
    create(pulled, "mine", str(own))
    removal = pulled.library.remove("mine")
    assert (removal.size_bytes, removal.stays) == (0, f"the weights stay: {own}")
    assert own.is_file()


def converted(place: Place, name: str) -> Path:
    copy = place.folder / "data/weights" / f"{name}.gguf"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(CONVERTED)
    return copy


def test_a_converted_copy_goes_with_the_last_of_its_names(pulled: Place) -> None:
    copy = converted(pulled, "x")
    create(pulled, "one", str(copy))
    pulled.library.copy("one", "two")
    first = pulled.library.remove("one")
    assert (first.size_bytes, first.stays) == (0, "two still uses the weights")
    second = pulled.library.remove("two")
    assert (second.size_bytes, second.stays) == (len(CONVERTED), None)
    assert not copy.exists()


def test_a_file_with_a_second_name_elsewhere_frees_nothing(pulled: Place) -> None:
    copy = converted(pulled, "x")
    os.link(copy, pulled.folder / "second")
    create(pulled, "one", str(copy))
    assert pulled.library.remove("one").size_bytes == 0
    assert (pulled.folder / "second").is_file()


def test_nothing_is_left_over_after_a_pull(pulled: Place) -> None:
    assert leftovers(pulled) == []


def test_a_version_that_a_newer_one_has_replaced_may_go(server: HubServer, pulled: Place) -> None:
    old = len(pulled.content())
    server.repositories[FIRST] = Repository({NAME: weights(2, 700_000)})
    pulled.pull()
    (left,) = leftovers(pulled)
    assert (left.reason, left.size_bytes) == ("replaced by a newer version", old)
    assert pulled.library.prune([left]) == [left]
    assert leftovers(pulled) == []
    assert pulled.content() == weights(2, 700_000)


def test_a_replaced_version_that_has_a_name_stays(server: HubServer, pulled: Place) -> None:
    create(pulled, "old", str(pulled.library.find(ANSWER).weights))
    server.repositories[FIRST] = Repository({NAME: weights(2)})
    pulled.pull()
    assert leftovers(pulled) == []


def test_an_unfinished_download_may_go_unless_it_goes_on(server: HubServer, pulled: Place) -> None:
    server.repositories[SECOND] = Repository({"other-MXFP4.gguf": weights(3)})
    events = pulled.library.pull(f"hf:{SECOND}", pulled.source, pulled.tuning)
    for event in events:
        if getattr(event, "done", 0):
            break
    assert leftovers(pulled) == []
    events.close()
    (left,) = leftovers(pulled)
    assert (left.what, left.reason) == (f"hf:{SECOND}:other-MXFP4.gguf", "a download that was not finished")
    assert left.partial is not None
    busy = hub_cache.BlobLock(SECOND, left.partial.path.name.removesuffix(".gptoss-part"), pulled.cache)
    assert busy.acquire(0)
    assert pulled.library.prune([left]) == []
    busy.release()
    assert pulled.library.prune([left]) == [left]
    assert not any(path.exists() for path in left.paths)


def test_a_converted_copy_without_a_name_may_go(pulled: Place) -> None:
    copy = converted(pulled, "x")
    create(pulled, "named", str(converted(pulled, "named")))
    (left,) = leftovers(pulled)
    assert (left.what, left.reason) == ("x.gguf", "a converted copy without a name")
    pulled.library.prune([left])
    assert not copy.exists()
    assert (copy.parent / "named.gguf").exists()


def test_weights_of_another_cache_are_not_replaced(pulled: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(pulled.folder / "other"))
    assert leftovers(pulled) == []


def test_a_cache_that_was_moved_behind_a_link_is_in_use(pulled: Place) -> None:
    pulled.cache.rename(pulled.folder / "bigger disk")
    pulled.cache.symlink_to(pulled.folder / "bigger disk")
    assert leftovers(pulled) == []
    assert pulled.library.remove(ANSWER).size_bytes == len(weights(1))
    assert not list((pulled.folder / "bigger disk").glob("models--*"))


def test_a_blob_that_was_moved_elsewhere_is_the_users_now(pulled: Place) -> None:
    blob = pulled.library.find(ANSWER).weights.resolve()
    mine = pulled.folder / "mine.gguf"
    blob.rename(mine)
    blob.symlink_to(mine)
    assert leftovers(pulled) == []
    with pytest.raises(BadInput, match="put into the cache by another tool"):
        pulled.library.remove(ANSWER)
    assert mine.is_file()


def test_the_records_of_a_disk_that_is_not_there_now_are_kept(pulled: Place) -> None:
    away = pulled.folder / "away"
    pulled.cache.rename(away)
    assert leftovers(pulled) == []
    away.rename(pulled.cache)
    assert pulled.library.remove(ANSWER).size_bytes


def test_parts_of_a_split_model_stay_while_the_others_come(server: HubServer, pulled: Place) -> None:
    server.repositories[SECOND] = Repository(dict(split_weights(3)))
    events = pulled.library.pull(f"hf:{SECOND}", pulled.source, pulled.tuning)
    started = 0
    for event in events:
        started += isinstance(event, FileStarted)
        if started == 2:
            break
    assert leftovers(pulled) == []
    events.close()


def test_a_version_that_was_asked_for_is_not_replaced(server: HubServer, pulled: Place) -> None:
    old = pulled.library.find(ANSWER).weights
    server.repositories[FIRST] = Repository({NAME: weights(2)})
    pulled.pull()
    ref = old.parents[2] / "refs" / "v1"
    ref.write_text(old.parent.name)
    assert leftovers(pulled) == []


def test_a_record_that_leads_elsewhere_deletes_nothing(pulled: Place) -> None:
    precious = pulled.folder / "models--precious" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years")
    (record,) = (pulled.folder / "data/downloads").iterdir()
    told = json.loads(record.read_text())
    for path, snapshot in ((precious, precious), (precious, told["snapshot"])):
        record.write_text(json.dumps({**told, "path": str(path), "snapshot": str(snapshot)}))
        assert leftovers(pulled) == []


def test_a_file_of_the_users_own_beside_the_copies_stays(pulled: Place) -> None:
    own = pulled.folder / "data/weights/own.gguf"
    own.parent.mkdir()
    own.write_bytes(TINY.read_bytes())
    assert leftovers(pulled) == []
    create(pulled, "mine", str(own))
    assert pulled.library.remove("mine").stays == f"the weights stay: {own}"
    assert own.is_file()


def test_what_a_damaged_manifest_may_use_stays(server: HubServer, pulled: Place) -> None:
    copy = converted(pulled, "x")
    create(pulled, "one", str(copy))
    pulled.library.copy("one", "two")
    manifest = pulled.folder / "data/models/library/two/latest.json"
    manifest.write_text(manifest.read_text().replace('"schema": 1', '"schema": 2'))
    removal = pulled.library.remove("one")
    assert removal.stays == "two cannot be read and may use the weights"
    assert leftovers(pulled) == []
    with pytest.raises(BadInput, match="two cannot be read and may be made from gpt-oss:20b"):
        pulled.library.remove(ANSWER)
    assert copy.is_file()


def test_an_adapter_in_use_stays(pulled: Place) -> None:
    """As a pull leaves it: in the cache, with a record."""
    used = pulled.library.find(ANSWER).weights
    tuned = Manifest(ModelName.parse("tuned"), modelfile.parse(f"FROM tiny\nADAPTER {used}\n"))
    Store(pulled.folder / "data").put(tuned)
    with pytest.raises(BadInput, match=r"tuned is made from gpt-oss:20b"):
        pulled.library.remove(ANSWER)


def test_a_folder_that_only_looks_like_the_caches_is_left_alone(pulled: Place) -> None:
    home = pulled.folder / "models--mine"
    home.mkdir()
    (home / "notes.txt").write_text("mine")
    library = Library(home / "gptoss")
    copy = home / "gptoss/weights/x.gguf"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(CONVERTED)
    library.create("one", modelfile.parse(f"FROM {copy}\n"), home)
    library.create("other", modelfile.parse("FROM tiny\n"), home)
    assert library.remove("one").size_bytes
    assert (home / "notes.txt").is_file()
    assert library.is_named("other")


def test_a_version_that_was_asked_for_by_its_commit_stays(server: HubServer, pulled: Place) -> None:
    server.repositories[SECOND] = Repository({NAME: weights(6)})
    commit = server.repositories[SECOND].commit
    pulled.pull(f"https://huggingface.co/{SECOND}/tree/{commit}")
    old = pulled.library.find(f"https://huggingface.co/{SECOND}/tree/{commit}").weights
    server.repositories[SECOND] = Repository({old.name: weights(7)})
    pulled.pull(f"hf:{SECOND}")
    assert leftovers(pulled) == []


def test_what_got_a_name_since_it_was_listed_stays(pulled: Place) -> None:
    copy = converted(pulled, "x")
    listed = leftovers(pulled)
    create(pulled, "named", str(copy))
    assert (len(listed), pulled.library.prune(listed), copy.is_file()) == (1, [], True)


def test_the_same_bytes_in_two_repositories_are_two_models(server: HubServer, pulled: Place) -> None:
    server.repositories["owner/again"] = Repository({"again-Q8_0.gguf": pulled.content()})
    pulled.pull("hf:owner/again")
    assert [each.name for each in pulled.library.all()] == [ANSWER, "hf:owner/again:again-Q8_0.gguf", "tiny"]
    assert pulled.library.remove("hf:owner/again").size_bytes
    assert pulled.library.find(ANSWER).weights.is_file()
    assert pulled.library.remove(ANSWER).size_bytes
