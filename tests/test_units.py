"""Numbers as people read them."""

import pytest

from gptoss_cli.units import duration, seconds, size


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


@pytest.mark.parametrize(
    ("text", "count"),
    [("5m", 300), ("1h30m", 5400), ("90s", 90), ("1.5m", 90), ("500ms", 0.5), ("300", 300), ("0", 0), ("-1", -1)],
)
def test_durations_that_are_read(text: str, count: float) -> None:
    assert seconds(text) == count
    assert seconds(f"-{text.removeprefix('-')}") == -abs(count)


@pytest.mark.parametrize("text", ["", "-", "m", "5 m", "5x", "1e3", "inf", "nan", "--1", "5m3", "9" * 30 + "h", "٣"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        seconds(text)
