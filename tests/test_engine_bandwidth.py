"""How fast memory is read, and how large caches are, as files tell it."""

from pathlib import Path

import pytest

from gptoss_cli.engine import bandwidth


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (("32K", "32K", "1024K", "32768K"), 32 * 2**20),
        (("48K\n", "64M\n"), 64 * 2**20),
        (("many", ""), bandwidth.UNKNOWN_CACHE_BYTES),
        ((), bandwidth.UNKNOWN_CACHE_BYTES),
    ],
)
def test_the_largest_cache_is_found(sizes: tuple[str, ...], expected: int, tmp_path: Path) -> None:
    for number, text in enumerate(sizes):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}/size").write_text(text)
    assert bandwidth.cache_bytes(tmp_path) == expected


@pytest.mark.soak
def test_memory_is_read_at_the_speed_of_memory() -> None:
    """From a slow virtual machine to the fastest socket; a mistake in units is a factor of a thousand."""
    assert 5e8 < bandwidth.measured(1) < 2e12
