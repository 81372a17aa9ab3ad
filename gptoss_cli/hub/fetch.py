"""Ranges of one file over HTTP: redirects, addresses that expire, servers that refuse. The only door to httpx2.

The token goes to the address it belongs to and to no other host.
"""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from gptoss_cli.errors import NetworkError
from gptoss_cli.hub.api import TRANSIENT, Address, HubFile, NotGiven, retry_after_s, session

if TYPE_CHECKING:
    import httpx2

CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
REDIRECTS = 10
NO_HEAD = (405, 501)  # a server that knows GET alone
TOKEN_HEADERS = ("authorization", "cookie")


class Again(Exception):
    """It did not work now and may work later. wait_s: what the server asks for, if it does."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Changed(Exception):
    """The server has another file there than the one that was listed."""


@dataclass(frozen=True)
class Body:
    """What a server sends: the range that was asked for, or, when it knows no ranges, the whole file."""

    whole: bool
    pieces: Iterator[bytes]


class Fetcher:
    """Fetches ranges of `file`; any number of threads may do so at once."""

    def __init__(self, file: HubFile, address: Address, timeout_s: float) -> None:
        self._file = file
        self._start = address
        self._lock = threading.RLock()
        self._found: str | None = None  # where the redirects ended
        self._etags: dict[str, str] = {}  # by host
        self._open: set[httpx2.Response] = set()
        self._timeout_s = timeout_s
        self._client = session()

    @contextmanager
    def open(self, start: int, end: int) -> Iterator[Body]:
        """The bytes from `start` to before `end`. Raises Again, Changed, NotGiven and NetworkError, the pieces too."""
        import httpx2

        try:
            url = self._address()
            headers = {**self._headers(url), "Range": f"bytes={start}-{end - 1}"}
            with self._client.stream("GET", url, headers=headers, **self._how()) as response:
                whole = self._checked(response, url, start)
                self._open.add(response)
                try:
                    yield Body(whole, response.iter_raw())
                finally:
                    self._open.discard(response)
        except httpx2.TimeoutException as error:
            raise Again("the server sends nothing any more") from error
        except httpx2.TransportError as error:
            raise Again(str(error) or type(error).__name__) from error
        except httpx2.InvalidURL as error:
            raise NetworkError(f"{self._file.path}: the server redirects to no address: {error}") from error

    def close(self) -> None:
        """End all that is going on, in whichever thread."""
        for response in list(self._open):
            stream = response.extensions.get("network_stream")
            connection = stream.get_extra_info("socket") if stream is not None else None
            if connection is not None:
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)  # wakes the thread that waits for bytes

    def _how(self) -> dict[str, Any]:
        return {"timeout": self._timeout_s, "follow_redirects": False}  # which go to other hosts, too

    def _headers(self, url: str) -> dict[str, str]:
        same = _origin(url) == _origin(self._start.url)
        given = {k: v for k, v in self._start.headers.items() if same or k.lower() not in TOKEN_HEADERS}
        return {**given, "Accept-Encoding": "identity"}  # or the ranges would be of something else

    def _address(self) -> str:
        """Where the bytes are: the start, or what it redirects to; asked once, and anew after `_forget`."""
        with self._lock:
            if self._found is None:
                self._found = self._resolved()
            return self._found

    def _resolved(self) -> str:
        url = self._start.url
        for _ in range(REDIRECTS):
            response = self._client.request("HEAD", url, headers=self._headers(url), **self._how())
            if _origin(url) == _origin(self._start.url):
                self._check_listed(response)
            if not response.has_redirect_location:
                if response.status_code >= 400 and response.status_code not in NO_HEAD:
                    self._refuse(response, url)
                return url
            target = urljoin(url, response.headers["location"])
            if _origin(target) != _origin(self._start.url):
                return target  # signed for GET, perhaps for GET alone
            url = target
        raise NetworkError(f"{self._file.path}: the server redirects without end")

    def _check_listed(self, response: "httpx2.Response") -> None:
        """Whether the Hub still means the same content: its header for it, else the file's own ETag."""
        headers = response.headers
        size = headers.get("x-linked-size")
        etag = headers.get("x-linked-etag") or (headers.get("etag") if response.status_code == 200 else None)
        if size is not None and size != str(self._file.size_bytes):
            raise Changed(f"{self._file.path} has {size} bytes now, not {self._file.size_bytes}")
        if etag is not None and _bare(etag) != self._file.etag:
            raise Changed(f"{self._file.path} has another ETag now")

    def _checked(self, response: "httpx2.Response", url: str, start: int) -> bool:
        """Whether `response` brings the whole file and not the range from `start`."""
        status = response.status_code
        if status == 206:
            self._check_range(response, start)
        elif status == 200:
            length = response.headers.get("content-length")
            if length is not None and length != str(self._file.size_bytes):
                raise Changed(f"the server has {length} bytes of {self._file.path}, not {self._file.size_bytes}")
        else:
            self._refuse(response, url)
            raise AssertionError("refused")
        host, etag = urlsplit(url).netloc, response.headers.get("etag", "")
        if self._etags.setdefault(host, etag) != etag:
            raise Changed(f"{self._file.path} has another ETag now")
        return status == 200

    def _check_range(self, response: "httpx2.Response", start: int) -> None:
        found = CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if found is None or int(found[1]) != start:
            raise Again(f"the server sends another range than bytes {start}-")
        if found[3] not in ("*", str(self._file.size_bytes)):
            raise Changed(f"the server has {found[3]} bytes of {self._file.path}, not {self._file.size_bytes}")

    def _refuse(self, response: "httpx2.Response", url: str) -> None:
        """Raise what a status that brings no bytes means."""
        status, name = response.status_code, self._file.path
        at_the_hub = _origin(url) == _origin(self._start.url)
        if response.has_redirect_location:
            with self._lock:
                self._found = urljoin(url, response.headers["location"])
            raise Again("moved", 0.0)
        if status in TRANSIENT:
            self._forget(url)
            raise Again(f"HTTP {status}", retry_after_s(response.headers))
        if status == 416 or (status in (404, 410) and at_the_hub):
            raise Changed(f"{name} is not there any more (HTTP {status})")
        if not at_the_hub:  # a signed address that has expired
            self._forget(url)
            raise Again(f"HTTP {status} from {urlsplit(url).hostname}")
        if status in (401, 403):
            page = f"https://huggingface.co/{self._file.repository}"
            raise NotGiven(
                f"the Hub does not give {name} of {self._file.repository} (HTTP {status})",
                hint=f"accept its terms at {page} and set HF_TOKEN, or: hf auth login",
            )
        raise NetworkError(f"{name}: the server answers HTTP {status}")

    def _forget(self, url: str) -> None:
        with self._lock:
            if self._found == url:
                self._found = None


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')
