"""Where an engine's process is found, and proving who one is."""

import os
import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gptoss_cli.engine import wire
from gptoss_cli.engine.link import Gone, Link, Owner, Place


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


def test_who_holds_a_place_is_known_while_it_lives(runtime: Path) -> None:
    runtime.mkdir(parents=True)
    place, owner = Place(runtime, "m"), Owner(12, "模型\n", "/m.gguf")
    assert place.owner() is None
    with place.locked() as lock:
        assert lock is not None
        assert place.owner() is None  # not signed yet
        place.sign(lock, Owner(1, "a longer name " * 20, "/m.gguf"))
        place.sign(lock, owner)
        assert place.owner() == owner
        for other in (b"12", b"{}", b"[1]", b""):
            os.ftruncate(lock, 0)
            os.pwrite(lock, other, 0)
            assert place.owner() is None
    place.lock.write_text("{}")
    assert place.owner() is None


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
