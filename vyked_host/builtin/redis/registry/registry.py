"""The registry over a Redis or Valkey server: `contracts.Registry` without a process of ours. Every host keeps its own record alive
there and looks at the others for itself, when it is told of a change and once a sweep in any case."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
from redis.exceptions import RedisError

from ....catalog.state import Rules
from ....contracts import Change, Environment, Generation, Lease, NodeRecord, Registry
from ....errors import Unavailable
from ..errands import Errands
from ..keeper import Keeper
from ..line import Line
from ..options import RegistryOptions
from ..script import Script
from ..server import Server
from ..wire import Wire, Word
from .book import Book, Departing, Outcome
from .ears import Ears
from .keys import of_mesh
from .lease import RedisLease
from .scripts import ANNOUNCE, LOOK, NODES, REMOVE, SHARDED
from .sight import sight
from .watching import Inbox, Watch

RECORD_BYTES = 256 << 10
PAUSE_S = 0.01
"""Between two looks at least, so that many changes at once cost few looks."""
JITTER = 0.1
OVER = "the registry is closed: this host stops"
LOOKS_AT_LINKS = 0.5
"""Of a sweep without a look at connections by anybody, after which this reader asks for one."""


class RedisRegistry(Registry):
    """Nodes of one mesh in a Redis or Valkey server."""

    def __init__(self, options: RegistryOptions, env: Environment) -> None:
        self.options, self.env = options, env
        self.log, self.chance = env.log, env.rng.random
        self.server = server = Server(options.url, "registry.redis", env.namespace)
        self._keys = of_mesh(options.prefix, env.namespace)
        self._life = env.rng.getrandbits(62)
        timing = env.timing
        rules = Rules(
            heartbeat_s=timing.heartbeat, lease_s=timing.lease, gone_after_s=timing.gone_after, sweep_s=timing.sweep
        )  # fmt: skip
        self._book = Book(env.namespace, rules)
        self._leases: dict[str, RedisLease] = {}
        self._granted = 0
        self._inboxes: set[Inbox] = set()
        self._news = asyncio.Event()
        self._ears = Ears(self._keys.changes, server, env.log, self._news.set, self._there)
        most_s = min(timing.heartbeat, timing.ping)  # who waits longer to connect again is taken for silent
        self._listening = Keeper(
            "registry, listening", server, env, self._listen, joined=self._ears.joined, left=_ignore, most_s=most_s
        )  # fmt: skip
        self._asking = Keeper(
            "registry, asking", server, env, self._speak, joined=self._back, left=self._gone, most_s=most_s
        )  # fmt: skip
        self._errands = Errands(self._asking.wake, OVER)
        self._said = (0, 0)
        self._looked_at_links, self._looks = 0.0, ""
        self._stop_looking: Callable[[], None] | None = None
        self._removing: Callable[[], None] | None = None
        self._unread: set[str] = set()
        self._trouble = ""
        self._closed = False

    def _listen(self, wire: Wire) -> Line:
        return Line(wire, self.server, self.env, self._ears.take, self._ears.heard)

    def _speak(self, wire: Wire) -> Line:
        return Line(wire, self.server, self.env, self._errands.take, _ignore)

    # ---- contracts.Registry ------------------------------------------------------------------------------------------
    async def announce(self, record: NodeRecord) -> Lease:
        """Make `record` known. Raises errors.Unavailable when the registry is closed or away."""
        packed, pace_ms = self.packed(record), str(max(1, int(self.env.timing.heartbeat * 1000)))
        self._begin()
        highest = str(max(self._granted, self._book.highest))
        reply = await self.run(ANNOUNCE, record.node_id, str(self._life), packed, pace_ms, highest)
        if len(reply) == 1:
            raise Unavailable(f"this registry knows {NODES} nodes, which is all it takes", executed="not_executed")
        epoch, revision, counter, pace = reply
        self._granted = max(self._granted, counter)
        generation = Generation(epoch=int(epoch), counter=counter)
        lease = RedisLease(
            self, record.node_id, generation, life=self._life, revision=revision, pace_s=self.pace(pace)
        )  # fmt: skip
        before = self._leases.get(record.node_id)
        if before is not None:
            before.end("newer")
        self._leases[record.node_id] = lease
        self._ears.add(self._keys.link + lease.link)
        self._listening.wake()
        self.said(generation.epoch, revision)
        return lease

    def watch(self, services: frozenset[str] | None) -> AsyncIterator[Change]:
        """A snapshot first, then what changes, until the registry is closed."""
        inbox = Inbox(services, self._snapshot)
        self._inboxes.add(inbox)
        if self._closed:
            inbox.close()
        else:
            self._begin()

        def close() -> None:
            self._inboxes.discard(inbox)
            inbox.close()

        return Watch(inbox, close)

    def _snapshot(self) -> Change | None:
        """What is known; None while this host has said something that it has not seen there yet."""
        state, (epoch, revision) = self._book.state, self._said
        if state is None or (state.epoch == epoch and self._book.revision < revision):
            return None
        return self._book.snapshot()

    def said(self, epoch: int, revision: int) -> None:
        """What this host said is there from `revision` on."""
        self._said = (epoch, revision)
        self._news.set()

    async def aclose(self) -> None:
        """Watches end, leases are no longer kept. Idempotent."""
        self._closed = True
        if self._stop_looking is not None:
            self._stop_looking()
        if self._removing is not None:
            self._removing()
        for lease in list(self._leases.values()):
            lease.close()
        for inbox in list(self._inboxes):
            inbox.close()
        self._inboxes.clear()
        self._errands.close()
        await self._listening.aclose()  # first: the end of the other one would renew it
        await self._asking.aclose()

    # ---- for leases --------------------------------------------------------------------------------------------------
    def packed(self, record: NodeRecord) -> bytes:
        """`record` as it is kept. Raises errors.Unavailable where it can't be."""
        if record.namespace != self.env.namespace:
            text = f"this registry is of mesh {self.env.namespace!r}, node {record.node_id} is of {record.namespace!r}"
            raise Unavailable(text, executed="not_executed")
        packed = msgspec.msgpack.encode(record)
        if len(packed) > RECORD_BYTES:
            text = f"the record of node {record.node_id} has {len(packed)} bytes, a registry takes {RECORD_BYTES}"
            raise Unavailable(text, executed="not_executed")
        return packed

    def pace(self, wanted_ms: int) -> float:
        """Seconds between beats, where the mesh wants them every `wanted_ms`."""
        return min(self.env.timing.heartbeat, wanted_ms / 1000)

    def closed(self, lease: RedisLease) -> None:
        """`lease` is over."""
        if self._leases.get(lease.node_id) is lease:
            del self._leases[lease.node_id]
        self._ears.remove(self._keys.link + lease.link)
        if not self._closed:
            self._listening.wake()

    def spawn(self, body: Coroutine[Any, Any, None], name: str) -> Callable[[], None]:
        """Run `body` outside of whatever call runs now: its deadline and metadata are not those of the registry."""
        return contextvars.Context().run(self.env.tasks, body, name)

    async def run(self, script: Script, *arguments: Word) -> Any:
        """What the server answers to `script`, within ``[timing] dial``. Raises errors.Unavailable."""
        if self._closed:
            raise Unavailable(OVER, executed="not_sent")
        limit, keys = self.env.timing.dial, self._keys
        first = (keys.changes, str(self.env.rng.getrandbits(62)), f"{self.env.rng.getrandbits(62):x}", keys.link)
        try:
            async with asyncio.timeout(limit):
                here = SHARDED[script] if self.server.is_cluster else script
                return await self._errands.run(here, keys.all, *first, *arguments)
        except TimeoutError as error:
            away = f"did not answer within {limit:g} s" if self._asking.line is not None else "is away"
            text = f"the registry at {self.server.place} {away}: {self._asking.away}"
            raise Unavailable(text, executed="unknown") from error
        except RedisError as error:
            text = f"the registry refused: {self.server.words(error)}"
            raise Unavailable(text, executed="not_executed") from None  # the cause may quote the password

    # ---- the connection ----------------------------------------------------------------------------------------------
    def _begin(self) -> None:
        if self._stop_looking is None and not self._closed:
            self._listening.begin()
            self._asking.begin()
            self._stop_looking = self.spawn(self._look_on(), "registry watch")

    def _back(self) -> None:
        self._news.set()

    def _gone(self, cause: str) -> None:
        self._book.interrupted()
        if self.server.address.kind != "alone":
            self._listening.renew(cause)  # both go where the keys are, and links are looked at there

    def _there(self, channel: str) -> None:
        """The server has subscribed us."""
        for lease in self._leases.values():
            if channel == self._keys.link + lease.link:
                lease.is_heard()

    # ---- looking -----------------------------------------------------------------------------------------------------
    async def _look_on(self) -> None:
        while True:
            try:
                self._news.clear()
                await self._look()
                self._tell("")
            except Unavailable as error:
                self._tell(str(error))
            except Exception:
                self.log.exception("a look at the registry failed; it is looked again")
            await asyncio.sleep(min(PAUSE_S, self.env.timing.sweep / 4))
            sweep = self.env.timing.sweep * (1 - JITTER * self.chance())
            try:
                async with asyncio.timeout(sweep):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _tell(self, trouble: str) -> None:
        """Say once what keeps this host from looking, where it is not its connection, which says so itself."""
        if trouble and self._asking.line is None:
            self.log.debug("no look at the registry: %s", trouble)
        elif trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                self.log.warning("who is where is not seen, what was known last holds: %s", trouble)
            else:
                self.log.info("the registry is seen again")

    async def _look(self) -> None:
        book, now = self._book, self.env.clock.now
        epoch = str(book.state.epoch) if book.state is not None else ""
        reply = await self.run(
            LOOK, epoch, str(book.revision), book.tag, book.mark(now()), self._wanted_look(now())
        )  # fmt: skip
        try:
            seen = sight(reply)
        except ValueError as error:
            raise Unavailable(
                f"the registry at {self.server.place} can't be read: {error}", executed="executed"
            ) from None
        for each in set(seen.unread) - self._unread:
            self._unread.add(each)
            self.log.error("a record in the registry can't be read and is left out: %s", each)
        if book.state is not None and seen.epoch == book.state.epoch and seen.revision < book.revision:
            self._said = (0, 0)  # a server that lost the last it was told
        self._carry_out(book.take(seen, now()))

    def _wanted_look(self, now: float) -> str:
        """The number of looks at connections after which this reader wants another one; '': somebody else just asked."""
        if self._book.looks != self._looks:
            self._looks, self._looked_at_links = self._book.looks, now
            return ""
        return self._looks if now - self._looked_at_links >= LOOKS_AT_LINKS * self.env.timing.sweep else ""

    def _carry_out(self, outcome: Outcome) -> None:
        state = self._book.state
        assert state is not None
        for inbox in self._inboxes:
            if outcome.anew:
                inbox.begin()
            inbox.look()
            for change in outcome.changes:
                inbox.tell(change)
        for lease in list(self._leases.values()):
            lease.judge(state, self._book.revision)
        if outcome.departing and self._removing is None:
            self._removing = self.spawn(self._remove(state.epoch, outcome.departing), "registry removal")

    async def _remove(self, epoch: int, departing: tuple[Departing, ...]) -> None:
        words: list[str] = []
        for each in departing:
            words += (each.node_id, str(each.counter), "" if each.last is None else str(each.last))
        try:
            await self.run(REMOVE, str(epoch), str(self._book.removed), *words)
        except Unavailable as error:
            self.log.debug("who is gone could not be removed yet: %s", error)
        finally:
            self._removing = None


def _ignore(*_args: object) -> None:
    """Nothing to do."""
