"""The records of what gptoss has downloaded itself."""

from dataclasses import replace
from pathlib import Path

from gptoss_cli.downloads import Download, Downloads

ONE = Download("o/r", "m.gguf", "c" * 40, 5, "a" * 64, Path("/blob"), Path("/snapshot"))


def test_a_record_is_kept_and_forgotten(tmp_path: Path) -> None:
    downloads = Downloads(tmp_path / "data")
    assert downloads.all() == []
    downloads.put(ONE)
    other = replace(ONE, repository="A/r", hash="b" * 64)
    downloads.put(other)
    first, second = downloads.all()
    assert (replace(first, time=""), replace(second, time="")) == (other, ONE)
    assert second.time.endswith("+00:00")
    assert (first.name, second.name) == ("hf:A/r:m.gguf", "hf:o/r:m.gguf")
    downloads.remove(ONE)
    downloads.remove(ONE)
    assert [each.hash for each in downloads.all()] == [other.hash]


def test_a_record_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    downloads = Downloads(tmp_path)
    downloads.put(ONE)
    for number, text in enumerate(["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "path": 3}']):
        (tmp_path / f"downloads/{number}.json").write_text(text)
    assert [each.hash for each in downloads.all()] == [ONE.hash]
