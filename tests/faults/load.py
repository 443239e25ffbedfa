"""The workloads: W1 calls, W2 events, W3 watchers. They run in hosts of the test's own process and keep what they saw."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from vyked_host.assembly import Host
from vyked_host.contracts import Change
from vyked_host.errors import CallError

from .fleet import Made, Source, Worker
from .history import Call, Publication, Sight, breaches_of_watching, percentile


class Calls:
    """W1: `tasks` clients that make `rate` calls a second together, half of them idempotent."""

    def __init__(
        self, host: Host, *, tasks: int = 50, rate: float = 500.0, timeout: float = 5.0, name: str = "w1"
    ) -> None:
        self._worker = host.client(Worker)
        self._tasks, self._pause, self._timeout, self._name = tasks, tasks / rate, timeout, name
        self.made: list[Call] = []
        self.nodes: Counter[str] = Counter()
        self.asked: dict[str, str] = {}
        """Call that failed -> the node that was asked last."""
        self.answers: list[tuple[float, str]] = []
        self._running: list[asyncio.Task[None]] = []
        self._going = False

    async def __aenter__(self) -> Calls:
        self._going = True
        self._running = [asyncio.ensure_future(self._client(each)) for each in range(self._tasks)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """No new calls; wait for those that run."""
        self._going = False
        await asyncio.gather(*self._running)

    async def _client(self, number: int) -> None:
        due = time.monotonic() + self._pause * number / self._tasks
        count = 0
        while self._going:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += self._pause
            count += 1
            await self._one(f"{self._name}-{number}-{count}", idempotent=count % 2 == 0)

    async def _one(self, id: str, *, idempotent: bool) -> None:
        method = self._worker.look if idempotent else self._worker.work
        began, outcome, code = time.monotonic(), "ok", ""
        try:
            node = await method.using(timeout=self._timeout)(id)
        except CallError as error:
            outcome, code = error.executed, f"{error.code}: {error}"
            self.asked[id] = error.instance or ""
        else:
            self.nodes[node] += 1
            self.answers.append((time.monotonic(), node))
        self.made.append(Call(id, outcome, idempotent, began, time.monotonic(), code))  # type: ignore[arg-type]

    # ---- what it saw -----------------------------------------------------------------------------------------------
    @property
    def failed(self) -> list[Call]:
        return [each for each in self.made if each.outcome != "ok"]

    def failures(self) -> dict[str, int]:
        """How many failed, by outcome and code."""
        return dict(
            Counter(
                f"{each.outcome} {'idempotent ' if each.idempotent else ''}{each.code[:90]}" for each in self.failed
            )
        )

    def in_flight(self, at: float) -> list[Call]:
        """Calls that were running then."""
        return [each for each in self.made if each.began <= at <= each.ended]

    def took(self, share: float, since: float = 0.0) -> float:
        """Seconds that the slower calls took: a percentile of those that began after `since` and succeeded."""
        return percentile(
            [each.ended - each.began for each in self.made if each.began >= since and each.outcome == "ok"], share
        )

    def last_answer_of(self, node: str) -> float:
        """When `node` was last heard to answer."""
        return max((at for at, by in self.answers if by == node), default=0.0)


class Events:
    """W2: publishes `count` events, at most `window` not yet accepted, with an id and a sequence of one's own. `tries`: how often
    each, under the same id, where nobody knows whether it arrived."""

    def __init__(self, host: Host, source: str, *, window: int = 128, timeout: float = 5.0, tries: int = 1) -> None:
        self._host, self.source, self._tries = host, source, tries
        self._window, self._timeout = asyncio.Semaphore(window), timeout
        self.published: list[Publication] = []
        self.errors: Counter[str] = Counter()
        self._sequence = 0
        self._sending: set[asyncio.Task[None]] = set()

    async def send(self, count: int, *, trouble: str = "", pause: float = 0.0, ballast: str = "") -> None:
        """Publish so many and wait until each was accepted, or failed."""
        for _ in range(count):
            await self._window.acquire()
            self._sequence += 1
            task = asyncio.ensure_future(self._one(self._sequence, trouble, ballast))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
            await asyncio.sleep(pause)
        await asyncio.gather(*self._sending)

    async def _one(self, sequence: int, trouble: str, ballast: str) -> None:
        id, payload, acked = f"{self.source}-{sequence}", Made(self.source, sequence, trouble, ballast), False
        try:
            for tries in range(self._tries):
                acked = await self._try(id, payload, is_last=tries == self._tries - 1)
                if acked:
                    break
        except Exception as error:
            self.errors[f"no CallError: {error!r}"] += 1
        finally:
            self._window.release()
        self.published.append(Publication(id, acked, time.monotonic(), self.source, "made", sequence))

    async def _try(self, id: str, payload: Made, *, is_last: bool) -> bool:
        try:
            await self._host.publish(Source.made, payload, id=id, timeout=self._timeout)
        except CallError as error:
            which = "" if is_last else "tried again: "
            self.errors[f"{which}{error.executed} {error.code}: {str(error)[:80]}"] += 1
            return False
        return True

    @property
    def acked(self) -> int:
        return sum(each.acked for each in self.published)


class Watching:
    """One watcher of W3. `told` has every change with its time, `nodes` what is known after it."""

    def __init__(self, host: Host, name: str) -> None:
        self.name = name
        self.told: list[tuple[float, Change]] = []
        self.nodes: dict[str, Any] = {}
        self.gone: dict[str, float] = {}
        self.doubts: dict[str, str] = {}
        self._changes = host.node.registry.watch(None)
        self._task = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        async for change in self._changes:
            self.told.append((time.monotonic(), change))
            before = self.nodes
            told = {record.node_id for _, record in change.nodes} | set(change.gone)
            kept = {} if change.snapshot else {each: doubt for each, doubt in self.doubts.items() if each not in told}
            self.doubts = kept | dict(change.doubts)
            self.nodes = {} if change.snapshot else dict(before)
            for generation, record in change.nodes:
                self.nodes[record.node_id] = (generation, record)
                self.gone.pop(record.node_id, None)
            for node_id in change.gone:
                self.nodes.pop(node_id, None)
            for node_id in set(before) - set(self.nodes):
                self.gone[node_id] = time.monotonic()

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def sights(self) -> list[Sight]:
        return [Sight(self.name, change.epoch, change.revision, change.snapshot, at) for at, change in self.told]

    def breaches(self) -> list[str]:
        return breaches_of_watching(self.sights)

    @property
    def downs(self) -> dict[str, list[float]]:
        """Node id -> when it was shown as `down`: its connection lost, so that nobody calls it."""
        found: dict[str, list[float]] = {}
        for at, change in self.told:
            for node_id in (each for each, doubt in change.doubts.items() if doubt == "down"):
                found.setdefault(node_id, []).append(at)
        return found

    def notices(self, node_id: str, since: float = 0.0) -> list[float]:
        """When it was told anything of a node."""
        return [
            at for at, change in self.told
            if at >= since and (node_id in change.gone or any(record.node_id == node_id for _, record in change.nodes))
        ]  # fmt: skip


async def settles(figure: Callable[[], object], calm: float = 0.5, within: float = 20.0) -> None:
    """Wait until a figure has not changed for `calm` seconds."""
    until, last, since = time.monotonic() + within, figure(), time.monotonic()
    while time.monotonic() - since < calm:
        assert time.monotonic() < until, f"still changing after {within} s: {last}"
        await asyncio.sleep(0.02)
        if (now := figure()) != last:
            last, since = now, time.monotonic()


async def comes(look: Callable[[], Any], within: float, pause: float = 0.05) -> bool:
    """Did `look()` (a value, or something to await) come true in time? For what takes time to look at, and for what the history
    checker says better than a wait that failed."""
    until = time.monotonic() + within
    while True:
        found = look()
        if await found if inspect.isawaitable(found) else found:
            return True
        if time.monotonic() > until:
            return False
        await asyncio.sleep(pause)
