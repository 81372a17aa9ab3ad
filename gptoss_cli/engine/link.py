"""A connection to an engine's process, and the place where it is found. Starts none."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gptoss_cli.engine import wire
from gptoss_cli.engine.private import read_key
from gptoss_cli.errors import EngineError

if TYPE_CHECKING:
    import socket
    from multiprocessing.connection import Connection

ANSWER_WITHIN_S = 5.0  # a process that is well answers within milliseconds, also while it computes


class Gone(Exception):
    """The other side has ended, or there never was one."""


class Silent(Exception):
    """The other side is there and does not answer."""


class Link:
    """One side of a connection. Any thread may send; one receives."""

    def __init__(self, end: "socket.socket") -> None:
        """Takes the connected socket over."""
        from multiprocessing.connection import Connection  # 20 ms: a command without a model does without

        self._connection: Connection[bytes, bytes] = Connection(end.detach())
        self._sending = threading.Lock()

    def authenticate(self, key: bytes, *, serves: bool) -> None:
        """Both sides prove that they know the key. Raises Gone, Silent."""
        from multiprocessing.connection import answer_challenge, deliver_challenge

        steps = (deliver_challenge, answer_challenge) if serves else (answer_challenge, deliver_challenge)
        bounded = _Bounded(self._connection)
        try:
            for step in steps:
                step(bounded, key)  # type: ignore[arg-type]  # it uses these two methods only
        except (OSError, EOFError, AssertionError, ValueError) as error:
            raise Gone from error
        except Exception as error:  # AuthenticationError is an Exception of multiprocessing's own
            if isinstance(error, Silent):
                raise
            raise Gone from error

    def send(self, said: wire.Said) -> None:
        """Raises Gone."""
        data = wire.encode(said)
        try:
            with self._sending:
                self._connection.send_bytes(data)
        except OSError as error:
            raise Gone from error

    def receive(self, within_s: float | None = None) -> wire.Said:
        """The next message. Raises Gone; Silent after within_s seconds; EngineError for what is no message."""
        try:
            if within_s is not None and not self._connection.poll(within_s):
                raise Silent
            return wire.decode(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise Gone from error

    def has_message(self, within_s: float) -> bool:
        """Whether `receive` would return, or raise, at once; waits so long for it."""
        try:
            return self._connection.poll(within_s)
        except OSError:
            return True

    def close(self) -> None:
        with self._sending, suppress(OSError):
            self._connection.close()


class _Bounded:
    """A connection that is not waited for longer than ANSWER_WITHIN_S."""

    def __init__(self, connection: "Connection[bytes, bytes]") -> None:
        self._connection = connection

    def send_bytes(self, data: bytes) -> None:
        self._connection.send_bytes(data)

    def recv_bytes(self, most: int) -> bytes:
        if not self._connection.poll(ANSWER_WITHIN_S):
            raise Silent
        return self._connection.recv_bytes(most)


@dataclass(frozen=True)
class Owner:
    """A process that holds a place. name: what whoever started it called the model; model: the file."""

    pid: int
    name: str
    model: str


@dataclass(frozen=True)
class Place:
    """Where the process for one model is found: socket, log and lock in a private folder.

    The process holds the lock as long as it lives and writes there who it is: whoever cannot get it knows whom to end.
    """

    folder: Path
    name: str

    @classmethod
    def of(cls, folder: Path, load: wire.Load) -> "Place":
        """The same for the same files. Short: the path of a socket ends at 108 characters, on a Mac at 104."""
        told = repr([_identity(each) for each in (load.model, *load.adapters)])
        return cls(folder, hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:12])

    @property
    def socket(self) -> Path:
        return self.folder / f"{self.name}.sock"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.name}.lock"

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[int | None]:
        """The lock file's descriptor with the lock held, or None when another process holds it.

        shared: beside others who have it shared.
        """
        import fcntl  # not on Windows, where engines run in the process that uses them

        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield descriptor
        finally:
            os.close(descriptor)

    def sign(self, lock: int, owner: Owner) -> None:
        """Say in the file, whose `lock` is held, who holds it."""
        os.ftruncate(lock, 0)
        os.pwrite(lock, wire.as_json(owner).encode(), 0)

    def owner(self) -> Owner | None:
        """The process that lives here; None when there is none. It need not answer for this."""
        if not self.lock.exists():
            return None
        with self.locked(shared=True) as free:
            if free is not None:
                return None
            text = self.lock.read_text()
        try:
            told = json.loads(text)
            return Owner(int(told["pid"]), str(told["name"]), str(told["model"]))
        except (ValueError, TypeError, KeyError):  # it is about to be written
            return None

    def connect(self) -> Link:
        """A connection that has proved itself. Raises Gone, Silent."""
        import socket  # 15 ms; multiprocessing.connection needs it, too

        key = read_key(self.folder)
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(ANSWER_WITHIN_S)
            try:
                end.connect(str(self.socket))
            except TimeoutError as error:  # so many wait that the system takes no more
                raise Silent from error
            except OSError as error:
                raise Gone from error
            end.settimeout(None)
            link = Link(end)
        try:
            link.authenticate(key, serves=False)
        except BaseException:
            link.close()
            raise
        return link

    def greets(self) -> bool:
        """Whether the process takes connections, as one does however busy its engine is; one that is gone counts, too.

        Takes up to ANSWER_WITHIN_S for each step of it.
        """
        try:
            link = self.connect()
        except Gone:
            return True
        except Silent:
            return False
        try:
            link.receive(ANSWER_WITHIN_S)
        except Silent:
            return False
        except (Gone, EngineError):  # or another protocol
            return True
        finally:
            link.close()
        return True

    def last_lines(self, count: int = 3) -> str:
        """What the process wrote last, on one line."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "; ".join([line.strip() for line in lines if line.strip()][-count:])


def places(folder: Path) -> list[Place]:
    """Where processes are, or were, of which the sockets are there."""
    return [Place(folder, path.stem) for path in sorted(folder.glob("*.sock"))]


def _identity(path: str) -> tuple[str, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return path, 0, 0
    return os.path.realpath(path), found.st_size, found.st_mtime_ns
