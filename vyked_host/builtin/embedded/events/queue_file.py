"""The file in which events wait for @xsubscribe: SQLite, used by one thread of one process at a time.

WAL with ``synchronous = NORMAL`` (https://sqlite.org/pragma.html#pragma_synchronous): what is committed survives the death of
the process, kill -9 included; a power cut may take the last moments, never the file. The lock is the operating system's and
is held while the file is open, so it goes with the process. Every row has a checksum: a damaged one is left out and told.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from ....errors import StartError
from ....wire.envelope import MalformedEnvelope
from .entry import State
from .parcel import Parcel
from .past_table import PastTable
from .seen import MOST

T = TypeVar("T")
SCHEMA, APPLICATION = 1, 0x76796B64
_TABLES = (
    """CREATE TABLE queue
       (number INTEGER PRIMARY KEY, service TEXT, major INTEGER, name TEXT, consumers TEXT, strategy TEXT, sum INTEGER)""",
    "CREATE TABLE event (number INTEGER PRIMARY KEY, queue INTEGER, packed BLOB, sum INTEGER)",
    "CREATE TABLE mark (number INTEGER PRIMARY KEY, count INTEGER, state TEXT, due REAL, cause TEXT, sum INTEGER)",
    "CREATE TABLE seen (number INTEGER PRIMARY KEY, id TEXT, at REAL)",
)
_WRITE = {
    "queue": "INSERT OR REPLACE INTO queue VALUES (?, ?, ?, ?, ?, ?, ?)",
    "event": "INSERT INTO event VALUES (?, ?, ?, ?)",
    "seen": "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)",
    "mark": "INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?, ?, ?)",
}
_READ = {
    "queue": "SELECT * FROM queue ORDER BY number",
    "event": "SELECT * FROM event ORDER BY number",
    "mark": "SELECT * FROM mark ORDER BY number",
}
_UNSURE = (1, "given", 0.0, "")
"""The mark of an event whose own is damaged: it was delivered at least once, and somebody may still have it."""
DAMAGED = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite says of a damaged file; the second when it would name a damaged table."""
Kind = Literal["queue", "event", "seen", "mark", "forget", "past"]


class Write(NamedTuple):
    """Rows of one kind to write, without their checksums."""

    kind: Kind
    rows: Sequence[tuple[Any, ...]]


class Kept(NamedTuple):
    """One event as it was found; `due` is in seconds since 1970."""

    number: int
    queue: int
    parcel: Parcel
    deliveries: int = 0
    state: State = "waiting"
    due: float = 0.0
    cause: str = ""


