"""`gptoss pull` as a process: what it prints, how it ends, and that the model answers afterwards."""

import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import TINY, Gptoss, process_environment
from hub_server import HubServer, Repository
from on_terminal import on_terminal
from pulling import FIRST, NAME, split_weights, weights

from gptoss_cli.hub.part import partials

PATIENCE_S = 30
WHOLE = weights(1)


@pytest.fixture
def here(home: Path, server: HubServer) -> dict[str, str]:
    """The environment of a process that uses the test's Hub."""
    return process_environment(home) | {"HF_ENDPOINT": server.endpoint, "HF_TOKEN": "hf_secret"}


@contextmanager
def started(environment: dict[str, str], *arguments: str, **streams: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "gptoss_cli", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=streams.get("stdout", subprocess.PIPE),
        stderr=streams.get("stderr", subprocess.PIPE),
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def hub_cache(home: Path) -> Path:
    return home / "huggingface/hub"


def wait_for_bytes(server: HubServer, count: int) -> None:
    """Until the server has sent so many."""
    until = time.monotonic() + PATIENCE_S
    while server.sent < count:
        assert time.monotonic() < until
        time.sleep(0.005)


def wait_for_text(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    """What stderr brings until it contains `text`."""
    assert process.stderr is not None
    seen = b""
    while text not in seen:
        assert select.select([process.stderr], [], [], PATIENCE_S)[0], seen
        piece = os.read(process.stderr.fileno(), 65536)
        assert piece, seen
        seen += piece
    return seen


def test_a_model_is_pulled_and_answers(gptoss: Gptoss, server: HubServer, home: Path) -> None:
    server.repositories[FIRST] = Repository({NAME: TINY.read_bytes()})
    where = {"HF_ENDPOINT": server.endpoint}
    missing = gptoss("run", "gpt-oss:20b", "hello")
    assert (missing.code, missing.out) == (3, "")
    assert "fetch it with: gptoss pull gpt-oss:20b" in missing.err
    pulled = gptoss("pull", "gpt-oss", **where)
    assert (pulled.code, pulled.out) == (0, "")
    lines = pulled.err.splitlines()
    assert lines[0] == f"gptoss: gpt-oss: 6.0 MB from {FIRST}"
    assert re.fullmatch(rf"{NAME}  6\.0 MB  [\d.]+ [kM]B/s  sha256 is right", lines[-1])
    again = gptoss("pull", "gpt-oss:20b", **where)
    assert (again.code, again.err.splitlines()) == (0, [again.err.strip()])
    assert again.err.startswith("gptoss: gpt-oss:20b is here: /")
    answer = gptoss("run", "gpt-oss:20b", "hello", "--temperature", "0")
    assert (answer.code, answer.out[:6]) == (0, "Hello!")
    (record,) = [json.loads(path.read_text()) for path in (home / "downloads").glob("*.json")]
    assert (record["repository"], record["file"], record["size_bytes"]) == (FIRST, NAME, TINY.stat().st_size)
    assert Path(record["path"]).name == record["hash"]
    assert Path(record["path"]).stat().st_size == record["size_bytes"]


@pytest.mark.soak
def test_a_reference_to_the_hub_is_a_model_like_others(gptoss: Gptoss, server: HubServer, tmp_path: Path) -> None:
    server.repositories["o/r"] = Repository({"m-Q4_K_M.gguf": TINY.read_bytes(), "m-Q8_0.gguf": weights(2)})
    where = {"HF_ENDPOINT": server.endpoint}
    missing = gptoss("run", "hf:o/r:Q4_K_M", "hello")
    assert missing.code == 3
    assert missing.err.splitlines() == [
        "gptoss: hf:o/r:Q4_K_M is not on this machine",
        "  fetch it with: gptoss pull hf:o/r:Q4_K_M",
    ]
    several = gptoss("pull", "hf:o/r", **where)
    assert (several.code, several.err.splitlines()[1]) == (2, "  there is: Q4_K_M, Q8_0")
    assert gptoss("pull", "hf.co/o/r:q4_k_m", "-q", **where) == gptoss("pull", "hf:o/r:m-Q4_K_M.gguf", "-q", **where)
    answer = gptoss("run", "hf:o/r:Q4_K_M", "hello", "--temperature", "0")
    assert (answer.code, answer.out[:6]) == (0, "Hello!")
    listed = gptoss("list").out.splitlines()
    assert listed[0].startswith("hf:o/r:m-Q4_K_M.gguf\t6.0 MB\tjust now\t")
    assert "gpt-oss" in gptoss("show", "https://huggingface.co/o/r/blob/main/m-Q4_K_M.gguf").out
    (tmp_path / "Modelfile").write_text("FROM hf:o/r:Q4_K_M\nPARAMETER temperature 0\n")
    assert gptoss("create", "mine", "-f", "Modelfile").code == 0
    assert gptoss("run", "mine", "hello").out.startswith("Hello!")
    assert "FROM hf:o/r:Q4_K_M" in gptoss("show", "mine", "--modelfile").out
    assert gptoss("pull", "mine", "-q", **where).code == 0


def test_what_cannot_be_pulled(gptoss: Gptoss, server: HubServer) -> None:
    for name, code, told in [
        ("tiny", 2, "tiny is here and comes from no Hub"),
        (str(TINY), 2, f"{TINY} is here and comes from no Hub"),
        ("gpt-oss:7b", 3, "unknown model gpt-oss:7b"),
        ("https://example.com/x.gguf", 2, "is not on the Hugging Face Hub"),
        ("hf:o/none", 3, "the Hub has no repository o/none, or it is private"),
    ]:
        result = gptoss("pull", name, HF_ENDPOINT=server.endpoint)
        assert (result.code, result.out) == (code, ""), name
        assert told in result.err


def test_the_events_for_programs(gptoss: Gptoss, server: HubServer) -> None:
    result = gptoss("pull", "gpt-oss:20b", "hf:o/none", "--json", HF_ENDPOINT=server.endpoint)
    events = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 3
    assert [json.loads(line) for line in result.err.splitlines()] == [{"error": events[-1]["error"]}]
    start, done = events[0], events[-2]
    assert {**start, "place": ""} == {
        "type": "start",
        "name": "gpt-oss:20b",
        "repository": FIRST,
        "revision": server.repositories[FIRST].commit,
        "files": [{"file": NAME, "size_bytes": len(WHOLE)}],
        "size_bytes": len(WHOLE),
        "missing_bytes": len(WHOLE),
        "place": "",
    }
    progress = [event for event in events if event["type"] == "progress"]
    assert progress[-1] == {
        "type": "progress",
        "name": "gpt-oss:20b",
        "file": NAME,
        "stage": "verify",
        "done_bytes": len(WHOLE),
        "total_bytes": len(WHOLE),
    }
    assert set(done) == {"type", "name", "path", "size_bytes", "fetched_bytes"}
    assert (done["type"], Path(done["path"]).read_bytes()) == ("done", WHOLE)
    assert (events[-1]["type"], events[-1]["name"]) == ("error", "hf:o/none")
    assert events[-1]["error"]["code"] == "E_MODEL_NOT_FOUND"


def test_several_names_one_of_which_is_wrong(gptoss: Gptoss, server: HubServer, home: Path) -> None:
    server.repositories["ggml-org/gpt-oss-120b-GGUF"] = Repository({**split_weights(2)})
    result = gptoss("pull", "gpt-oss:20b", "hf:o/none", "gpt-oss:120b", HF_ENDPOINT=server.endpoint)
    assert result.code == 3
    assert len(list(hub_cache(home).glob("models--*/snapshots/*/*.gguf"))) == 3
    assert result.err.count("the Hub has no repository o/none") == 1
    assert [line.split("\t")[0] for line in gptoss("list").out.splitlines()] == ["gpt-oss:20b", "gpt-oss:120b", "tiny"]


def test_quiet_says_nothing_and_what_was_pulled_before_is_one_model(
    gptoss: Gptoss, server: HubServer, home: Path
) -> None:
    result = gptoss("pull", "gpt-oss:20b", "-q", HF_ENDPOINT=server.endpoint)
    assert (result.code, result.out, result.err) == (0, "", "")
    server.repositories[FIRST] = Repository({NAME: weights(2)})
    assert gptoss("pull", "gpt-oss:20b", "-q", HF_ENDPOINT=server.endpoint).code == 0
    assert len(list(hub_cache(home).glob("models--*/blobs/*"))) == 2
    assert [line.split("\t")[0] for line in gptoss("list").out.splitlines()] == ["gpt-oss:20b", "tiny"]


def test_offline_what_is_cached_is_enough(gptoss: Gptoss, server: HubServer) -> None:
    refused = gptoss("pull", "gpt-oss:20b", HF_ENDPOINT=server.endpoint, HF_HUB_OFFLINE="1")
    assert (refused.code, refused.err) == (5, "gptoss: offline, because HF_HUB_OFFLINE is set\n")
    assert not server.seen
    gptoss("pull", "gpt-oss:20b", HF_ENDPOINT=server.endpoint)
    result = gptoss("pull", "gpt-oss:20b", HF_HUB_OFFLINE="1")
    assert result.code == 0
    assert result.err.startswith("gptoss: offline, because HF_HUB_OFFLINE is set; gpt-oss:20b is here already\n")


def test_without_a_network_what_is_cached_is_enough(gptoss: Gptoss, server: HubServer) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = {"HF_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}"}
    refused = gptoss("pull", "gpt-oss:20b", **nowhere)
    assert refused.code == 5
    assert "cannot be reached" in refused.err
    gptoss("pull", "gpt-oss:20b", HF_ENDPOINT=server.endpoint)
    assert gptoss("pull", "gpt-oss:20b", **nowhere).code == 0


def test_the_token_and_the_cache_of_the_environment(gptoss: Gptoss, server: HubServer, tmp_path: Path) -> None:
    server.repositories["o/private"] = Repository({NAME: WHOLE}, private_for="hf_mine")
    where = {"HF_ENDPOINT": server.endpoint, "HF_HUB_CACHE": str(tmp_path / "elsewhere")}
    assert gptoss("pull", "hf:o/private", HF_TOKEN="hf_mine", **where).code == 0
    assert (tmp_path / "elsewhere/models--o--private/refs/main").is_file()
    assert gptoss("show", "hf:o/private", "--json", **where).code == 0
    assert gptoss("show", "hf:o/private", "--json").code == 3
    assert {each.headers.get("authorization") for each in server.seen if each.where == "cdn"} == {None}


@pytest.mark.soak
def test_a_proxy_is_used(gptoss: Gptoss, server: HubServer) -> None:
    """A forward proxy, which alone knows where hub.invalid is."""
    asked: list[str] = []
    with forward_proxy(server, asked) as port:
        proxy = f"http://127.0.0.1:{port}"
        result = gptoss("pull", "gpt-oss:20b", HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=proxy, http_proxy=proxy)
    assert result.code == 0, result.err
    assert any(line.startswith("GET http://hub.invalid/api/models/") for line in asked)
    assert any(line.startswith(f"GET {server.cdn}/") for line in asked)


@contextmanager
def forward_proxy(server: HubServer, asked: list[str]) -> Iterator[int]:
    """Passes one request per connection on, of the absolute form of RFC 9112, 3.2.2."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=forward, args=(client,), daemon=True).start()

    def forward(client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            first, rest = head.split(b"\r\n", 1)
            asked.append(first.decode())
            method, url, version = first.decode().split(" ")
            target = server.cdn if url.startswith(server.cdn) else server.endpoint
            path = "/" + url.split("/", 3)[3]
            host, port = target.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as behind:
                behind.sendall(f"{method} {path} {version}\r\nConnection: close\r\n".encode() + rest)
                while piece := behind.recv(65536):
                    client.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.soak)]
)
def test_a_signal_stops_it_and_it_says_how_to_go_on(
    number: int, code: int, server: HubServer, here: dict[str, str], home: Path, gptoss: Gptoss
) -> None:
    server.repositories[FIRST] = Repository({NAME: weights(7, 20_000_000)})
    server.troubles.bytes_per_s = 20e6
    with started(here, "pull", "gpt-oss:20b") as process:
        wait_for_bytes(server, 12_000_000)
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert re.search(r"gptoss: stopped; [\d.]+ MB kept: gptoss pull gpt-oss:20b goes on from there\n$", err.decode())
    (part,) = partials(hub_cache(home))
    assert part.kept_bytes > 0
    server.troubles.bytes_per_s = 0
    result = gptoss("pull", "gpt-oss:20b", HF_ENDPOINT=server.endpoint)
    assert result.code == 0
    assert "of it here already" in result.err.splitlines()[0]


@pytest.mark.soak
def test_it_stops_at_once_when_the_server_is_silent(server: HubServer, here: dict[str, str]) -> None:
    server.troubles.stall_after = 65536
    with started(here, "pull", "gpt-oss:20b") as process:
        wait_for_bytes(server, 65536)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=5)
    assert process.returncode == 130


@pytest.mark.soak
def test_two_pulls_of_one_file_fetch_it_once(server: HubServer, here: dict[str, str]) -> None:
    server.troubles.bytes_per_s = 1e5
    with started(here, "pull", "gpt-oss:20b") as first:
        wait_for_bytes(server, 65536)
        with started(here, "pull", "gpt-oss:20b") as second:
            told = wait_for_text(second, b"waiting for it\n")
            server.troubles.bytes_per_s = 0.0
            assert [process.wait(PATIENCE_S) for process in (first, second)] == [0, 0]
            told += second.communicate()[1]
    assert f"gptoss: another program downloads {NAME}; waiting for it" in told.decode()
    assert "gptoss: gpt-oss:20b is here: " in told.decode()
    ranges = [each.range for each in server.downloads() if each.range]
    assert sum(end - start for start, end in ranges) == len(WHOLE)


@pytest.mark.soak
def test_a_disk_that_is_full_in_the_middle(server: HubServer, here: dict[str, str], gptoss: Gptoss, home: Path) -> None:
    """A limit on the size of files is as good as a full disk: a write fails in the middle."""
    server.repositories[FIRST] = Repository({NAME: weights(7, 20_000_000)})
    program = shlex.join([sys.executable, "-m", "gptoss_cli", "pull", "gpt-oss:20b"])
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 12000; {program}"], env=here, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (5, "")
    assert "the disk is full" in done.stderr
    assert "what was fetched is kept" in done.stderr
    (part,) = partials(hub_cache(home))
    assert part.kept_bytes < 12_500_000  # none, where the parts beyond the limit fail first
    before = len(server.seen)
    assert gptoss("pull", "gpt-oss:20b", HF_ENDPOINT=server.endpoint).code == 0
    ranges = [each.range for each in server.seen[before:] if each.where == "cdn" and each.range]
    assert sum(end - start for start, end in ranges) == part.size_bytes - part.kept_bytes


@pytest.mark.soak
def test_on_a_terminal_there_is_one_line(server: HubServer, here: dict[str, str]) -> None:
    server.troubles.bytes_per_s = 6e5
    seen = on_terminal(here | {"COLUMNS": "40", "NO_COLOR": "1"}, "pull", "gpt-oss:20b")[1]
    lines = seen.replace("\r\n", "\n").split("\n")
    assert lines[:2] == ["gptoss: gpt-oss:20b: 600 kB from", f"  {FIRST}"]  # broken between words
    drawn = [line for line in re.split(r"\r\x1b\[K", "\n".join(lines[2:])) if line]
    assert len(drawn) > 2
    assert all(len(line) < 40 for line in drawn)
    assert re.search(r"\d+%  [\d.]+/600 kB", drawn[1])
    assert "\x1b" not in "".join(drawn)
    assert drawn[-1].endswith("\n")


@pytest.mark.soak
def test_a_dumb_terminal_gets_plain_lines(server: HubServer, here: dict[str, str]) -> None:
    assert "\x1b" not in on_terminal(here | {"TERM": "dumb"}, "pull", "gpt-oss:20b")[1]


def test_names_with_escape_sequences_do_not_reach_a_terminal(server: HubServer, here: dict[str, str]) -> None:
    server.repositories[FIRST] = Repository({"a\x1b[31m-mxfp4.gguf": WHOLE})
    assert "\x1b[31m" not in on_terminal(here, "pull", "gpt-oss:20b")[1]
