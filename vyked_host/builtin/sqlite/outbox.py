"""`SqliteOutbox`: rows in a table of the author's own SQLite database. Its author writes them with a connection of theirs; they are
read and forgotten over one of the outbox's own, in a thread of its own.

Of several processes with one database one relays, the one that has the lock of the file beside it; the operating system lets go of
that when the process ends, however it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ...errors import UsageError
from ...service.outbox import OutboxRow

T = TypeVar("T")
TABLE = "vyked_outbox"
BUSY_S = 5.0
"""How long a statement waits for somebody else's transaction."""
_CREATE = """CREATE TABLE IF NOT EXISTS vyked_outbox
    (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, topic TEXT NOT NULL, key TEXT, packed BLOB NOT NULL)"""
_PUT = "INSERT INTO vyked_outbox (id, topic, key, packed) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
_FIRST = "SELECT id, topic, key, packed FROM vyked_outbox ORDER BY number LIMIT ?"
_FORGET = "DELETE FROM vyked_outbox WHERE id = ?"


class SqliteOutbox:
    """`path` is the database's file; the table ``vyked_outbox`` is made in it where it is not there. Raises sqlite3.Error when that
    can't be done. Writers come one after the other in SQLite, so that rows are in the order of their commits."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with contextlib.closing(sqlite3.connect(self.path, timeout=BUSY_S)) as db, db:
            db.execute(_CREATE)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vyked-outbox")
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._closed = False

    def put(self, transaction: sqlite3.Connection, row: OutboxRow) -> str:
        """Write `row` within the transaction of this connection, which begins here where the connection begins one by itself; the
        id of the event. Raises UsageError where nothing would hold it together with other changes, sqlite3.Error."""
        autocommits = transaction.isolation_level is None or getattr(transaction, "autocommit", -1) is True
        if autocommits and not transaction.in_transaction:
            raise UsageError(
                "this connection has no transaction, and begins none by itself: BEGIN one before the event"
            )
        try:
            transaction.execute(_PUT, (row.id, row.topic, row.key, row.packed))
        except sqlite3.OperationalError as error:
            if TABLE not in str(error):
                raise
            raise UsageError(f"this connection is to another database than {self.path}, where the outbox is") from error
        return row.id

    async def waiting(self, most: int) -> Sequence[OutboxRow]:
        """The first rows that are committed; none while another process relays them. Raises sqlite3.Error, OSError."""
        return await self._run(lambda: self._first(most))

    async def sent(self, ids: Sequence[str]) -> None:
        """Forget these rows. Raises sqlite3.Error."""
        await self._run(lambda: self._forget(ids))

    async def aclose(self) -> None:
        """Let go of the database and the lock. Idempotent."""
        if not self._closed:
            await self._run(self._close)
            self._closed = True
            self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # ---- in the thread ---------------------------------------------------------------------------------------------------
    def _first(self, most: int) -> list[OutboxRow]:
        if not self._relays():
            return []
        found = self._opened().execute(_FIRST, (most,)).fetchall()
        return [OutboxRow(id=id_, topic=topic, key=key, packed=packed) for id_, topic, key, packed in found]

    def _forget(self, ids: Sequence[str]) -> None:
        db = self._opened()
        with db:
            db.executemany(_FORGET, [(each,) for each in ids])

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = sqlite3.connect(self.path, timeout=BUSY_S)
        return self._db

    def _relays(self) -> bool:
        """Is it this process that relays?"""
        if self._lock is None:
            lock = os.open(f"{self.path}-outbox", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            self._lock = lock
        return True

    def _close(self) -> None:
        db, self._db = self._db, None
        lock, self._lock = self._lock, None
        if db is not None:
            db.close()
        if lock is not None:
            os.close(lock)
