"""The private folder of engines' processes: which one is taken, and that it is nobody else's."""

import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from gptoss_cli.engine.private import check_folder, private_folder, private_folders, read_key, usable_folder
from gptoss_cli.errors import EngineError


def test_the_folder_is_for_one_user_alone(runtime: Path) -> None:
    for _ in range(2):
        private_folder(runtime)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (runtime.parent, runtime)] == [0o700, 0o700]
    check_folder(runtime)
    for folder in (runtime, runtime.parent):
        folder.chmod(0o750)
        for use in (private_folder, check_folder):
            with pytest.raises(EngineError, match="is not a private folder of yours") as error:
                use(runtime)
            assert error.value.hint == f"chmod 700 {folder}"
        assert list(private_folders([runtime])) == []
        folder.chmod(0o700)
    assert list(private_folders([runtime, runtime / "none"])) == [runtime]


def test_neither_a_link_nor_a_file_is_taken_for_it(runtime: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    runtime.parent.mkdir(mode=0o700)
    runtime.symlink_to(tmp_path)
    with pytest.raises(EngineError, match="is not a private folder of yours"):
        private_folder(runtime)
    assert list(private_folders([runtime])) == []
    runtime.unlink()
    runtime.write_text("")
    with pytest.raises(EngineError, match="cannot be used: File exists"):
        private_folder(runtime)
    shutil.rmtree(runtime.parent)
    (tmp_path / runtime.name).mkdir(mode=0o700)
    runtime.parent.symlink_to(tmp_path)
    with pytest.raises(EngineError, match="is not a private folder of yours"):
        private_folder(runtime)
    assert list(private_folders([runtime])) == []


def test_nothing_is_private_where_others_can_put_another_folder_in_its_place(runtime: Path) -> None:
    private_folder(runtime)
    base = runtime.parent.parent
    base.chmod(0o777)
    with pytest.raises(EngineError, match=f"others may write to {base}") as error:
        private_folder(runtime)
    assert error.value.hint == f"chmod 700 {base}"
    assert list(private_folders([runtime])) == []
    for mode in (0o1777, 0o775):  # as /tmp is; and with the umask of most desktops
        base.chmod(mode)
        private_folder(runtime)
    if os.geteuid() == 0:
        os.chown(base, 12345, -1)
        with pytest.raises(EngineError, match=f"{base} belongs to another user"):
            private_folder(runtime)
        os.chown(base, 0, -1)
        os.chown(runtime.parent, 12345, -1)
        with pytest.raises(EngineError, match="gptoss is not a private folder of yours"):
            private_folder(runtime)
        assert list(private_folders([runtime])) == []


def test_the_first_that_can_be_used_is_taken(runtime: Path) -> None:
    base = runtime.parent.parent
    (base / "file").touch()
    (base / "key").mkdir()
    (base / "key").chmod(0o700)
    (base / "key/a/b/key").mkdir(parents=True)
    for each in ("key/a", "key/a/b"):
        (base / each).chmod(0o700)
    wrong = [
        Path("a/b/c"),
        Path("/long" * 20, "a/b"),
        Path("/proc/a/b"),
        base / "file/a/b",
        base / "missing/a/b",
        base / "key/a/b",
    ]
    assert usable_folder([*wrong, runtime, runtime / "other"]) == runtime
    assert not (runtime / "other").exists()
    with pytest.raises(EngineError) as error:
        usable_folder(wrong)
    why = "Permission denied" if os.geteuid() else "No such file or directory"
    assert str(error.value) == (
        f"a is no absolute path; {'/long' * 20} is longer than 60 characters, too long for sockets; "
        f"/proc/a cannot be used: {why}; {base}/file is not a folder; "
        f"{base}/missing cannot be used: No such file or directory; "
        f"{base}/key/a/b/key cannot be used: Is a directory"
    )
    assert not (base / "missing").exists()


def test_looking_at_a_folder_makes_nothing(runtime: Path) -> None:
    check_folder(runtime)
    assert list(runtime.parent.parent.iterdir()) == []
    with pytest.raises(EngineError, match="nothing can be made in /proc"):
        check_folder(Path("/proc/a/b"))


def test_all_read_the_same_key_and_nobody_else_can(runtime: Path) -> None:
    private_folder(runtime)
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(read_key(runtime))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    assert [(each.name, stat.S_IMODE(each.stat().st_mode)) for each in runtime.iterdir()] == [("key", 0o600)]
