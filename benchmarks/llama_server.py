"""llama-server from the sources of the installed llama-cpp-python: compile it, start it, ask it for token ids."""

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.llama_sources import compile_program, sources

# the targets server-context, llama-server-impl and llama-server of tools/server/CMakeLists.txt
NAMES = "main server server-http server-models server-context server-chat server-common server-task server-queue"
FILES = [f"tools/server/{name}.cpp" for name in f"{NAMES} server-stream server-tools server-mcp server-schema".split()]

# what scripts/ui-assets.cmake generates when there is no web interface
UI = """\
#pragma once
#include <array>
#include <string>
struct llama_ui_asset { std::string name; const unsigned char * data; std::size_t size; std::string etag, type; };
inline const llama_ui_asset * llama_ui_find_asset(const std::string &) { return nullptr; }
inline bool llama_ui_use_gzip() { return false; }
inline const std::array<llama_ui_asset, 0> & llama_ui_get_assets() {
    static const std::array<llama_ui_asset, 0> none{};
    return none;
}
"""

# How the server finds the beginnings of messages, where it makes checkpoints: common/parsers/gpt-oss.cpp has these for
# /v1/chat/completions, and /completion takes them from the request.
DELIMITERS = [
    {"role": role, "delimiter": f"<|start|>{name}"}
    for role, name in (
        ("assistant", "assistant"),
        ("user", "user"),
        ("system", "developer"),
        ("system", "system"),
        ("tool", "functions"),
    )
]
START_WITHIN_S, ANSWER_WITHIN_S = 60, 300
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("LLAMA_")}


def build(out: Path, unpacked: Path | None) -> None:
    """llama-server at `out`, without its web interface and without TLS."""
    with sources(unpacked) as llama, tempfile.TemporaryDirectory() as generated:
        (Path(generated) / "ui.h").write_text(UI)
        # libllama-common exports a cpp-httplib with TLS, whose classes have other members: ours gets another name
        compile_program(
            out,
            llama,
            [*FILES, "vendor/cpp-httplib/httplib.cpp"],
            include=[Path(generated), llama / "tools/server"],
            flags=["-Dhttplib=httplib_without_tls"],
        )


@dataclass(frozen=True)
class Completion:
    """What one request took. evaluated + reused = ids of the prompt; tokens: the reply's ids."""

    evaluated: int
    reused: int
    tokens: tuple[int, ...]


class Server:
    """One that runs, at a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    def complete(self, prompt: Sequence[int], count: int) -> Completion:
        """The most probable `count` ids after `prompt`, fewer when the reply ends before."""
        asked = {"prompt": list(prompt), "n_predict": count, "temperature": 0, "cache_prompt": True}
        status, body = self._send("POST", "/completion", {**asked, "return_tokens": True, **WITH_DELIMITERS})
        if status != 200:
            raise RuntimeError(f"llama-server answered {status}: {body}")
        timings = body["timings"]
        completion = Completion(timings["prompt_n"], timings["cache_n"], tuple(body["tokens"]))
        assert completion.evaluated + completion.reused == body["tokens_evaluated"] == len(prompt), body
        return completion

    def is_ready(self) -> bool:
        try:
            return self._send("GET", "/health")[0] == 200
        except OSError:
            return False

    def _send(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()


WITH_DELIMITERS = {"message_delimiters": DELIMITERS}


@contextmanager
def running(program: Path, model: Path, *options: str) -> Iterator[Server]:
    """A server of `model`, with its own defaults but for `options`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(program.resolve()), "--model", str(model), "--host", "127.0.0.1", "--port", str(port), *options]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)
        try:
            server, limit = Server(port), time.monotonic() + START_WITHIN_S
            while not server.is_ready():
                if process.poll() is not None or time.monotonic() > limit:
                    log.seek(0)
                    raise RuntimeError(f"llama-server did not start:\n{log.read()[-2000:]}")
                time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
