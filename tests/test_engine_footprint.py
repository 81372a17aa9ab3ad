"""What this process holds in RAM."""

from pathlib import Path

from gptoss_cli.engine import footprint
from gptoss_cli.engine.footprint import Footprint


def test_linux_tells_both(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmRSS:\t   52340 kB\nRssAnon:\t   20000 kB\nRssFile:\t   32340 kB\n")
    assert footprint.now(status) == Footprint(52340 * 1024, 20000 * 1024)
    status.write_text("Name:\tpython\n")
    assert footprint.now(status) == Footprint(None, None)


def test_without_linux_there_is_at_least_a_size(tmp_path: Path) -> None:
    told = footprint.now(tmp_path / "none")
    assert told.anonymous_bytes is None
    assert told.resident_bytes is not None
    assert 2**22 < told.resident_bytes < 2**40


def test_what_is_written_to_is_in_it() -> None:
    before = footprint.now()
    held = bytearray(b"x") * (64 * 2**20)
    after = footprint.now()
    assert after.resident_bytes is not None
    assert after.resident_bytes > len(held)
    if before.anonymous_bytes is not None and after.anonymous_bytes is not None:
        assert len(held) * 0.9 < after.anonymous_bytes - before.anonymous_bytes < len(held) * 1.5
