"""The file of the saved sessions: SQLite in WAL mode, made when it is first written to, readable by its user only."""

import errno
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from gptoss_cli.errors import GptossError, NetworkError

VERSION = 1  # PRAGMA user_version
BUSY_S = 10.0  # a writer holds the file for milliseconds
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

SCHEMA = """
CREATE TABLE session (
  id TEXT PRIMARY KEY, name TEXT, model TEXT NOT NULL, settings TEXT NOT NULL,
  created TEXT NOT NULL, changed TEXT NOT NULL
) STRICT;
CREATE TABLE message (
  session TEXT NOT NULL REFERENCES session(id) ON DELETE CASCADE, turn INTEGER NOT NULL, place INTEGER NOT NULL,
  role TEXT NOT NULL, channel TEXT, name TEXT, recipient TEXT, content_type TEXT,
  text TEXT NOT NULL, tokens BLOB NOT NULL, ended TEXT, time TEXT NOT NULL, PRIMARY KEY (session, turn, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_changed ON session(changed);
"""


class Database:
    """The file at `path`. For one thread. Within its contexts SQLite's errors are raised as GptossErrors."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._can_write = True

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Where to read from; a file that is not there is empty, and is not made."""
        with self._told():
            if self._connection is None and not self._path.is_file():
                with _empty() as nothing:
                    yield nothing
            else:
                yield self._opened_to_read()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing when something is raised."""
        with self._told():
            if not self._can_write:  # it may be possible by now
                self.close()
            database = self._opened()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.commit()  # that fails on a full disk, too
            except BaseException:
                database.rollback()
                raise

    def overwrite_journal(self) -> None:
        """Empty the journal beside the file, which has what was removed, too; one who reads just now keeps it."""
        with self._told():
            self._opened().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection, self._can_write = None, True

    def _opened_to_read(self) -> sqlite3.Connection:
        """The file also where nothing can be written: not even the files that SQLite needs beside it."""
        try:
            return self._opened()
        except (sqlite3.OperationalError, OSError):
            address = self._path.absolute().as_uri()
            for mode in ("mode=ro", "immutable=1"):  # sqlite.org/wal.html, "Read-Only Databases"
                with suppress(sqlite3.OperationalError):
                    self._connection = _connected_to_read(f"{address}?{mode}")
                    self._can_write = False
                    return self._connection
            raise

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make_private(self._path)
            self._connection = _connected(str(self._path))
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._failure(error) from error
        except (sqlite3.DatabaseError, ValueError, struct.error) as error:  # the latter two: rows that nobody wrote
            hint = "move it away to start anew; gptoss history path says where it is"
            raise GptossError(f"{self._path} is damaged: {error}", hint=hint) from error
        except OSError as error:
            kind = NetworkError if error.errno in DISK_FULL else GptossError
            raise kind(f"{self._path} cannot be written: {error.strerror}") from error

    def _failure(self, error: sqlite3.OperationalError) -> GptossError:
        match getattr(error, "sqlite_errorname", None):  # Python's own have none
            case "SQLITE_FULL":
                return NetworkError(f"{self._path} cannot be written: the disk is full")
            case "SQLITE_BUSY":
                return GptossError(f"another gptoss has kept {self._path} for {BUSY_S:.0f} s", hint="try again")
            case "SQLITE_READONLY" | "SQLITE_CANTOPEN" if not os.access(self._path.parent, os.W_OK):
                return GptossError(f"{self._path} cannot be written: {self._path.parent} is read-only")
            case _:
                return GptossError(f"{self._path}: {error}")


def _make_private(path: Path) -> None:
    """Nobody else may read it, whatever the umask is; SQLite gives the files beside it the same rights.

    An existing file is not opened: closing it would take away the locks of this process (sqlite.org/howtocorrupt.html).
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if path.stat().st_mode & 0o777 != 0o600:
        with suppress(PermissionError):  # another user's: opening it tells
            path.chmod(0o600)


def _connected(path: str) -> sqlite3.Connection:
    """Raises what SQLite raises, and GptossError for a file of a later version."""
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        database.row_factory = sqlite3.Row
        # sqlite.org/pragma.html: in WAL mode NORMAL cannot damage the file; a power failure may cost the last second
        _turn_on_wal(database)
        for pragma in ("synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
            database.execute(f"PRAGMA {pragma}")
        _migrate(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _connected_to_read(address: str) -> sqlite3.Connection:
    """Raises what SQLite raises."""
    database = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        database.row_factory = sqlite3.Row
        database.execute("SELECT 1 FROM session LIMIT 1")
    except BaseException:
        database.close()
        raise
    return database


def _turn_on_wal(database: sqlite3.Connection) -> None:
    """SQLite does not wait for another who turns it on at the same moment (sqlite.org/wal.html, "Sometimes...")."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


@contextmanager
def _empty() -> Iterator[sqlite3.Connection]:
    """What a history that was never written says."""
    with closing(_connected(":memory:")) as database:
        yield database


def _migrate(database: sqlite3.Connection, path: str) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise GptossError(f"{path} is of a later gptoss (format {version}, not {VERSION})", hint="update gptoss")
    if version < VERSION:
        database.execute("BEGIN IMMEDIATE")  # two that start at once: the second finds it done
        if database.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            for statement in SCHEMA.split(";\n"):
                if statement.strip():
                    database.execute(statement)
            database.execute(f"PRAGMA user_version = {VERSION}")
        database.commit()
