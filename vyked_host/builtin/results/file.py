"""The file: one table of keys. All of it runs in one thread, and what is asked for at once is one transaction.

Several processes may share a file: each transaction takes SQLite's write lock, and decides by what it reads then
(https://sqlite.org/lang_transaction.html). With the write-ahead log and `synchronous = NORMAL` what was committed survives the
death of every process, not that of the machine.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...contracts import Claim, Hold, Record, Standing, claimed, renewed, settled
from ...errors import StartError

APPLICATION = 0x56484B31
"""``VHK1``: that a database is one of ours."""
SCHEMA = 1
BUSY_S = 2.0
"""How long a transaction waits for that of another process."""
AGAIN_S = 0.01
PRUNED = 256
"""Keys that lapsed are deleted so many at a time, once in as many writes."""
DAMAGED = (sqlite3.DatabaseError, ValueError, TypeError)
_TABLES = (
    "CREATE TABLE own (name TEXT NOT NULL)",
    """CREATE TABLE result (key TEXT PRIMARY KEY, digest BLOB NOT NULL, token TEXT NOT NULL, beat INTEGER NOT NULL,
    outcome BLOB, until REAL NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX lapsing ON result (until)",
)
_READ = "SELECT digest, token, beat, outcome FROM result WHERE key = ? AND until > ?"
_WRITE = "INSERT OR REPLACE INTO result (key, digest, token, beat, outcome, until) VALUES (?, ?, ?, ?, ?, ?)"
_PRUNE = "DELETE FROM result WHERE key IN (SELECT key FROM result WHERE until <= ? LIMIT ?)"
_OLDEST = (
    "DELETE FROM result WHERE key IN "
    "(SELECT key FROM result WHERE outcome IS NOT NULL ORDER BY until LIMIT max(0, (SELECT count(*) FROM result) - ?))"
)


class Step(NamedTuple):
    """One thing to do: a claim, a beat (neither `claim` nor `settles`), or what became of it. Seconds since 1970."""

    key: str
    now: float
    until: float
    token: str = ""
    claim: Claim | None = None
    settles: bool = False
    outcome: bytes | None = None


class ResultFile:
    """One open file. Every method is called in one thread. `most`: keys that are kept."""

    def __init__(self, path: str, most: int) -> None:
        self.path, self._most = path, most
        self._db: sqlite3.Connection | None = None
        self._writes = 0

    def open(self) -> str:
        """Open it, and make it where it is not there; its name. Raises StartError."""
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))  # results are nobody else's business
            self._db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            return self._prepared(self._db)
        except StartError:
            self.close()
            raise
        except (OSError, *DAMAGED) as error:
            self.close()
            raise self._unusable(str(error)) from None

    def _prepared(self, db: sqlite3.Connection) -> str:
        _write_ahead(db)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN IMMEDIATE")  # of two that make the file, the second finds it made
        version, application = _pragma(db, "user_version"), _pragma(db, "application_id")
        if not version and not application and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for table in _TABLES:
                db.execute(table)
            db.execute("INSERT INTO own (name) VALUES (?)", (secrets.token_hex(8),))
            db.execute(f"PRAGMA user_version = {SCHEMA}")
            db.execute(f"PRAGMA application_id = {APPLICATION}")
        elif application != APPLICATION:
            raise self._unusable("it is a database of something else")
        elif version != SCHEMA:
            raise self._unusable(f"its form is number {version}, and this release reads {SCHEMA}")
        elif (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise self._unusable(f"it is damaged: {found}")
        db.execute("COMMIT")
        place = Path(self.path).stat()  # a copy of the file is another one
        name = db.execute("SELECT name FROM own").fetchone()[0]
        return f"sqlite:{name}:{os.uname().nodename}:{place.st_dev}:{place.st_ino}"

    def _unusable(self, cause: str) -> StartError:
        return StartError(
            f"the file of results, {self.path}, can't be used: {cause}; give [results.sqlite] path another file, or move this "
            "one away: the results in it are not given again then"
        )

    def take(self, steps: Sequence[Step]) -> list[Any]:
        """The answer to each, in order: a Standing, or whether the token held the key. One transaction. Raises sqlite3.Error,
        OSError; then none was taken."""
        db = self._db
        if db is None:
            raise OSError(f"{self.path} is closed")
        db.execute("BEGIN IMMEDIATE")
        try:
            answers = [self._take(db, step) for step in steps]
            self._prune(db, len(steps), steps[-1].now)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return answers

    def _take(self, db: sqlite3.Connection, step: Step) -> Standing | bool:
        row = db.execute(_READ, (step.key, step.now)).fetchone()
        before = None if row is None else Record(digest=row[0], hold=Hold(token=row[1], beat=row[2]), outcome=row[3])
        answer: Standing | bool
        after: Record | None
        if step.claim is not None:
            answer, after = claimed(before, step.claim)
        elif step.settles:
            answer, after = settled(before, step.token, step.outcome)
        else:
            after = renewed(before, step.token)
            answer, after = after is not None, after or before
        if after is None:
            db.execute("DELETE FROM result WHERE key = ?", (step.key,))
        elif after is not before:
            hold = after.hold
            db.execute(_WRITE, (step.key, after.digest, hold.token, hold.beat, after.outcome, step.until))
        return answer

    def _prune(self, db: sqlite3.Connection, more: int, now: float) -> None:
        self._writes += more
        if self._writes >= PRUNED // 2:
            self._writes = 0
            db.execute(_PRUNE, (now, PRUNED))
            db.execute(_OLDEST, (self._most,))

    def close(self) -> None:
        """Close it. Idempotent."""
        db, self._db = self._db, None
        if db is not None:
            db.close()


def _pragma(db: sqlite3.Connection, name: str) -> int:
    found: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return found


def _write_ahead(db: sqlite3.Connection) -> None:
    """Give it a write-ahead log. Where another connection is making the file, SQLite says that it is busy and does not wait: neither
    of the two could go on (https://sqlite.org/c3ref/busy_handler.html)."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(AGAIN_S)  # of the store's own thread
        else:
            return
