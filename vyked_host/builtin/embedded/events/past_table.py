"""The part of the file in which everything that was published is kept for a while, for replay. Used by the file's one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from ....errors import NotSupported
from ....routing.since import beginning
from .parcel import Parcel, Topic

MOST = 1_000_000
"""Events that are kept at most, however short a time that is."""
A_PAGE = 256
PRUNE_EVERY = 1000
_TABLE = """CREATE TABLE IF NOT EXISTS past
    (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, service TEXT, major INTEGER, name TEXT, id TEXT, packed BLOB)"""
_INDEX = "CREATE INDEX IF NOT EXISTS past_topic ON past (service, major, name, number)"
_ADD = "INSERT INTO past (at, service, major, name, id, packed) VALUES (?, ?, ?, ?, ?, ?)"
_OF = "FROM past WHERE service = ? AND major = ? AND name = ?"
_PAGE = f"SELECT number, packed {_OF} AND number > ? ORDER BY number LIMIT ?"
_BY_ID = f"SELECT max(number) {_OF} AND id = ?"
_BY_TIME = f"SELECT min(number) {_OF} AND at >= ?"
_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'past'"


class PastTable:
    """`keep_s`: seconds for which events are kept."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s, self._since_pruned = keep_s, 0

    def prepare(self, db: sqlite3.Connection) -> None:
        """Make it where it is not there: a file from before has none."""
        db.execute(_TABLE)
        db.execute(_INDEX)

    def add(self, db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Keep these from `row` on."""
        db.executemany(_ADD, rows)
        self._since_pruned += len(rows)
        if self._since_pruned >= PRUNE_EVERY:
            self._since_pruned = 0
            db.execute("DELETE FROM past WHERE at < ?", (rows[-1][0] - self._keep_s,))
            db.execute("DELETE FROM past WHERE number <= ?", (self._last(db) - MOST,))

    @staticmethod
    def row(parcel: Parcel, unix_s: float) -> tuple[Any, ...]:
        """What is kept of `parcel`, which came at `unix_s`."""
        return (unix_s, *parcel.topic, parcel.event.id, parcel.packed)

    @staticmethod
    def page(db: sqlite3.Connection, topic: Topic, after: int) -> list[tuple[int, bytes]]:
        """(number, event) of what follows `after`, as many as go at once."""
        return db.execute(_PAGE, (*topic, after, A_PAGE)).fetchall()

    def begin(self, db: sqlite3.Connection, topic: Topic, since: str) -> int:
        """The number after which a replay begins (routing.since). Raises NotSupported for an event that is not there."""
        found = beginning(since)
        if isinstance(found, float):
            number = db.execute(_BY_TIME, (*topic, found)).fetchone()[0]
            return number - 1 if number is not None else self._last(db)
        number = db.execute(_BY_ID, (*topic, found)).fetchone()[0]
        if number is None:
            raise NotSupported(
                f"{since!r} is no time, and no event of this id is kept any more: begin at a time, such as an ISO 8601 one"
            )
        return int(number)

    @staticmethod
    def _last(db: sqlite3.Connection) -> int:
        found = db.execute(_LAST).fetchone()
        return int(found[0]) if found is not None else 0
