"""verify, prune and rm as processes: what they print, ask and leave."""

import json
from pathlib import Path

import pytest
from conftest import TINY, Gptoss, process_environment
from hub_server import HubServer, Repository
from on_terminal import on_terminal
from pulling import FIRST, NAME, split_weights, weights

from gptoss_cli import conversion

SIZE = TINY.stat().st_size
HEAD = 192  # bytes before the data of the copy below


@pytest.fixture
def fetched(gptoss: Gptoss, server: HubServer, home: Path) -> Path:
    """gpt-oss:20b in the cache, pulled; the path of its blob."""
    server.repositories[FIRST] = Repository({NAME: TINY.read_bytes()})
    assert gptoss("pull", "-q", "gpt-oss:20b", HF_ENDPOINT=server.endpoint).code == 0
    return Path(gptoss("where", "gpt-oss:20b").out.strip()).resolve()


def test_good_weights_are_verified(fetched: Path, gptoss: Gptoss) -> None:
    result = gptoss("verify")
    assert result.code == 0
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("gpt-oss:20b", "ok", fetched.name),
        ("tiny", "unknown", fetched.name),
    ]
    (told,) = json.loads(gptoss("verify", "gpt-oss:20b", "--json").out)
    assert list(told) == ["name", "status", "weights", "size_bytes", "sha256", "problem"]
    assert (told["status"], told["size_bytes"], told["problem"]) == ("ok", SIZE, None)


def test_a_flipped_bit_is_found_and_the_way_back_works(fetched: Path, gptoss: Gptoss, server: HubServer) -> None:
    data = bytearray(fetched.read_bytes())
    data[-1] ^= 1
    fetched.write_bytes(data)
    result = gptoss("verify", "gpt-oss:20b")
    assert result.code == 1
    assert result.out.split("\t")[1] == "wrong"
    assert "1 of 1 files are not what they should be" in result.err
    assert result.err.splitlines()[-1].strip() == "fetch it anew: gptoss rm gpt-oss:20b && gptoss pull gpt-oss:20b"
    assert gptoss("rm", "gpt-oss:20b").code == 0
    assert gptoss("pull", "gpt-oss:20b", HF_ENDPOINT=server.endpoint).code == 0
    assert gptoss("verify", "gpt-oss:20b", "-q").out == ""


