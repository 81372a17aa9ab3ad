"""Numbers as people read them."""

import pytest

from gptoss_cli.units import duration, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (5_810_720, "5.8 MB"),
        (12_109_566_560, "12.1 GB"),
        (150_000_000_000, "150 GB"),
        (10**18, "1000000 TB"),
    ],
)
def test_bytes(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (173, "2m53s"), (11_045, "3h04m")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
