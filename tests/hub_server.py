"""A small Hugging Face Hub on this machine: a real HTTP server with the routes that huggingface_hub asks, and troubles.

Two listeners, as the Hub and its CDN are two hosts: one answers questions and redirects, the other sends bytes.
`python hub_server.py FILE [MB_PER_S]` serves one file as owner/model and prints the endpoint.
"""

import hashlib
import json
import mmap
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

PIECE = 64 * 1024
SMALL = 1000  # bytes; what is smaller is kept by git, not by LFS
Content = bytes | mmap.mmap


@dataclass
class Repository:
    """The files of a repository and how it is guarded. A change of `files` is a new commit."""

    files: dict[str, Content]
    gated: bool = False
    private_for: str | None = None  # the token that may see it

    @property
    def commit(self) -> str:
        told = "".join(f"{path} {oid(content)}\n" for path, content in sorted(self.files.items()))
        return hashlib.sha1(told.encode()).hexdigest()


@dataclass
class Troubles:
    """What goes wrong, until it is set back. Counts go down as they are used."""

    bytes_per_s: float = 0.0  # all connections together; 0 is no limit
    cut_after: int | None = None  # bytes of each answer
    cuts: int = 1_000_000
    stall_after: int | None = None
    stalls: int = 1_000_000
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # for the CDN's next answers
    hub_statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    no_ranges: bool = False
    no_redirects: bool = False
    listed_size: int | None = None
    total_size: int | None = None  # in Content-Range
    corrupt: bool = False
    expires_after: int | None = None  # answers per signed address
    xet: bool = False


@dataclass(frozen=True)
class Seen:
    """A request: by which listener, and which bytes of the file it asked for."""

    where: str
    method: str
    path: str
    headers: dict[str, str]
    range: tuple[int, int] | None