def test_a_damaged_file_and_a_missing_one(gptoss: Gptoss, tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(TINY.read_bytes()[:-1000])
    result = gptoss("verify", "./cut.gguf", "--json")
    assert result.code == 1
    assert json.loads(result.out)[0]["status"] == "damaged"
    assert gptoss("verify", "gpt-oss:20b").code == 3


def test_rm_says_what_it_frees(fetched: Path, gptoss: Gptoss) -> None:
    gptoss("create", "mine", "--from", "gpt-oss:20b", "-f", "-", stdin="FROM tiny\n")
    blocked = gptoss("rm", "gpt-oss:20b")
    assert (blocked.code, blocked.out) == (2, "")
    assert "mine is made from gpt-oss:20b" in blocked.err
    result = gptoss("rm", "gpt-oss:20b", "mine", "--json")
    assert result.code == 0
    assert [(each["name"], each["freed_bytes"], each["kept"]) for each in json.loads(result.out)] == [
        ("mine", 0, "the weights stay: gpt-oss:20b"),
        ("gpt-oss:20b", SIZE, None),
    ]
    assert not fetched.exists()


def test_on_a_terminal_rm_asks_with_the_size(fetched: Path, home: Path) -> None:
    here = process_environment(home)
    code, seen = on_terminal(here, "rm", "gpt-oss:20b", answers=[("and free 6.0 MB?", "n\n")])
    assert (code, fetched.exists()) == (0, True)
    code, seen = on_terminal(here, "rm", "gpt-oss:20b", answers=[("and free 6.0 MB?", "y\n")])
    assert (code, fetched.exists()) == (0, False)
    assert "removed gpt-oss:20b, 6.0 MB freed" in seen


def test_weights_stay_with_a_name_that_was_not_given_up(fetched: Path, gptoss: Gptoss, home: Path) -> None:
    gptoss("create", "mine", "--from", "gpt-oss:20b", "-f", "-", stdin="FROM tiny\n")
    here = process_environment(home)
    code, seen = on_terminal(here, "rm", "mine", "gpt-oss:20b", answers=[("Remove mine?", "n\n")])
    assert (code, fetched.exists()) == (2, True)
    assert "mine is made from gpt-oss:20b" in seen


def test_weights_without_links_are_verified_by_the_hash_they_were_fetched_by(gptoss: Gptoss, server: HubServer) -> None:
    server.repositories[FIRST] = Repository({NAME: TINY.read_bytes()})
    assert gptoss("pull", "gpt-oss:20b", HF_ENDPOINT=server.endpoint, HF_HUB_DISABLE_SYMLINKS="1").code == 0
    path = Path(gptoss("where", "gpt-oss:20b").out.strip())
    assert not path.is_symlink()
    assert gptoss("verify", "gpt-oss:20b").out.split("\t")[1] == "ok"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    result = gptoss("verify", "gpt-oss:20b")
    assert (result.code, result.out.split("\t")[1]) == (1, "wrong")
    assert gptoss("rm", "gpt-oss:20b").code == 0
    assert not path.exists()


def test_prune_lists_and_frees(fetched: Path, gptoss: Gptoss, home: Path) -> None:
    clean = gptoss("prune")
    assert (clean.code, clean.out, clean.err) == (0, "", "nothing to delete\n")
    copy = home / "weights/lost.gguf"
    copy.parent.mkdir()
    copy.write_bytes(weights(1, 2_000_000 - HEAD, **{conversion.ORIGIN: "/ollama/blob 1"}))
    assert copy.stat().st_size == 2_000_000
    dry = gptoss("prune", "--dry-run")
    assert (dry.code, dry.out) == (0, "lost.gguf\t2.0 MB\ta converted copy without a name\n")
    assert dry.err == "2.0 MB would be freed\n"
    assert json.loads(gptoss("prune", "--dry-run", "--json").out)["freed_bytes"] == 2_000_000
    code, _ = on_terminal(process_environment(home), "prune", answers=[("free 2.0 MB?", "n\n")])
    assert (code, copy.exists()) == (0, True)
    told = json.loads(gptoss("prune", "--json").out)
    assert list(told) == ["dry_run", "freed_bytes", "removed"]
    assert (told["dry_run"], told["freed_bytes"], told["removed"][0]["paths"]) == (False, 2_000_000, [str(copy)])
    assert not copy.exists()
    assert fetched.exists()


def test_names_only_and_json(gptoss: Gptoss, home: Path) -> None:
    gptoss("create", "one", "-f", "-", stdin="FROM tiny\n")
    assert gptoss("cp", "one", "two", "-q").out == "two\n"
    assert json.loads(gptoss("cp", "one", "three", "--json").out) == {"name": "three", "source": "one"}
    assert json.loads(gptoss("where", "one", "--json").out) == {"name": "one", "weights": [str(TINY)]}
    removed = gptoss("rm", "one", "two", "three", "-q")
    assert (removed.code, removed.out, removed.err) == (0, "one\ntwo\nthree\n", "")
    (home / "weights").mkdir()
    (home / "weights/lost.gguf").write_bytes(weights(1, 4000, **{conversion.ORIGIN: "/ollama/blob 1"}))
    pruned = gptoss("prune", "-q")
    assert (pruned.code, pruned.out, pruned.err) == (0, "lost.gguf\n", "")


def test_what_others_have_written_into_our_files_is_no_traceback(fetched: Path, gptoss: Gptoss, home: Path) -> None:
    repository = fetched.parent.parent
    (repository / "refs/main").write_bytes(b"\xff../../..")
    journal = fetched.with_name(f"{'0' * 64}.gptoss-part.journal")
    journal.with_name(journal.name.removesuffix(".journal")).write_bytes(b"")
    told = {"schema": 1, "repository": 5, "file": "x", "commit": "c", "size_bytes": 1, "chunk_bytes": 1}
    journal.write_text(json.dumps(told) + "\n")
    (record,) = (home / "downloads").glob("*.json")
    record.write_text(record.read_text().replace(f'"{FIRST}"', "5"))
    for command in ("list", "prune", "verify"):
        result = gptoss(command)
        assert (result.code, "Traceback" in result.err) == (0, False), result
    assert gptoss("list", "-q").out.split() == ["gpt-oss:20b", "tiny"]


@pytest.mark.soak
def test_the_way_back_from_damage_costs_no_preset(fetched: Path, gptoss: Gptoss, server: HubServer, home: Path) -> None:
    gptoss("create", "mine", "--from", "gpt-oss:20b", "-f", "-", stdin="FROM tiny\nSYSTEM brief\n")
    good = fetched.read_bytes()
    for name in ("mine", "gpt-oss:20b"):
        fetched.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        hint = gptoss("verify", name).err.splitlines()[-1].strip()
        assert hint == f"fetch it anew: rm {fetched} && gptoss pull {name}"
        fetched.unlink()
        assert gptoss("pull", name, HF_ENDPOINT=server.endpoint).code == 0
        assert fetched.read_bytes() == good
    (home / "own.gguf").write_bytes(good[:-1000])
    assert gptoss("verify", str(home / "own.gguf")).err.endswith("\n  put a good copy in its place\n")


def test_a_missing_part_of_a_split_model_is_damage(gptoss: Gptoss, tmp_path: Path) -> None:
    for name, data in split_weights(3).items():
        if "-00002-" not in name:
            (tmp_path / name).write_bytes(data)
    first = next(iter(split_weights(3)))
    result = gptoss("verify", f"./{first}", "--json")
    assert result.code == 1
    assert [each["status"] for each in json.loads(result.out)] == ["damaged", "unknown"]


def test_a_model_whose_weights_are_gone_is_told(gptoss: Gptoss, tmp_path: Path) -> None:
    (tmp_path / "own.gguf").write_bytes(TINY.read_bytes())
    gptoss("create", "mine", "--from", "./own.gguf", "-f", "-", stdin="FROM tiny\n")
    (tmp_path / "own.gguf").unlink()
    result = gptoss("verify")
    assert (result.code, result.out.splitlines()[-1].split("\t")[:2]) == (1, ["mine", "missing"])
    assert "the weights of mine are gone" in result.err
