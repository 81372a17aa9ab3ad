"""What memory there is: the system's figure, less what control groups leave."""

from pathlib import Path

import pytest

from gptoss_cli.engine import machine

KIB = 1024


def proc(folder: Path, groups: str = "") -> Path:
    (folder / "self").mkdir(parents=True)
    (folder / "meminfo").write_text("MemTotal:  1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\n")
    (folder / "self/cgroup").write_text(groups)
    return folder


def group(folder: Path, version: int, limit: str, used: int, file_pages: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    most, now, key = (
        ("memory.max", "memory.current", "{}_file")
        if version == 2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_{}_file")
    )
    (folder / most).write_text(f"{limit}\n")
    (folder / now).write_text(f"{used * KIB}\n")
    lines = [f"{key.format('active')} 0", f"{key.format('inactive')} {file_pages * KIB}", "anon 12345"]
    (folder / "memory.stat").write_text("\n".join(lines) + "\n")


def test_the_system_tells_what_can_be_had(tmp_path: Path) -> None:
    assert machine.available_memory(proc(tmp_path / "proc"), tmp_path / "none") == 400 * KIB
    assert machine.available_memory(tmp_path / "none", tmp_path / "none") is None


@pytest.mark.parametrize(
    ("own", "above", "expected"),
    [
        ("max", "max", 400),
        (f"{300 * KIB}", "max", 200),
        ("max", f"{200 * KIB}", 100),
        (f"{300 * KIB}", f"{200 * KIB}", 100),
        (f"{50 * KIB}", "max", 0),
        (f"{2**63 - 4096}", "max", 400),
    ],
)
def test_a_control_group_and_those_above_limit_it(tmp_path: Path, own: str, above: str, expected: int) -> None:
    folder = proc(tmp_path / "proc", "0::/a/b\n")
    group(tmp_path / "groups/a", 2, above, used=100)
    group(tmp_path / "groups/a/b", 2, own, used=100)
    assert machine.available_memory(folder, tmp_path / "groups") == expected * KIB


def test_the_page_cache_of_a_group_can_be_had(tmp_path: Path) -> None:
    folder = proc(tmp_path / "proc", "0::/\n")
    group(tmp_path / "groups", 2, f"{300 * KIB}", used=290, file_pages=200)
    assert machine.available_memory(folder, tmp_path / "groups") == 210 * KIB


def test_version_1_of_control_groups_limits_it_too(tmp_path: Path) -> None:
    folder = proc(tmp_path / "proc", "9:name=systemd:/\n4:memory:/docker/x\n0::/\n")
    # in a container the path is the host's, and the mount is the group itself
    group(tmp_path / "groups/memory", 1, f"{300 * KIB}", used=250, file_pages=100)
    assert machine.available_memory(folder, tmp_path / "groups") == 150 * KIB


def test_this_machine_has_memory_and_what_llama_cpp_was_built_for() -> None:
    now = machine.now()
    assert now.ram_bytes is None or 0 < now.ram_bytes < 2**50
    assert all(0 <= gpu.free_bytes <= gpu.total_bytes for gpu in now.gpus)