class QueueFile:
    """One open file. Every method is called in one thread."""

    def __init__(self, path: str, past: PastTable | None = None) -> None:
        self.path, self.past = path, past
        self.damaged: list[str] = []
        self._db: sqlite3.Connection | None = None
        self._since_pruned = 0

    # ---- opening -----------------------------------------------------------------------------------------------------
    def open(self) -> None:
        """Open and lock it; it is made where it is not there. Raises BlockingIOError while another process has it, StartError
        when it can't be used."""
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))  # events are nobody else's business
            self._db = sqlite3.connect(self.path, timeout=0.0, isolation_level=None, check_same_thread=False)
            self._prepare(self._db)
        except BlockingIOError:
            self.close()
            raise
        except (OSError, *DAMAGED) as error:
            self.close()
            if "locked" in str(error):
                raise BlockingIOError(str(error)) from None
            raise self._unusable(str(error)) from None
        except StartError:
            self.close()
            raise

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN IMMEDIATE")  # takes the lock, which stays
        version, application = _pragma(db, "user_version"), _pragma(db, "application_id")
        if not version and not application and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for table in _TABLES:
                db.execute(table)
            db.execute(f"PRAGMA user_version = {SCHEMA}")
            db.execute(f"PRAGMA application_id = {APPLICATION}")
        elif application != APPLICATION:
            raise self._unusable("it is a database of something else")
        elif version != SCHEMA:
            raise self._unusable(f"its form is number {version}, and this release reads {SCHEMA}")
        elif (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise self._unusable(f"it is damaged: {found}")
        if self.past is not None:
            self.past.prepare(db)
        db.execute("COMMIT")

    def _unusable(self, cause: str) -> StartError:
        return StartError(
            f"the file of the event bus, {self.path}, can't be used: {cause}; give [pubsub.embedded] path another file, or "
            "move this one away: what waits in it is not delivered then"
        )

    # ---- reading -----------------------------------------------------------------------------------------------------
    def read(self) -> tuple[list[tuple[Any, ...]], list[Kept], list[tuple[str, float]], int]:
        """(queues, events in order, ids seen with their times, the highest number). Raises StartError."""
        try:
            queues = [row[:-1] for row in self._rows("queue")]
            marks: dict[int, tuple[Any, ...]] = {row[0]: _UNSURE for row in self._select(_READ["mark"])}
            marks |= {row[0]: row[1:-1] for row in self._rows("mark")}
            events = [kept for row in self._rows("event") if (kept := self._kept(row, marks.get(row[0], ())))]
            seen = [
                (event_id, at) for _, event_id, at in self._select("SELECT * FROM seen ORDER BY number")
                if isinstance(event_id, str) and isinstance(at, float)
            ]  # fmt: skip
            highest = self._select("SELECT max(number) FROM (SELECT number FROM event UNION SELECT number FROM seen)")
        except DAMAGED as error:
            raise self._unusable(str(error)) from None
        return queues, events, seen, next(highest)[0] or 0

    def _select(self, statement: str) -> Iterator[tuple[Any, ...]]:
        assert self._db is not None
        return iter(self._db.execute(statement))

    def _rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        for row in self._select(_READ[table]):
            if checksum(row[:-1]) == row[-1]:
                yield row
            else:
                self.damaged.append(f"{table} {row[0]}")

    def _kept(self, row: tuple[Any, ...], mark: tuple[Any, ...]) -> Kept | None:
        try:
            parcel = Parcel.of(row[2])
        except MalformedEnvelope as error:
            self.damaged.append(f"event {row[0]} ({error})")
            return None
        return Kept(row[0], row[1], parcel, *mark)

    # ---- writing -----------------------------------------------------------------------------------------------------
    def write(self, writes: Sequence[Write]) -> None:
        """All of it, in order, or nothing: one transaction. Raises sqlite3.Error, OSError."""
        db = self._db
        if db is None:
            raise OSError(f"{self.path} is closed")
        db.execute("BEGIN IMMEDIATE")
        try:
            for kind, several in itertools.groupby(writes, key=attrgetter("kind")):
                self._write(db, kind, [row for each in several for row in each.rows])
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _write(self, db: sqlite3.Connection, kind: Kind, rows: list[tuple[Any, ...]]) -> None:
        if kind == "forget":
            db.executemany("DELETE FROM event WHERE number = ?", rows)
            db.executemany("DELETE FROM mark WHERE number = ?", rows)
        elif kind == "past":
            assert self.past is not None
            self.past.add(db, rows)
        elif kind == "seen":
            db.executemany(_WRITE[kind], rows)
            self._prune(db, len(rows), rows[-1][0])
        else:
            db.executemany(_WRITE[kind], [(*row, checksum(row)) for row in rows])

    def _prune(self, db: sqlite3.Connection, more: int, newest: int) -> None:
        self._since_pruned += more
        if self._since_pruned >= MOST // 10:
            self._since_pruned = 0
            db.execute("DELETE FROM seen WHERE number <= ?", (newest - MOST,))

    def ask_past(self, ask: Callable[[PastTable, sqlite3.Connection], T]) -> T:
        """What `ask` finds in what is kept of the past. Raises sqlite3.Error, OSError."""
        if self._db is None or self.past is None:
            raise OSError(f"{self.path} is closed, or keeps no past")
        return ask(self.past, self._db)

    def close(self) -> None:
        """Close it and let go of the lock. Idempotent."""
        db, self._db = self._db, None
        if db is not None:
            db.close()


def checksum(row: Sequence[Any]) -> int:
    """Of the values of a row, in their order."""
    found = 0
    for value in row:
        found = zlib.crc32(value if isinstance(value, bytes) else repr(value).encode(), found)
    return found


def _pragma(db: sqlite3.Connection, name: str) -> int:
    found: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return found
