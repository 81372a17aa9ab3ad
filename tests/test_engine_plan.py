"""Threads and the length of the context."""

from pathlib import Path

import pytest

from gptoss_cli.engine import plan


@pytest.mark.parametrize(
    ("needed", "n_ctx_train", "expected"),
    [
        (1, 131072, 8192),
        (8192, 131072, 8192),
        (8193, 131072, 16384),
        (40000, 131072, 65536),
        (70000, 131072, 131072),
        (500000, 131072, 131072),
        (10, 2048, 2048),
        (9000, 12000, 12000),
    ],
)
def test_the_context_is_the_smallest_that_holds_what_is_needed(needed: int, n_ctx_train: int, expected: int) -> None:
    assert plan.context_length(needed, n_ctx_train) == expected


def cpu_max(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(text)


@pytest.mark.parametrize(
    ("own", "above", "expected"),
    [
        ("max 100000\n", "max 100000\n", None),
        ("200000 100000\n", "max 100000\n", 2.0),
        ("max 100000\n", "150000 100000\n", 1.5),
        ("400000 100000\n", "100000 100000\n", 1.0),
    ],
)
def test_a_quota_of_any_group_above_counts(tmp_path: Path, own: str, above: str, expected: float | None) -> None:
    cpu_max(tmp_path / "a", above)
    cpu_max(tmp_path / "a/b", own)
    assert plan.cgroup_quota(tmp_path, "a/b") == expected


def test_a_container_sees_its_quota_at_the_root(tmp_path: Path) -> None:
    cpu_max(tmp_path, "300000 100000\n")
    assert plan.cgroup_quota(tmp_path, "") == 3.0


@pytest.mark.parametrize(("quota", "expected"), [("-1", None), ("250000", 2.5)])
def test_version_1_of_control_groups_is_read(tmp_path: Path, quota: str, expected: float | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert plan.cgroup_quota(tmp_path, "") == expected


def test_two_threads_of_one_core_count_once(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        (tmp_path / f"cpu{cpu}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}/topology/thread_siblings_list").write_text(siblings + "\n")
    assert plan.physical_cores({0, 1, 2, 3}, tmp_path) == 2
    assert plan.physical_cores({0, 2}, tmp_path) == 1
    assert plan.physical_cores({0, 1, 8}, tmp_path) == 3  # an unknown one counts as a core


def test_threads_are_within_what_this_process_may_use() -> None:
    assert 1 <= plan.threads(2**40) <= len(plan.usable_processors())


def test_a_small_model_has_one_thread() -> None:
    assert plan.threads(6_000_000) == 1
