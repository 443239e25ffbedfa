"""Cases for registries whose server an author's fixture can take away, and can be asked behind their backs. Part of the suite for
registries: left out where the fixtures `faults` and `peek` are not written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, ClassVar, Protocol

import msgspec
import pytest
import pytest_asyncio

from ...contracts import Lease, NodeRecord, Provider, Registry, Taken, TimingTable
from ...errors import Unavailable
from .. import waiting
from ..leftovers import leaks
from ..waiting import eventually
from .cases import asks_for
from .company import Company, Member, company
from .faulted import Fault, Faults, befall
from .observer import Observer
from .suite import Suite

TIMING = TimingTable(heartbeat=0.4, lease=2.4, sweep=0.1, gone_after=1.0, dial=2.0, ping=0.6, pong=1.0)
"""Short, and long beside what a busy machine holds a process up."""
AWAY_S = 1.25 * TIMING.lease
FAULTS = pytest.mark.parametrize("fault", ["cut", "kill", "pause"])


class RegistryPeek(Protocol):
    """What the fixture `peek` gives: the server of a registry, asked and told with another client than the plugin's."""

    async def nodes(self, mesh: str) -> set[str]:
        """Ids of the nodes that the server has records of."""
        ...

    async def put(self, mesh: str, node_id: str, junk: bytes) -> None:
        """Write bytes that are no record where that of `node_id` would be."""
        ...


class Announced:
    """A node that does as a host does: it is announced, and again whenever its lease is lost."""

    def __init__(self, member: Member, *services: str) -> None:
        self.member, self.record = member, member.record(*services)
        self.lives: list[Lease] = []
        self.taken = ""
        self.stop = member.env.tasks(self._stay(), f"announced: {member.env.node_id}")

    async def _stay(self) -> None:
        while not self.taken:
            self.lives.append(await announced(self.member.registry, self.record))
            lost = await self.lives[-1].lost
            self.taken = str(lost) if isinstance(lost, Taken) else ""

    async def die(self) -> None:
        """Its process ends without a word."""
        self.stop()
        await self.member.die()


