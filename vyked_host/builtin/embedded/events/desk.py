"""What nodes of a mesh call at the holder of the hub: a service like any other, around the broker of this term.

Handing over takes three steps, so that nothing falls between two holders: `finish` (accept nothing more, tell every node what
it is due, let go of the file), then the next holder opens its own desk, then `close` gives it what waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import Context as Variables
from typing import Self

from ....contracts import Environment, Term
from ....errors import NotSupported, StartError
from ....service.context import CURRENT
from ....service.decorators import api
from ....wire.envelope import MalformedEnvelope
from ..mishaps import Mishaps
from ..options import MIB, BusOptions
from .acceptance import outcome
from .broker import Broker
from .entry import MemoryStore, nothing
from .estate import bequeath, group_of, inherit, succession
from .inquiries import Inquiries, Moving
from .journal import Journal
from .letters import Batch, Heirloom, Joined, Letter, Refusal, Settlement, Succession, Taken, Wanted
from .parcel import Parcel
from .session import Session
from .stream import batches

MARGIN_S = 5.0
"""A stream ends by itself so long before its deadline."""
SETTLING_S = 0.5
"""After the hub has changed hands nothing is accepted for so long: its nodes come back first ([timing] scale applies)."""

ROSTER_S = 10.0
"""The same, where the earlier holder has told which nodes to wait for: less as soon as they are all there."""
FILE_S = 0.1
"""Between two tries to open a file that an earlier holder has not let go of ([timing] scale applies)."""


class BusDesk(Inquiries, name="vyked-bus", version="1.0.0"):
    """The event bus of one mesh, for one term."""

    @classmethod
    def furnished(cls, options: BusOptions, env: Environment, path: str | None, *, before: Succession | None) -> Self:
        """A desk for one term. `before`: what the earlier holder said when it gave up the hub, None: there was none; `path` is
        absolute."""
        desk = cls()
        desk._env = env
        desk._before = before
        desk.store = MemoryStore() if path is None else Journal(path, env, options.keep)
        wait = -math.inf if before is None else (ROSTER_S if before.roster else SETTLING_S) * env.timing.scale
        desk.broker = Broker(
            options, env, desk.store, env.clock.now() + wait, before.roster if before is not None else ()
        )
        desk.broker.regrouped = desk._rouse
        return desk

    def __init__(self) -> None:
        self.is_moving = self._is_given = False
        self._streams: set[asyncio.Event] = set()
        self._ended, self._opened = asyncio.Event(), asyncio.Event()
        self._before: Succession | None = None
        self._cancel: Callable[[], None] = nothing

    # ---- contracts.Desk ----------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Take up what the file has. Raises StartError when somebody else holds it, or it can't be used; after an earlier term
        it is waited for instead: a holder that hangs with the file must not keep the rest of the hub from opening."""
        if self._before is not None and isinstance(self.store, Journal):
            self._cancel = Variables().run(self._env.tasks, self._open_later(self.store), "opening the events' file")
        else:
            await self._open()

    async def _open(self) -> None:
        if isinstance(self.store, Journal):
            await self.store.open()
            self.store.restore(self.broker)
        for each in self._before.groups if self._before is not None else ():
            group_of(self.broker, each)
        self._opened.set()

    async def _open_later(self, store: Journal) -> None:
        told, mishaps = "", Mishaps(self._env.log, f"opening {store.path}")
        while not self._opened.is_set():
            try:
                await self._open()
            except StartError as error:
                if str(error) != told:
                    self._env.log.warning("events wait until it can be used: %s", error)
                told = str(error)
                await asyncio.sleep(FILE_S * self._env.timing.scale)
            except Exception as error:  # noqa: BLE001 - told; without it every publisher of the mesh would wait for ever
                mishaps.met(error)
                await store.aclose()  # what was read of it so far stays taken over
                await asyncio.sleep(FILE_S * self._env.timing.scale)

    async def ready(self) -> None:
        """Until what was kept is there. Raises Moving."""
        if not self._opened.is_set():
            await self._opened.wait()
        if self.is_moving:
            raise Moving("this holder gives up the hub")

    async def finish(self, within: float) -> None:
        """Accept nothing more, tell every node what it is due within so many seconds, let go of the file. Idempotent."""
        if self.is_moving:
            return
        self.is_moving = True
        self._cancel()
        self._opened.set()  # who waits for it hears that it is over
        self.broker.rest()
        self._rouse()
        if self._streams:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._ended.wait()
        if isinstance(self.store, Journal):
            await self.store.aclose()

    async def close(self, heir: Term | None) -> None:
        """Give what waits to the next holder, once; what nobody takes is told."""
        await self.finish(0.0)
        if not self._is_given:
            self._is_given = True
            await bequeath(self, heir, self._env)
        self.broker.close()

    # ---- publishing --------------------------------------------------------------------------------------------------
    @api(raises=[Moving])
    async def publish(self, letters: list[Letter]) -> Taken:
        """Accept events in their order: as many as there is room for now, at least the first one once there is."""
        await self.ready()
        accepting: list[Awaitable[None]] = []
        for letter in letters:
            found = self._offered(letter, first=not accepting)
            if isinstance(found, Refusal):
                return await outcome(accepting, found)
            if found is None:
                break
            accepting.append(found)
        return await outcome(accepting, None)

    def _offered(self, letter: Letter, *, first: bool) -> Awaitable[None] | Refusal | None:
        try:
            parcel = Parcel.of(letter.packed)
        except MalformedEnvelope as error:
            return Refusal("INVALID_ARGUMENT", str(error))
        if len(parcel.event.body) > MIB:
            return Refusal("TOO_LARGE", f"{parcel.topic}: {len(parcel.event.body)} bytes; this bus takes {MIB}")
        found = self.broker.offer(parcel)
        if found is None and first:
            return self.broker.admission.wait(parcel, self._env.clock.now() + letter.within)
        return found

    # ---- a node and its subscriptions --------------------------------------------------------------------------------
    @api(raises=[Moving])
    async def join(self, session: str, wanted: list[Wanted]) -> Joined:
        """The session of a node, with these subscriptions. Idempotent."""
        await self.ready()
        found = self.broker.session(session)
        refused: dict[int, str] = {}
        for each in wanted:
            try:
                self.broker.subscribe(found, each.index, each.subscription())
            except NotSupported as error:
                refused[each.index] = str(error)
            if each.paused:
                self.broker.pause(found, each.index)
        return Joined(found.born, refused)

    @api
    def leave(self, session: str, index: int) -> None:
        """End one subscription."""
        self._with(session, lambda found: self.broker.leave(found, index))

    @api
    def pause(self, session: str, index: int) -> None:
        """Nothing new for one subscription."""
        self._with(session, lambda found: self.broker.pause(found, index))

    @api
    def quit(self, session: str) -> None:
        """The node stops."""
        self._with(session, self.broker.end)

    @api(raises=[Moving])
    async def settle(self, session: str, settlements: list[Settlement]) -> None:
        """What became of deliveries; those that are not known any more are ignored."""
        await self.ready()
        self._with(session, lambda found: self._settle(found, settlements))
        await self.broker.written()

    def _settle(self, session: Session, settlements: list[Settlement]) -> None:
        for each in settlements:
            self.broker.settle(session, each.token, each.index, each.event_id, each.verdict())

    @api
    def pending(self, session: str, index: int) -> int:
        """Events that wait for the group of one subscription."""
        found = self.broker.sessions.get(session)
        return self.waiting(found, index) if found is not None else -1

    def waiting(self, session: Session, index: int) -> int:
        """Events that wait for the group of one subscription; -1: it has none."""
        group = session.groups.get(index)
        return group.waiting if group is not None else -1

    def _with(self, name: str, do: Callable[[Session], None]) -> None:
        found = self.broker.sessions.get(name)
        if found is not None:
            do(found)

    @api
    async def attach(self, session: str, born: int, held: list[int]) -> AsyncIterator[Batch]:
        """All that a node is due, from now on. `held`: the deliveries that it has from an earlier stream."""
        found = self.broker.sessions.get(session)
        if found is None or found.born != born:
            yield Batch([], [], "lost")
            return
        ready = asyncio.Event()
        found.give_again(frozenset(held))
        stream = self.broker.attach(found, ready.set)
        self._streams.add(ready)
        self._ended.clear()
        call = CURRENT.get(None)
        until = call.call.deadline - MARGIN_S if call is not None else math.inf
        try:
            async for batch in batches(
                found, ready, until=until, now=self._env.clock.now, moving=self._moving, news=self._news
            ):
                yield batch
        finally:
            self._streams.discard(ready)
            if not self._streams:
                self._ended.set()
            self.broker.detach(found, stream)

    def _rouse(self) -> None:
        """Every node has something to hear."""
        for ready in self._streams:
            ready.set()

    def _moving(self) -> Succession | None:
        return succession(self.broker, self.broker.roster()) if self.is_moving else None

    def _news(self, known: int) -> tuple[int, Succession] | None:
        """The groups, when there are others than at revision `known`: any node may be the next holder, without a word."""
        revision = self.broker.revision
        return (revision, succession(self.broker)) if revision != known else None

    # ---- from one holder to the next ---------------------------------------------------------------------------------
    @api
    def place(self) -> str:
        """Where events are kept, the same for the same file; "": in memory."""
        return self.store.place if isinstance(self.store, Journal) else ""

    @api(raises=[Moving])
    async def take_over(self, ids: list[str], estate: list[Heirloom]) -> int:
        """What an earlier holder leaves: ids of events it has accepted, and what waits. How many were new here."""
        await self.ready()
        return await inherit(self.broker, self.store, ids, estate, self._env.clock.now())
