"""Saved sessions in SQLite: written while an answer streams, searchable in any language. Knows no model and no screen.

One file for all sessions, in WAL mode: readers and one writer do not wait for each other, and what was committed
survives the death of the process at any moment. Only the user may read it (0600).
"""

import json
import secrets
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import overload

from gptoss_cli.errors import BadInput, SessionNotFound
from gptoss_cli.history.database import Database
from gptoss_cli.messages import Channel, End, Message, Role

LAST = "last"  # a name for the newest session
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # what cannot be taken for another letter; 31**5 is 29 million


@dataclass(frozen=True)
class Saved:
    """A session without its messages. settings: what the front end wants to find again, as JSON has it. Times: UTC."""

    id: str
    name: str | None
    model: str
    settings: Mapping[str, object]
    created: str
    changed: str
    turns: int = 0
    title: str = ""  # the beginning of what was asked first


@dataclass(frozen=True)
class Turn:
    """What was asked, and what came of it; the last message may be incomplete."""

    number: int
    messages: tuple[Message, ...] = ()
    times: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Hit:
    """A place in a saved session where a text was found; excerpt: around it, on one line."""

    session: Saved
    turn: int
    role: str
    excerpt: str


class History:
    """The sessions in the file at `path`, which is made when something is saved. For one thread."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    # reading

    def sessions(self, limit: int | None = None) -> list[Saved]:
        """The one that changed last first; one without a message, which a full disk can leave, does not count."""
        with self._database.reading() as database:
            rows = database.execute(
                f"{SELECT} WHERE turns > 0 ORDER BY changed DESC, rowid DESC LIMIT ?", (-1 if limit is None else limit,)
            )
            return [_saved(row) for row in rows]

    def find(self, word: str) -> Saved:
        """The session with this id, this name, the beginning of an id, or `last`: the one that changed last.

        Raises SessionNotFound, and BadInput when it could be several.
        """
        sessions = self.sessions()
        for fits in (
            [each for each in sessions if each.id == word],
            [each for each in sessions if each.name == word],
            [each for each in sessions if word and each.id.startswith(word)],
            sessions[:1] if word == LAST else [],
        ):
            if len(fits) > 1:
                raise BadInput(f"{word} could be {', '.join(each.id for each in fits)}", hint="give the whole id")
            if fits:
                return fits[0]
        raise SessionNotFound(f"no session {word or repr(word)}", hint="gptoss history list shows what there is")

    def turns(self, id: str) -> list[Turn]:
        """All that was said in a session, oldest first."""
        turns: dict[int, list[sqlite3.Row]] = {}
        with self._database.reading() as database:
            for row in database.execute("SELECT * FROM message WHERE session = ? ORDER BY turn, place", (id,)):
                turns.setdefault(row["turn"], []).append(row)
            return [
                Turn(number, tuple(map(_message, rows)), tuple(row["time"] for row in rows))
                for number, rows in turns.items()
            ]

    def search(self, *words: str, limit: int = 100) -> list[Hit]:
        """The messages of either side that contain all of `words`, whatever their capitals; newest sessions first.

        Thoughts and calls are not searched. It is a scan of everything: full-text indexes of SQLite miss Chinese words
        of two characters (its trigrams need three), and a thousand sessions are read in less time than a key press.
        """
        wanted = [word.casefold() for word in map(_storable, words) if word]
        if not wanted:
            raise BadInput("nothing to search for")
        names = {each.id: each for each in self.sessions()}
        with self._database.reading() as database:
            database.create_function("folded", 1, str.casefold, deterministic=True)
            rows = database.execute(
                "SELECT message.* FROM message JOIN session ON session.id = message.session "
                "WHERE recipient IS NULL AND channel IS NOT 'analysis' AND role IN ('user', 'assistant') "
                + "AND instr(folded(text), ?) > 0 " * len(wanted)
                + "ORDER BY changed DESC, turn, place LIMIT ?",
                (*wanted, limit),
            ).fetchall()
        return [
            Hit(names[row["session"]], row["turn"], row["role"], _excerpt(row["text"], wanted[0]))
            for row in rows
            if row["session"] in names  # begun by another process in between
        ]

    # writing

    def begin(self, model: str, settings: Mapping[str, object], name: str | None = None) -> Saved:
        """A new session without messages."""
        now = _now()
        name, model = _storable(name), _storable(model)
        with self._database.writing() as database:
            id = _new_id(database)
            database.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)", (id, name, model, _json(settings), now, now)
            )
        return Saved(id, name, model, dict(settings), now, now)

    def change(
        self,
        id: str,
        *,
        name: str | None = None,
        model: str | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """Give a session a name, another model or other settings; None leaves them."""
        told = None if settings is None else _json(settings)
        with self._database.writing() as database:
            database.execute(
                "UPDATE session SET name = coalesce(?, name), model = coalesce(?, model), "
                "settings = coalesce(?, settings) WHERE id = ?",
                (_storable(name), _storable(model), told, id),
            )
            _touch(database, id)

    def write(self, id: str, turn: int, messages: Sequence[Message]) -> None:
        """Make `messages` all that turn number `turn` has, in place of what it had. Raises SessionNotFound."""
        with self._database.writing() as database:
            now = _touch(database, id)
            old = dict(
                database.execute(
                    "SELECT place, time FROM message WHERE session = ? AND turn = ?", (id, turn)
                ).fetchall()
            )
            database.execute("DELETE FROM message WHERE session = ? AND turn = ?", (id, turn))
            database.executemany(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(id, turn, place, *_row(each), old.get(place, now)) for place, each in enumerate(messages)],
            )

    def length(self, id: str) -> int:
        """How many turns a session has: one more than the number of its last one."""
        with self._database.reading() as database:
            row = database.execute("SELECT max(turn) FROM message WHERE session = ?", (id,)).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def copy(self, id: str, turns: int) -> Saved:
        """A new session that begins with the first `turns` turns of another."""
        with self._database.writing() as database:
            new = _new_id(database)
            database.execute(
                "INSERT INTO session SELECT ?, NULL, model, settings, created, ? FROM session WHERE id = ?",
                (new, _now(), id),
            )
            database.execute(
                "INSERT INTO message SELECT ?, turn, place, role, channel, name, recipient, content_type, "
                "text, tokens, ended, time FROM message WHERE session = ? AND turn < ?",
                (new, id, turns),
            )
        return self.find(new)

    def cut(self, id: str, turn: int) -> None:
        """Forget the turns from number `turn` on."""
        with self._database.writing() as database:
            _touch(database, id)
            database.execute("DELETE FROM message WHERE session = ? AND turn >= ?", (id, turn))

    def remove(self, id: str) -> None:
        """Forget a session; what it said is overwritten in the file."""
        with self._database.writing() as database:
            database.execute("DELETE FROM session WHERE id = ?", (id,))
        self._database.overwrite_journal()

    def close(self) -> None:
        self._database.close()


SELECT = """SELECT *, (SELECT count(DISTINCT turn) FROM message WHERE session = id) AS turns,
(SELECT substr(text, 1, 200) FROM message WHERE session = id AND role = 'user' ORDER BY turn, place LIMIT 1) AS title
FROM session"""


def _touch(database: sqlite3.Connection, id: str) -> str:
    """Note that a session changes now; when that is."""
    now = _now()
    if not database.execute("UPDATE session SET changed = ? WHERE id = ?", (now, id)).rowcount:
        raise SessionNotFound(f"the session {id} was removed")
    return now


def _saved(row: sqlite3.Row) -> Saved:
    return Saved(
        row["id"],
        row["name"],
        row["model"],
        json.loads(row["settings"]),
        row["created"],
        row["changed"],
        row["turns"],
        " ".join((row["title"] or "").split()),
    )


def _row(message: Message) -> tuple[object, ...]:
    return (
        str(message.role),
        message.channel and str(message.channel),
        _storable(message.name),
        _storable(message.recipient),
        _storable(message.content_type),
        _storable(message.text),
        struct.pack(f"<{len(message.tokens)}I", *message.tokens),
        message.end and str(message.end),
    )


def _message(row: sqlite3.Row) -> Message:
    return Message(
        Role(row["role"]),
        (row["text"],),
        Channel(row["channel"]) if row["channel"] else None,
        row["name"],
        row["recipient"],
        row["content_type"],
        struct.unpack(f"<{len(row['tokens']) // 4}I", row["tokens"]),
        End(row["ended"]) if row["ended"] else None,
    )


@overload
def _storable(text: str) -> str: ...
@overload
def _storable(text: None) -> None: ...
@overload
def _storable(text: str | None) -> str | None: ...
def _storable(text: str | None) -> str | None:
    """`text` as UTF-8 can hold it: half of a surrogate pair, as broken JSON has them, becomes U+FFFD."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _json(settings: Mapping[str, object]) -> str:
    return _storable(json.dumps(settings, ensure_ascii=False))


def _new_id(database: sqlite3.Connection) -> str:
    while True:
        id = "".join(secrets.choice(ALPHABET) for _ in range(5))
        if not database.execute("SELECT 1 FROM session WHERE id = ?", (id,)).fetchone():
            return id


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _excerpt(text: str, folded: str, around: int = 40) -> str:
    """The surroundings of the first place where `text`, its capitals folded, has `folded`; on one line."""
    place = text.casefold().find(folded)
    if len(text.casefold()) != len(text):  # a folded ß has two letters
        lengths = accumulate(len(letter.casefold()) for letter in text)
        place = next(number for number, length in enumerate(lengths) if length > place)
    start, end = max(0, place - around), place + len(folded) + around
    return ("…" if start else "") + " ".join(text[start:end].split()) + ("…" if end < len(text) else "")