async def announced(registry: Registry, record: NodeRecord) -> Lease:
    """Announce, again as long as the registry is away."""
    while True:
        try:
            return await registry.announce(record)
        except Unavailable:
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
class RegistryUnderFaults(Suite):
    """Write `faults` and `peek` (`Faults`, `RegistryPeek`); either may be left out. Also a suite of its own, for a class that starts a
    server for each case. `reaches` False: the registry knows the nodes of one process only."""

    reaches: ClassVar[bool] = True

    @pytest.fixture
    def faults(self) -> Faults | None:
        """What can be done to the server: to be written by who can."""
        return None

    @pytest.fixture
    def peek(self) -> RegistryPeek | None:
        """The server behind the plugin's back: to be written by who can."""
        return None

    @pytest_asyncio.fixture
    async def nodes(self, provider: Provider[Registry], options: msgspec.Struct) -> AsyncIterator[Company]:
        """Several nodes that are told to lose patience soon."""
        self._needs_reach()
        async with leaks(), company(provider, options, TIMING) as found:
            yield found

    def _needs_reach(self) -> None:
        if not self.reaches:
            pytest.skip("this registry says that it knows the nodes of one process only")

    @asks_for("faults")
    @FAULTS
    async def test_nobody_is_gone_while_the_server_is_away_and_then_all_goes_on(
        self, faults: Faults, nodes: Company, fault: Fault
    ) -> None:
        one, two, late = [await nodes.join(each) for each in ("one", "two", "late")]
        watcher, there = Observer(late, 2 * waiting.WITHIN_S), [Announced(each, "shop") for each in (one, two)]
        await eventually(lambda: watcher.sees("one", "two"))
        try:
            await befall(faults, fault)
            await asyncio.gather(_passes(late, AWAY_S), _told_in_time(late))
        finally:
            await faults.restore()
        lease = await _within(announced(late.registry, late.record("shop")))
        await eventually(lambda: watcher.sees("one", "two", "late"), 2 * waiting.WITHIN_S)
        assert not watcher.gone & {"one", "two"}
        assert not watcher.broken
        assert not [each.taken for each in there if each.taken]
        await lease.withdraw()
        await eventually(lambda: watcher.sees("one", "two"))

    @asks_for("faults")
    @FAULTS
    async def test_who_dies_while_the_server_is_away_is_found_out_when_it_is_back_and_nobody_else_is_gone(
        self, faults: Faults, nodes: Company, fault: Fault
    ) -> None:
        members = [await nodes.join(each) for each in ("one", "two", "three")]
        there = [Announced(each, "shop") for each in members]
        watcher = Observer(members[0], 2 * waiting.WITHIN_S)
        await eventually(lambda: watcher.sees("one", "two", "three"))
        try:
            await befall(faults, fault)
            await there[1].die()
        finally:
            await faults.restore()
        await eventually(lambda: watcher.sees("one", "three"), 2 * waiting.WITHIN_S)
        assert watcher.gone <= {"two"}
        assert not watcher.broken

    @asks_for("faults")
    async def test_a_life_after_the_server_died_is_another_and_fences_the_one_before(
        self, faults: Faults, nodes: Company
    ) -> None:
        one, other = await nodes.join("one"), await nodes.join("other")
        watcher = Observer(other, 2 * waiting.WITHIN_S)
        old = await announced(one.registry, one.record("shop"))
        await eventually(lambda: watcher.sees("one"))
        try:
            await befall(faults, "kill")
        finally:
            await faults.restore()
        new = await _within(announced(one.registry, one.record("cart")))
        assert new.generation != old.generation
        await eventually(lambda: old.lost.done(), 2 * waiting.WITHIN_S)
        assert not isinstance(old.lost.result(), Taken)
        with pytest.raises(Unavailable):
            await old.update(one.record("wrong"))
        await eventually(lambda: _is(watcher, "one", new, one.record("cart")), 2 * waiting.WITHIN_S)

    @asks_for("peek")
    async def test_the_server_has_whom_was_announced_and_nobody_else(self, peek: RegistryPeek, nodes: Company) -> None:
        one, two = await nodes.join("one"), await nodes.join("two")
        leases = [await announced(each.registry, each.record("shop")) for each in (one, two)]
        told = await peek.nodes(nodes.mesh)
        assert told == {"one", "two"}, f"`peek.nodes` says {told!r} where 'one' and 'two' are announced"
        for lease, left in zip(leases, ({"two"}, set()), strict=True):
            await lease.withdraw()
            told = await peek.nodes(nodes.mesh)
            assert told == left, f"`peek.nodes` says {told!r} where {left or 'nobody'} is left"

    @asks_for("peek")
    async def test_what_is_no_record_is_nobody_and_ends_nothing(self, peek: RegistryPeek, nodes: Company) -> None:
        one, other = await nodes.join("one"), await nodes.join("other")
        watcher, there = Observer(other, 2 * waiting.WITHIN_S), Announced(one, "shop")
        await eventually(lambda: watcher.sees("one"))
        for at, junk in enumerate((b"", b"\xff junk", b"\x91\x01", b"null")):
            await peek.put(nodes.mesh, f"junk-{at}", junk)
        await there.lives[-1].update(one.record("cart"))
        await eventually(lambda: watcher.sees("one") and _is(watcher, "one", there.lives[-1], one.record("cart")))
        assert not there.lives[-1].lost.done()


def _is(watcher: Observer, node_id: str, lease: Lease, record: NodeRecord) -> bool:
    found = watcher.view.nodes.get(node_id)
    return found is not None and (found.generation, found.record) == (lease.generation, record)


async def _told_in_time(member: Member) -> None:
    with suppress(Unavailable):  # or the registry is there again already
        async with asyncio.timeout(TIMING.dial + waiting.WITHIN_S):
            await member.registry.announce(member.record("shop"))


async def _passes(member: Member, seconds: float) -> None:
    until = member.env.clock.now() + seconds
    await eventually(lambda: member.env.clock.now() > until)


async def _within(work: Any) -> Any:
    async with asyncio.timeout(2 * waiting.WITHIN_S):
        return await work
