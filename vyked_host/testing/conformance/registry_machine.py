"""Any sequence of what can happen to nodes and their registry, against a model of a few lines: who is there, with which record.

Nodes are announced, updated, withdrawn, killed, made mute, and speak for lives that are over; the registry starts anew. A node
that is there may be doubted, but never be gone from a view; a view never goes back; and once all is quiet every view shows exactly
who is there, without a doubt.

Where time is real nothing is taken for a fault that a slow machine explains: what has to come is waited for as long as `eventually` waits,
and a node whose process had no processor for a heartbeat counts as one that fell silent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ...contracts import Lease, NodeRecord, Provider, Registry, Taken
from ...errors import Unavailable
from .. import waiting
from ..virtual_time import virtual_time
from .company import QUICK, Company, Member
from .observer import QUIET_S, Observer

NAMES = ("a", "b", "c", "d")
A_MOMENT_S = 0.15
LOOK_S = 0.02
BACK_IN = 8
"""Moments, which are two leases."""

nodes = st.sampled_from(NAMES)
services = st.sets(st.sampled_from(["shop", "cart"]), min_size=1).map(sorted)


class RegistryMachine(RuleBasedStateMachine):
    """The rules. Runs an event loop of its own, in virtual time where `virtual`."""

    def __init__(self, provider: Provider[Registry], options: msgspec.Struct, *, virtual: bool) -> None:
        super().__init__()
        self._loop = asyncio.SelectorEventLoop()
        self._time = contextlib.ExitStack()
        self._company = Company(provider, options, QUICK)
        self._members: dict[str, Member] = {}
        self._virtual = virtual
        # ---- the model
        self.there: dict[str, NodeRecord] = {}
        self.leases: dict[str, Lease] = {}
        self.over: list[tuple[str, Lease]] = []
        self.muted: set[str] = set()  # in the life that runs
        self.returning: set[str] = set()  # were silent since all was quiet last, so may have been removed
        self.ghosts: set[str] = set()  # died in silence: it may take long until they are given up
        self.known: set[str] = set()  # were known after the last step, in the life that runs
        # ---- where time is real
        self._pulse: asyncio.Task[None] | None = None
        self._beat_at = self._starved_s = 0.0

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    @initialize(first=st.sets(nodes, min_size=2))
    def begin(self, first: set[str]) -> None:
        """Four nodes, of which at least two are announced, and one more that only watches."""
        self._run(self._begin())
        for node in sorted(first):
            self._run(self._announce(node, self._members[node].record("shop")))

    async def _begin(self) -> None:
        if self._virtual:
            self._time.enter_context(virtual_time())
        for name in (*NAMES, "watcher"):
            self._members[name] = await self._company.join(name)
        self._observer = Observer(self._members["watcher"])
        if not self._virtual:
            self._pulse = asyncio.ensure_future(self._beat())
        await asyncio.sleep(A_MOMENT_S)

    # ---- what can happen ---------------------------------------------------------------------------------------------
    @rule(node=nodes, services=services)
    def announce(self, node: str, services: list[str]) -> None:
        """A node is announced, for the first time or anew."""
        if not self._members[node].seat.mute:
            self._run(self._announce(node, self._members[node].record(*services)))

    async def _announce(self, node: str, record: NodeRecord) -> None:
        lease = await self._members[node].registry.announce(record)
        self.known.discard(node)
        if node in self.leases:
            self.over.append((node, self.leases[node]))
        self.leases[node], self.there[node] = lease, record
        self.ghosts.discard(node)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), services=services)
    def update(self, data: Any, services: list[str]) -> None:
        """A node says something else of itself."""
        node = data.draw(st.sampled_from(sorted(self.leases)))
        if not self._members[node].seat.mute:
            record = self._members[node].record(*services)
            self._run(self._update(node, record))

    async def _update(self, node: str, record: NodeRecord) -> None:
        try:
            await self.leases[node].update(record)
        except Unavailable:  # the registry started anew just now: the node is announced anew as well
            await self._announce(node, record)
        self.there[node] = record

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def withdraw(self, data: Any) -> None:
        """A node leaves, and is gone at once."""
        node = data.draw(st.sampled_from(sorted(self.leases)))
        if not self._members[node].seat.mute:
            self._run(self.leases[node].withdraw())
            self._forget(node)
            self._run(asyncio.sleep(A_MOMENT_S))
            self._run(self._comes(lambda: node not in self._observer.view.nodes))
            assert node not in self._observer.view.nodes, f"{node} was withdrawn and is still known"

    def _forget(self, node: str) -> None:
        self.over.append((node, self.leases.pop(node)))
        self.known.discard(node)
        del self.there[node]

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def die(self, data: Any) -> None:
        """A node's process ends without a word."""
        self._die(data.draw(st.sampled_from(sorted(self.leases))))

    @precondition(lambda self: self._virtual and self.leases)
    @rule(data=st.data())
    def die_and_be_missed(self, data: Any) -> None:
        """A node's process ends without a word, and after a while all know: chance alone seldom has these two in a row."""
        self._die(data.draw(st.sampled_from(sorted(self.leases))))
        self.settle()

    def _die(self, node: str) -> None:
        self._run(self._members[node].die())
        self._forget(node)
        self.ghosts |= {node} & self.muted
        self.muted.discard(node)

    @rule(node=nodes)
    def fall_silent(self, node: str) -> None:
        """Nothing a node says is heard any more, but nothing was seen to end."""
        self._members[node].seat.mute = True
        self.muted.add(node)
        self.returning.add(node)

    @rule(node=nodes)
    def speak_again(self, node: str) -> None:
        """It is heard again."""
        self._members[node].seat.mute = False

    @rule()
    def lose_the_registry(self) -> None:
        """It starts anew, and empty."""
        self._run(self._company.hub.end())

    @precondition(lambda self: self.over)
    @rule(data=st.data())
    def speak_for_a_life_that_is_over(self, data: Any) -> None:
        """Stale messages change nothing: the other rules would see it."""
        node, lease = data.draw(st.sampled_from(self.over))
        if not self._members[node].seat.mute:
            self._run(self._stale(node, lease))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def be_followed(self, data: Any) -> None:
        """A node is announced anew, and something that it sent before comes after."""
        node = data.draw(st.sampled_from(sorted(self.leases)))
        if not self._members[node].seat.mute:
            before = self.leases[node]
            self._run(self._announce(node, self.there[node]))
            self._run(self._stale(node, before))

    async def _stale(self, node: str, lease: Lease) -> None:
        with contextlib.suppress(Unavailable):
            await lease.update(self._members[node].record("stale"))
        await lease.withdraw()

    @rule(seconds=st.floats(0.0, 2 * QUICK.lease))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self._run(asyncio.sleep(seconds))

    @rule()
    def settle(self) -> None:
        """All are heard again and nothing happens for a while: every view is right."""
        self._hear_all()
        self._run(self._settle(patient=self._virtual))

    def _hear_all(self) -> None:
        for member in self._members.values():
            member.seat.mute = False

    async def _settle(self, *, patient: bool) -> None:
        for _ in range(10):
            await self._tend()
            await asyncio.sleep(QUIET_S / 10)
            if not patient and not self._wrong():  # real seconds: only at the end all of them are waited for
                break
        await self._comes(lambda: not self._wrong())
        wrong = self._wrong()
        assert not wrong, wrong
        self.returning.clear()

    def _wrong(self) -> str:
        known = {node: each for node, each in self._observer.view.nodes.items() if each.until is None}
        well = {node: each.record for node, each in known.items() if not each.doubt}
        if well != self.there:
            return f"{sorted(well)} are known, {sorted(self.there)} are there"
        return "" if set(known) - set(well) <= self.ghosts else f"doubts were left: {known}"

    # ---- what always holds -------------------------------------------------------------------------------------------
    async def _tend(self) -> None:
        """Do as a node does: announce again what was lost."""
        for node, lease in list(self.leases.items()):
            if lease.lost.done() and not self._members[node].seat.mute:
                assert not isinstance(lease.lost.result(), Taken), f"nobody took {node}: {lease.lost.result()}"
                await self._announce(node, self.there[node])

    @invariant()
    def a_node_that_is_there_is_known(self) -> None:
        """Doubted perhaps, but never gone."""
        if not self._members:
            return
        self._run(self._tend())
        self._run(asyncio.sleep(A_MOMENT_S))
        self._run(self._tend())
        missing = self._missing()
        self.returning |= self._starved()
        lost = missing & self.known
        assert lost <= self.returning, f"{sorted(lost - self.returning)} are there and not known any more"
        self._run(self._comes(lambda: self._missing() <= self.returning))
        missing = self._missing()
        assert missing <= self.returning, f"{sorted(missing - self.returning)} are there and not known"
        moments = BACK_IN if missing else 0  # one that was removed for its silence is told of a moment after its return
        for _ in range(moments):
            self._run(self._tend())
            self._run(asyncio.sleep(A_MOMENT_S))
        self._run(self._comes(lambda: not self._missing()))
        missing = self._missing()
        assert not missing, f"{sorted(missing)} are heard again and not known"
        self.known = {node for node in self.there if not self._members[node].seat.mute}
        assert not self._observer.broken, self._observer.broken

    async def _comes(self, is_true: Callable[[], bool]) -> None:
        """Real time: wait until it is, as long as `eventually` does. What waits has to be asserted all the same."""
        until = self._loop.time() + (0.0 if self._virtual else waiting.WITHIN_S)
        while not is_true() and self._loop.time() < until:
            await self._tend()
            await asyncio.sleep(LOOK_S)

    async def _beat(self) -> None:
        """Real time: how long this process had no turn, between two steps too, in which no node says a word."""
        while True:
            self._beat_at = self._loop.time()
            await asyncio.sleep(LOOK_S)
            self._starved_s = max(self._starved_s, self._loop.time() - self._beat_at - LOOK_S)

    def _starved(self) -> set[str]:
        """Who may have been silent since the last step for want of a processor."""
        seconds, self._starved_s = self._starved_s, 0.0
        return set(self.there) if seconds >= QUICK.heartbeat else set()

    def _missing(self) -> set[str]:
        heard = {node for node in self.there if not self._members[node].seat.mute}
        return heard - set(self._observer.view.nodes)

    def teardown(self) -> None:
        """At the end all is quiet once more."""
        try:
            if self._members:
                self._hear_all()
                self._run(self._settle(patient=True))
        finally:
            self._end()

    def _end(self) -> None:
        try:
            if self._pulse is not None:
                self._pulse.cancel()
            self._run(self._company.aclose())
        finally:
            self._time.close()
            self._loop.close()
