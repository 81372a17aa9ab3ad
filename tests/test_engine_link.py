"""The private folder of engines' processes, and proving who one is."""

import os
import socket
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gptoss_cli.engine import wire
from gptoss_cli.engine.link import Gone, Link, Place, private_folder, read_key
from gptoss_cli.errors import EngineError


def test_the_folder_is_for_one_user_alone(runtime: Path) -> None:
    for _ in range(2):
        private_folder(runtime)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (runtime.parent, runtime)] == [0o700, 0o700]
    runtime.chmod(0o750)
    with pytest.raises(EngineError, match="is not a private folder of yours") as error:
        private_folder(runtime)
    assert error.value.hint is not None
    assert "--keep-alive 0" in error.value.hint


def test_neither_a_link_nor_a_file_is_taken_for_it(runtime: Path, tmp_path: Path) -> None:
    runtime.parent.mkdir(mode=0o700)
    runtime.symlink_to(tmp_path)
    with pytest.raises(EngineError, match="is not a private folder of yours"):
        private_folder(runtime)
    runtime.unlink()
    runtime.write_text("")
    with pytest.raises(EngineError, match="cannot be used: File exists"):
        private_folder(runtime)


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


def test_a_place_is_for_one_content_of_a_file(runtime: Path, tmp_path: Path) -> None:
    model, link = tmp_path / "m.gguf", tmp_path / "link.gguf"
    model.write_bytes(b"1")
    link.symlink_to(model)
    place = Place.of(runtime, wire.Load(str(model)))
    assert Place.of(runtime, wire.Load(str(link), num_ctx=16, threads=2)) == place
    assert Place.of(runtime, wire.Load(str(model), (str(model),))) != place
    assert len(os.fsencode(place.socket)) < 104
    model.write_bytes(b"12")
    assert Place.of(runtime, wire.Load(str(model))) != place


def test_who_does_not_know_the_key_gets_no_connection() -> None:
    for keys, works in ((b"1" * 32, True), (b"2" * 32, False)):
        ends = [Link(each) for each in socket.socketpair()]
        failures: list[BaseException] = []

        def serve(link: Link = ends[0], failures: list[BaseException] = failures) -> None:
            try:
                link.authenticate(b"1" * 32, serves=True)
                link.send(wire.Taken())
            except Gone as error:
                failures.append(error)
            finally:
                link.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with closing(ends[1]) as client:
            if works:
                client.authenticate(keys, serves=False)
                assert client.receive() == wire.Taken()
            else:
                with pytest.raises(Gone):
                    client.authenticate(keys, serves=False)
            with pytest.raises(Gone):
                client.receive()
        thread.join()
        assert bool(failures) != works