@dataclass
class HubServer:
    """The server; `endpoint` is what HF_ENDPOINT should say."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    prefix: str = ""
    troubles: Troubles = field(default_factory=Troubles)
    seen: list[Seen] = field(default_factory=list)
    sent: int = 0  # bytes of files

    def __post_init__(self) -> None:
        self._hub, self._cdn = (_Listener(self, where) for where in ("hub", "cdn"))
        self.endpoint = f"http://127.0.0.1:{self._hub.server_port}{self.prefix}"
        self.cdn = f"http://127.0.0.1:{self._cdn.server_port}"
        self.ending = threading.Event()
        self._lock = threading.Lock()
        self._next_at = 0.0
        self._signed: dict[str, int] = {}

    @contextmanager
    def running(self) -> Iterator["HubServer"]:
        threads = [threading.Thread(target=each.serve_forever, args=(0.01,)) for each in (self._hub, self._cdn)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.ending.set()
            for each in (self._hub, self._cdn):
                each.shutdown()
                each.server_close()
            for thread in threads:
                thread.join()

    def downloads(self) -> list[Seen]:
        return [each for each in self.seen if each.where == "cdn" and each.method == "GET"]

    def sign(self) -> str:
        with self._lock:
            name = f"s{len(self._signed)}"
            self._signed[name] = self.troubles.expires_after if self.troubles.expires_after is not None else 1 << 30
            return name

    def is_signed(self, name: str) -> bool:
        with self._lock:
            self._signed[name] = self._signed.get(name, 0) - 1
            return self._signed[name] >= 0

    def take(self, name: str) -> bool:
        """Whether a trouble that is counted is still to come."""
        with self._lock:
            left = getattr(self.troubles, name)
            setattr(self.troubles, name, max(0, left - 1))
            return bool(left > 0)

    def wait_for_turn(self, count: int) -> None:
        """Hold the rate: bytes of all connections leave one after the other."""
        if self.troubles.bytes_per_s:
            with self._lock:
                now = time.monotonic()
                at = max(self._next_at, now - 0.01)
                self._next_at = at + count / self.troubles.bytes_per_s
            if at > now:
                self.ending.wait(at - now)
        with self._lock:
            self.sent += count


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub: HubServer, where: str) -> None:
        self.hub = hub
        self.where = where
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is gone is part of every test here."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _answer(self) -> None:
        hub = self.server.hub
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.seen.append(Seen(self.server.where, self.command, self.path, headers, _range(headers.get("range"))))
        statuses = hub.troubles.statuses if self.server.where == "cdn" else hub.troubles.hub_statuses
        if statuses:
            self._send(*statuses.pop(0))
        elif self.server.where == "cdn":
            self._cdn()
        else:
            self._hub(unquote(urlsplit(self.path).path).removeprefix(hub.prefix).strip("/").split("/"))

    def _hub(self, parts: list[str]) -> None:
        api = parts[:2] == ["api", "models"]
        names = parts[2:] if api else parts
        repository = self.server.hub.repositories.get("/".join(names[:2]))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository is None or (repository.private_for and token != repository.private_for):
            self._send(401, {"X-Error-Code": "RepoNotFound"})
        elif api and names[2:3] == ["tree"]:
            self._json([_tree_entry(path, content) for path, content in repository.files.items()])
        elif api:
            self._info("/".join(names[:2]), repository, names[3] if len(names) > 3 else "main")
        elif names[2:3] == ["resolve"]:
            self._resolve(repository, "/".join(names[:2]), names[3], "/".join(names[4:]))
        else:
            self._send(404)

    def _info(self, name: str, repository: Repository, revision: str) -> None:
        if revision not in ("main", repository.commit):
            return self._send(404, {"X-Error-Code": "RevisionNotFound"})
        siblings = []
        for path, content in repository.files.items():
            entry = {"rfilename": path, "size": self._size(content), "blobId": oid(content)}
            if len(content) >= SMALL:
                entry["lfs"] = {"sha256": sha256(content), "size": self._size(content), "pointerSize": 130}
            siblings.append(entry)
        return self._json({"id": name, "sha": repository.commit, "private": False, "siblings": siblings})

    def _size(self, content: Content) -> int:
        listed = self.server.hub.troubles.listed_size
        return len(content) if listed is None else listed

    def _resolve(self, repository: Repository, name: str, revision: str, path: str) -> None:
        hub = self.server.hub
        if repository.gated and "Authorization" not in self.headers:
            return self._send(401, {"X-Error-Code": "GatedRepo"})
        if revision not in ("main", repository.commit):
            return self._send(404, {"X-Error-Code": "RevisionNotFound"})
        content = repository.files.get(path)
        if content is None:
            return self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.commit})
        etag = sha256(content) if len(content) >= SMALL else oid(content)
        headers = {"X-Repo-Commit": repository.commit, "X-Linked-Size": str(self._size(content))}
        if hub.troubles.no_redirects or len(content) < SMALL:
            return self._bytes(content, etag, headers)
        headers["X-Linked-Etag"] = f'"{etag}"'
        if hub.troubles.xet:
            headers["X-Xet-Hash"] = "0" * 64
            headers["Link"] = f'<{hub.endpoint}/api/models/{name}/xet-read-token/main>; rel="xet-auth"'
        return self._send(302, {**headers, "Location": f"{hub.cdn}/{name}/{quote(path)}?signed={hub.sign()}"})

    def _cdn(self) -> None:
        hub = self.server.hub
        parts = urlsplit(self.path)
        owner, model, *path = unquote(parts.path).strip("/").split("/")
        content = hub.repositories[f"{owner}/{model}"].files.get("/".join(path))
        if not hub.is_signed(parse_qs(parts.query).get("signed", [""])[0]):
            self._send(403)
        elif content is None:
            self._send(404)
        else:
            self._bytes(content, hashlib.md5(oid(content).encode()).hexdigest(), {})

    def _bytes(self, content: Content, etag: str, headers: dict[str, str]) -> None:
        troubles = self.server.hub.troubles
        start, end = _range(self.headers.get("Range")) or (0, len(content))
        end = min(end, len(content))
        headers = {**headers, "ETag": f'"{etag}"'}
        if troubles.no_ranges or "Range" not in self.headers:
            start, end, status = 0, len(content), 200
        elif start >= end:
            return self._send(416)
        else:
            status = 206
            total = len(content) if troubles.total_size is None else troubles.total_size
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(end - start)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._stream(content, start, end)
        return None

    def _stream(self, content: Content, start: int, end: int) -> None:
        """The bytes, unless they are cut or stop coming."""
        hub, troubles = self.server.hub, self.server.hub.troubles
        cut = troubles.cut_after if troubles.cut_after is not None and hub.take("cuts") else None
        stall = troubles.stall_after if troubles.stall_after is not None and hub.take("stalls") else None
        stop = min(end, start + cut) if cut is not None else end
        view = memoryview(content)
        try:
            for offset in range(start, stop, PIECE):
                if stall is not None and offset - start >= stall:
                    hub.ending.wait(30)
                    break
                piece = view[offset : min(offset + PIECE, stop)]
                hub.wait_for_turn(len(piece))
                self.wfile.write(bytes(byte ^ 1 for byte in piece) if troubles.corrupt and offset == 0 else piece)
        finally:
            view.release()
        if stop < end or stall is not None:
            self.close_connection = True

    def _json(self, told: object) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def _send(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _tree_entry(path: str, content: Content) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": oid(content)}
    if len(content) >= SMALL:
        entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 130}
    return entry


_hashes: dict[tuple[str, int], tuple[Content, str]] = {}


def sha256(content: Content) -> str:
    return _hash("sha256", content)


def oid(content: Content) -> str:
    """Git's name for it."""
    return _hash("sha1", content)


def _hash(kind: str, content: Content) -> str:
    known = _hashes.get((kind, id(content)))
    if known is None:
        digest = hashlib.new(kind, b"blob %d\0" % len(content) if kind == "sha1" else b"")
        digest.update(content)
        known = _hashes[kind, id(content)] = (content, digest.hexdigest())
    return known[1]


def _range(header: str | None) -> tuple[int, int] | None:
    if not header:
        return None
    start, _, last = header.removeprefix("bytes=").partition("-")
    return int(start), int(last) + 1 if last else 1 << 62


def main() -> None:
    path = Path(sys.argv[1])
    rate = float(sys.argv[2]) * 1e6 if len(sys.argv) > 2 else 0.0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        server = HubServer({"owner/model": Repository({path.name: content})}, troubles=Troubles(bytes_per_s=rate))
        sha256(content)
        with server.running():
            print(server.endpoint, flush=True)
            sys.stdin.read()  # until whoever started it closes the pipe


if __name__ == "__main__":
    main()
