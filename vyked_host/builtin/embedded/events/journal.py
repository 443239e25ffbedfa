"""Entries kept in a file: `entry.Store` over `QueueFile`, with group commit.

Everything that happens to the queues while one transaction is written goes into the next one; who published is told after
the commit, and a delivery goes out after the commit of its count. All of it is done by one thread.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from ....contracts import Environment
from ....errors import StartError
from ....model.description import Strategy
from .broker import Broker
from .entry import Entry, Past, State
from .group import GroupQueue
from .parcel import Parcel, Topic
from .past_table import PastTable
from .queue_file import Kept, QueueFile, Write
from .seen import WINDOW_S

RETRY_S = 0.5
"""Between two tries to write ([timing] scale applies): well within a call of a node, which waits for the next one."""
LONGEST_S = 600.0
"""Nothing is due later than in so many seconds, whatever the wall clock did meanwhile."""


class _Job(NamedTuple):
    """Writes that belong together, and who is told. `lasts`: written again until it succeeds."""

    writes: tuple[Write, ...]
    done: Callable[[str], None]
    lasts: bool


class Journal:
    """The queues of one holder in one file."""

    durable = True

    def __init__(self, path: str, env: Environment, keep_s: float | None = None) -> None:
        self.path = path
        self._clock, self._log, self._retry_s = env.clock, env.log, RETRY_S * min(1.0, env.timing.scale)
        self.keeps_past = keep_s is not None
        self._file = QueueFile(path, PastTable(keep_s) if keep_s is not None else None)
        self._thread: ThreadPoolExecutor | None = None
        self._jobs: list[_Job] = []
        self._busy = self._failing = self._is_closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._turn = asyncio.Event()  # something was written, or was not
        self._queues: dict[tuple[Topic, str], tuple[int, str]] = {}
        self._found: tuple[list[Kept], list[tuple[str, float]], int] = ([], [], 0)

    @property
    def place(self) -> str:
        """The same for the same file, whoever looks."""
        found = Path(self.path).stat()
        return f"{os.uname().nodename}:{found.st_dev}:{found.st_ino}"

    # ---- opening and closing -----------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Open, lock and read the file. Raises StartError."""
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vyked-queue")
        try:
            await self._locked()
            queues, *found = await self._in_thread(self._file.read)
        except BaseException:
            await self._stop()
            raise
        for each in self._file.damaged:
            self._log.error("%s: record %s is damaged and is left out", self.path, each)
        self._queues = {(Topic(*row[1:4]), row[4]): (row[0], row[5]) for row in queues}
        self._found = cast("tuple[list[Kept], list[tuple[str, float]], int]", tuple(found))

    async def _locked(self) -> None:
        try:
            await self._in_thread(self._file.open)
        except BlockingIOError:
            raise StartError(
                f"the file of the event bus, {self.path}, is in use by another host: one holder at a time may use it; give "
                "this host another [pubsub.embedded] path, or another address"
            ) from None

    async def _in_thread(self, what: Callable[[], Any]) -> Any:
        assert self._thread is not None
        return await asyncio.get_running_loop().run_in_executor(self._thread, what)

    def restore(self, broker: Broker) -> None:
        """Put what was read into the broker."""
        (events, seen, highest), self._found = self._found, ([], [], 0)
        broker.count_from(highest)
        now, unix = self._clock.now(), self._clock.unix()
        groups: dict[int, GroupQueue] = {}
        for (topic, name), (number, strategy) in list(self._queues.items()):
            groups[number] = broker.group(topic, name, cast("Strategy", strategy))
        for kept in events:
            group = groups.get(kept.queue)
            if group is not None:
                broker.take_over(group, kept.parcel, self._past(kept, broker.ack_wait_s, unix), kept.number)
        for identity, at in seen:
            if 0 <= unix - at <= WINDOW_S:
                broker.seen.add(identity, now - (unix - at))

    @staticmethod
    def _past(kept: Kept, ack_wait_s: float, unix: float) -> Past:
        """Who had an event may still settle it, within the ack wait."""
        seconds = ack_wait_s if kept.state == "given" else min(max(0.0, kept.due - unix), LONGEST_S)
        return Past(kept.deliveries, kept.state, seconds, kept.cause)

    async def aclose(self) -> None:
        """Write what is under way, close the file, let go of the lock. Idempotent."""
        if self._thread is not None:
            while not self._failing and not self._idle.is_set():
                self._turn.clear()
                await self._turn.wait()
            await self._stop()
            self._is_closed = True
            jobs, self._jobs = self._jobs, []
            for job in jobs:
                self._write(job)

    async def _stop(self) -> None:
        await self._in_thread(self._file.close)
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=True)

    # ---- entry.Store -------------------------------------------------------------------------------------------------
    def group(self, topic: Topic, name: str, strategy: str) -> int:
        """The number of a group, which is known from now on, with this strategy."""
        number, before = self._queues.get((topic, name), (0, ""))
        if before != strategy:
            number = number or 1 + max((each for each, _ in self._queues.values()), default=0)
            self._queues[topic, name] = (number, strategy)
            self._write(_Job((Write("queue", [(number, *topic, name, strategy)]),), _ignore, lasts=True))
        return number

    def keep(self, entries: Sequence[Entry], kept: Callable[[str], None], parcel: Parcel | None = None) -> None:
        """Write new entries of one event, that it was seen, and what is kept of it for replay."""
        writes = self._entering(entries) if entries else ()
        if parcel is not None and self.keeps_past:
            writes = (*writes, Write("past", [PastTable.row(parcel, self._clock.unix())]))
        self._write(_Job(writes, kept, lasts=False))

    def _entering(self, entries: Sequence[Entry]) -> tuple[Write, ...]:
        rows = [(each.number, each.group.number, each.parcel.packed) for each in entries]
        seen = [(each.number, each.parcel.identity, self._clock.unix()) for each in entries]
        return (Write("event", rows), Write("seen", seen))

    # ---- the past ------------------------------------------------------------------------------------------------------
    async def begin(self, topic: Topic, since: str) -> int:
        """The number after which a replay begins. Raises NotSupported, sqlite3.Error, OSError."""
        return int(await self._in_thread(lambda: self._file.ask_past(lambda past, db: past.begin(db, topic, since))))

    async def past(self, topic: Topic, after: int) -> list[tuple[int, bytes]]:
        """(number, event) of what follows. Raises sqlite3.Error, OSError."""
        found = await self._in_thread(lambda: self._file.ask_past(lambda past, db: past.page(db, topic, after)))
        return cast("list[tuple[int, bytes]]", found)

    def mark(self, entry: Entry, state: State, due_s: float, marked: Callable[[], None]) -> None:
        """Write the state of an entry; `marked` once that is sure."""
        row = (entry.number, entry.count, state, self._clock.unix() + due_s, entry.cause)
        self._write(_Job((Write("mark", [row]),), partial(_told, marked), lasts=True))

    def forget(self, entry: Entry) -> None:
        """An entry is done with."""
        self._write(_Job((Write("forget", [(entry.number,)]),), _ignore, lasts=True))

    # ---- group commit ------------------------------------------------------------------------------------------------
    def _write(self, job: _Job) -> None:
        if self._is_closed:
            if not job.lasts:
                job.done("the event bus was closed")
            return
        self._jobs.append(job)
        if self._idle.is_set():
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """Write all that there is by now."""
        if self._busy or self._thread is None:
            return
        jobs, self._jobs = self._jobs, []
        if not jobs:
            self._idle.set()
            self._turn.set()
            return
        self._busy = True
        writes = [write for job in jobs for write in job.writes]
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._file.write, writes)
        writing.add_done_callback(partial(self._written, jobs))

    def _written(self, jobs: list[_Job], writing: asyncio.Future[None]) -> None:
        self._busy = False
        self._turn.set()
        error = None if writing.cancelled() else writing.exception()
        if error is None and not writing.cancelled():
            self._failing = False
            for job in jobs:
                job.done("")
            self._next()
            return
        self._not_written(jobs, error)

    def _not_written(self, jobs: list[_Job], error: BaseException | None) -> None:
        """Nothing of it was written. What is new is refused; what became of older events is written later."""
        if not self._failing:
            self._failing = True
            self._log.error("%s: nothing can be written, events for groups are refused meanwhile: %s", self.path, error)
        for job in jobs:
            if not job.lasts:
                job.done(_reason(error))
        self._jobs = [job for job in jobs if job.lasts] + self._jobs
        self._clock.at(self._clock.now() + self._retry_s, self._next)


def _reason(error: BaseException | None) -> str:
    return f"{error}" if isinstance(error, sqlite3.Error | OSError) else repr(error)


def _told(marked: Callable[[], None], _why_not: str) -> None:
    marked()


def _ignore(_why_not: str) -> None:
    """Nobody waits for it."""
