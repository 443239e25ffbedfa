"""The services of the scenarios. Each writes what its handlers do, one line of JSON at a time, to a file of its process.

A copy of this file is put beside the vyked.toml of each project, so nothing of the suite may be imported here.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from typing import Any, Literal

from msgspec import Struct

from vyked_host import Reject, Retry, Service, ServiceError, api, client, context, publish, subscribe, xsubscribe


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """``[services.NAME.options]`` of all of them. `log`: the folder for histories; `node`: what this process is called there;
    `delay`: seconds that each handler takes."""

    log: str
    node: str
    delay: float = 0.0


class Journal:
    """A file that only grows: one write per line, so that a process may be killed at any moment."""

    def __init__(self, options: Options) -> None:
        self.node = options.node
        path = os.path.join(options.log, f"{options.node}-{os.getpid()}-{time.monotonic_ns()}.jsonl")
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, kind: str, **facts: Any) -> None:
        line = json.dumps({"kind": kind, "node": self.node, "at": time.monotonic(), **facts})
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


class Logged(Service):
    """A service with a journal."""

    options: Options

    async def on_start(self) -> None:
        self.journal = Journal(self.options)
        self.delay = self.options.delay

    async def on_stop(self) -> None:
        self.journal.close()


class Broken(ServiceError, code="broken", status=409):
    """A declared error."""

    id: str


class Worker(Logged, name="worker", version="1.0.0"):
    """What W1 calls."""

    @api
    async def work(self, id: str, seconds: float = 0.0) -> str:
        """Not idempotent. Answers with the node that did it."""
        self.journal.write("ran", id=id)
        await self._pause(seconds)
        return self.journal.node

    @api(idempotent=True)
    async def look(self, id: str, seconds: float = 0.0) -> str:
        """Idempotent."""
        self.journal.write("ran", id=id)
        await self._pause(seconds)
        return self.journal.node

    async def _pause(self, seconds: float) -> None:
        if seconds or self.delay:
            await asyncio.sleep(seconds + self.delay)

    @api
    async def slow_down(self, seconds: float) -> None:
        """From now on each call takes so much longer."""
        self.delay = seconds

    @api
    async def block(self, seconds: float) -> None:
        """Stop the whole loop of this process."""
        self.journal.write("ran", id=f"block {seconds}")
        time.sleep(seconds)  # noqa: ASYNC251 - the fault itself

    @api
    async def hoard(self, size: int) -> int:
        """Leak so many bytes."""
        self.kept = [*getattr(self, "kept", []), bytearray(size)]
        return len(self.kept)

    @api(raises=[Broken])
    async def fail(self, how: Literal["declared", "error", "base", "exit", "junk", "cancel"]) -> int:
        """End in some way that no handler should."""
        match how:
            case "declared":
                raise Broken("x")
            case "error":
                raise RuntimeError("a fault of the handler")
            case "base":
                raise BaseException("not even an Exception")
            case "exit":
                raise SystemExit(3)
            case "cancel":
                raise asyncio.CancelledError
        return object()  # type: ignore[return-value]  # junk: not what was declared


class Ledger(Logged, name="ledger", version="1.0.0"):
    """Keeps entries in a file that all instances share."""

    async def on_start(self) -> None:
        await super().on_start()
        self._db = sqlite3.connect(os.path.join(self.options.log, "ledger.db"), timeout=20.0, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")  # outlives a killed process all the same
        self._db.execute("CREATE TABLE IF NOT EXISTS entry (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE)")

    async def on_stop(self) -> None:
        self._db.close()
        await super().on_stop()

    @api(keyed=True)
    async def enter(self, id: str) -> int:
        """One entry; its number. What was begun by an instance that was killed is begun again by another: the entry has the key."""
        self.journal.write("ran", id=id)
        await asyncio.sleep(self.delay)
        self._db.execute("INSERT INTO entry (key) VALUES (?) ON CONFLICT DO NOTHING", (context().idempotency_key,))
        await asyncio.sleep(self.delay)
        return int(
            self._db.execute("SELECT number FROM entry WHERE key = ?", (context().idempotency_key,)).fetchone()[0]
        )


class Kitchen(Logged, name="kitchen", version="1.0.0"):
    """Four at a time, `delay` seconds each: those beyond wait."""

    async def on_start(self) -> None:
        await super().on_start()
        self.places = asyncio.Semaphore(4)

    async def _cook(self, id: str) -> str:
        self.journal.write("ran", id=id)
        async with self.places:
            await asyncio.sleep(self.delay)
        return self.journal.node

    @api
    async def cook(self, id: str) -> str:
        """Of normal priority."""
        return await self._cook(id)

    @api(priority="high")
    async def serve(self, id: str) -> str:
        """Of high priority."""
        return await self._cook(id)

    @api(priority="low")
    async def taste(self, id: str) -> str:
        """Of low priority."""
        return await self._cook(id)


class Made(Struct, frozen=True):
    """The payload of the event. `trouble` tells consumers what to do: "poison", "hang 0.5", "progress 0.5", "retry", "reject"."""

    source: str
    sequence: int
    trouble: str = ""
    ballast: str = ""


class Source(Logged, name="source", version="1.0.0"):
    """Owns the event. The scenarios publish it in its place, or tell it to."""

    @publish
    def made(self, source: str, sequence: int, trouble: str = "", ballast: str = "") -> Made:
        """Something was made."""
        return Made(source, sequence, trouble, ballast)

    @api
    async def burst(self, source: str, count: int) -> int:
        """Publish so many events without a pause, noting each that is accepted."""
        return sum(await asyncio.gather(*(self._one(source, each) for each in range(count))))

    async def _one(self, source: str, sequence: int) -> int:
        try:
            accepted = await self.made(source, sequence)
        except Exception as error:
            self.journal.write("failed", source=source, sequence=sequence, error=repr(error))
            return 0
        self.journal.write("accepted", source=source, sequence=sequence, id=accepted.id)
        return 1


class _Consumer(Logged):
    async def handle(self, group: str, event: Made) -> None:
        delivery = context().delivery
        assert delivery is not None
        token = f"{self.journal.node}/{delivery.id}/{time.monotonic_ns()}"
        facts = {"id": delivery.id, "group": group, "token": token}
        self.journal.write("handling", count=delivery.delivery_count, again=delivery.redelivered, **facts)
        await self._trouble(event.trouble, delivery.delivery_count)
        if self.delay:
            await asyncio.sleep(self.delay)
        self.journal.write("handled", **facts)

    async def _trouble(self, trouble: str, count: int) -> None:
        what, _, number = trouble.partition(" ")
        if what == "poison":
            raise RuntimeError("this event can't be handled")
        if what == "reject":
            raise Reject("this event is not wanted")
        if what == "retry" and count <= 1:
            raise Retry(after=float(number or 0))
        if what == "hang" and count <= 1:
            await asyncio.sleep(float(number))
        if what == "slow":
            await asyncio.sleep(float(number))
        if what == "progress":
            until = time.monotonic() + float(number)
            while time.monotonic() < until:
                await asyncio.sleep(0.05)
                await context().delivery.in_progress()  # type: ignore[union-attr]


class Stock(_Consumer, name="stock", version="1.0.0"):
    """One instance of it handles each event."""

    @xsubscribe(Source.made)
    async def count(self, event: Made) -> None:
        await self.handle("stock", event)


class Mail(_Consumer, name="mail", version="1.0.0"):
    """A second group."""

    @xsubscribe(Source.made)
    async def send(self, event: Made) -> None:
        await self.handle("mail", event)


class Gauge(Logged, name="gauge", version="1.0.0"):
    """Each instance of it hears each event."""

    @subscribe(Source.made)
    async def show(self, event: Made) -> None:
        self.journal.write("heard", source=event.source, sequence=event.sequence)
        if event.trouble.startswith("block "):
            time.sleep(float(event.trouble.partition(" ")[2]))  # noqa: ASYNC251 - the fault itself


class Front(Logged, name="front", version="1.0.0"):
    """Needs a worker."""

    worker = client(Worker, version="1")

    @api
    async def ask(self, id: str) -> str:
        return await self.worker.look(id)


class Hen(Logged, name="hen", version="1.0.0"):
    """One half of a circle."""

    egg = client("egg", version="1")

    @api
    async def lay(self) -> str:
        return "egg"


class Egg(Logged, name="egg", version="1.0.0"):
    """The other half."""

    hen = client("hen", version="1")

    @api
    async def hatch(self) -> str:
        return "hen"


class Weak(Logged, name="weak", version="1.0.0"):
    """Does not start."""

    async def on_start(self) -> None:
        raise RuntimeError("this service can't start")
