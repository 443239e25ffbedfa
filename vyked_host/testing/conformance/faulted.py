"""Cases for buses that speak to a server which an author's fixture can take away, and whose server can be asked behind their backs.
Part of the suite for buses: left out where the fixtures `faults` and `peek` are not written."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import pytest
import pytest_asyncio

from ...contracts import DeadLetters, Environment, Event, Guarantees, Provider, PubSub, Subscription, TimingTable
from ...errors import CallError
from ..leftovers import leaks
from ..surroundings import environment
from ..waiting import WITHIN_S, eventually
from .cases import asks_for, needs
from .events import ACK, Inbox, event, to
from .suite import Suite

IMPATIENT = TimingTable(ping=0.4, pong=0.3, dial=0.5)
"""What is silent for so long counts as lost: the times of the cases in which the server is."""
NOT_LONGER_S = 0.5
BURST, KILLED_AT = 200, 50
Fault = Literal["cut", "kill", "pause"]


class Faults(Protocol):
    """What the fixture `faults` gives: a server of its own, which `options` has to point to. `restore` ends whatever was done."""

    async def cut(self) -> None:
        """Nothing comes through to the server any more, nor back; connections stay open."""
        ...

    async def kill(self) -> None:
        """It dies without a word."""
        ...

    async def pause(self) -> None:
        """It stands still (SIGSTOP)."""
        ...

    async def restore(self) -> None:
        """It runs, with what it had written down, and is reached under the same address."""
        ...


class Peek(Protocol):
    """What the fixture `peek` gives: the server, asked and told with another client than the plugin's."""

    async def waiting(self, env: Environment, subscription: Subscription) -> int:
        """How many events the group has that are not acknowledged, says the server."""
        ...

    async def put(self, env: Environment, subscription: Subscription, junk: bytes) -> None:
        """Publish bytes that are no event where those of this topic are."""
        ...


class _Process(Protocol):
    def start(self) -> Any: ...
    def kill(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


class _Way(Protocol):
    def cut(self) -> float: ...
    def heal(self) -> float: ...


class ServerFaults:
    """`Faults` of a process that a test has started, behind a `Proxy`. `server` has plain methods `start`, `kill`, `freeze`, `thaw`."""

    def __init__(self, server: _Process, proxy: _Way) -> None:
        self._server, self._proxy, self._what = server, proxy, ""

    async def cut(self) -> None:
        """A partition."""
        self._what = "cut"
        self._proxy.cut()

    async def kill(self) -> None:
        """SIGKILL."""
        self._what = "kill"
        self._server.kill()

    async def pause(self) -> None:
        """SIGSTOP."""
        self._what = "pause"
        self._server.freeze()

    async def restore(self) -> None:
        """The end of it."""
        what, self._what = self._what, ""
        match what:
            case "cut":
                self._proxy.heal()
            case "kill":
                self._server.start()
            case "pause":
                self._server.thaw()


async def befall(faults: Faults, fault: Fault) -> None:
    """Let it happen to the server. Raises AssertionError where the fixture is not what it has to be."""
    begun = getattr(faults, fault, _absent)()
    assert inspect.isawaitable(begun), (
        f"the fixture `faults` gave a {type(faults).__name__}, whose {fault!r} is no `async def`: see vyked_host.testing.Faults"
    )
    await begun


def _absent() -> None:
    """In the place of a method that was not written."""


class Tried(NamedTuple):
    """A bus on bad days, and what it is given."""

    bus: PubSub
    env: Environment
    given: Guarantees

    async def publish(self, within: float = WITHIN_S) -> Event:
        """One event that the bus has taken."""
        sent = event(named=True)
        await self.bus.publish(sent, deadline=self.env.clock.now() + within)
        return sent

    async def persist(self) -> Event:
        """One event that the bus has taken, told it again under its id as long as it does not."""
        sent, until = event(named=True), self.env.clock.now() + WITHIN_S
        while True:
            try:
                await self.bus.publish(sent, deadline=self.env.clock.now() + 1.0)
                return sent
            except CallError:
                if self.env.clock.now() > until:
                    raise
                await asyncio.sleep(0.05)

    @property
    def survives(self) -> bool:
        """Is there a group that has what was accepted also after the server's death?"""
        return self.given.at_least_once and self.given.durability != "memory"


@pytest.mark.asyncio
class UnderFaults(Suite):
    """Write `faults` and `peek` (`Faults`, `Peek`); either may be left out. Also a suite of its own, for a class that starts a server
    for each case."""

    @pytest.fixture
    def faults(self) -> Faults | None:
        """What can be done to the server: to be written by who can."""
        return None

    @pytest.fixture
    def peek(self) -> Peek | None:
        """The server behind the plugin's back: to be written by who can."""
        return None

    @pytest_asyncio.fixture
    async def tried(
        self, provider: Provider[PubSub], options: msgspec.Struct, guarantees: Guarantees
    ) -> AsyncIterator[Tried]:  # fmt: skip
        """The object under test, which is told to lose patience soon."""
        async with leaks(), environment(timing=IMPATIENT) as env:
            bus = provider.build(options, env)
            yield Tried(bus, env, guarantees)
            await bus.aclose()

    @asks_for("faults")
    @pytest.mark.parametrize("fault", ["cut", "kill", "pause"])
    async def test_publishers_hear_in_time_that_the_server_is_away_and_then_all_goes_on(
        self, faults: Faults, tried: Tried, fault: Fault
    ) -> None:
        inbox = Inbox()
        await tried.bus.subscribe(to("g" if tried.given.at_least_once else None, "m"), inbox)
        first = await tried.publish()
        await eventually(lambda: first.id in inbox.ids)
        try:
            await befall(faults, fault)
            # the first may be on its way when the loss is found out, the other waits for a connection
            for _ in range(2):
                assert not await self._is_taken(tried), (
                    f"an event was accepted after `faults.{fault}`: the server can still be reached, or the bus says that it has what it has not"
                )
        finally:
            await faults.restore()
        await self._goes_on(tried, inbox)

    async def _is_taken(self, tried: Tried) -> bool:
        """Whether the bus takes an event, which it has to say in time."""
        try:
            async with asyncio.timeout(NOT_LONGER_S + WITHIN_S):
                await tried.publish(NOT_LONGER_S)
        except CallError:
            return False
        except TimeoutError:
            pytest.fail(
                f"a publisher that gave the bus {NOT_LONGER_S:g} s heard nothing for {NOT_LONGER_S + WITHIN_S:g} s"
            )
        return True

    async def _goes_on(self, tried: Tried, inbox: Inbox) -> None:
        """What is accepted from now on comes; for everybody, once they are all back, and whoever missed something was told."""
        async with asyncio.timeout(2 * WITHIN_S):
            last, sent = await tried.persist(), 1
            while last.id not in inbox.ids and not tried.survives:
                await asyncio.sleep(0.05)
                last, sent = await tried.persist(), sent + 1
        await eventually(lambda: last.id in inbox.ids)
        assert tried.survives or sent == 1 or any(each.gap for each in inbox.deliveries)

    @asks_for("faults")
    @needs("at_least_once", "durability.process")
    async def test_nothing_that_was_accepted_dies_with_the_server(self, faults: Faults, tried: Tried) -> None:
        is_back, accepted = asyncio.Event(), list[str]()
        inbox = Inbox(
            lambda _delivery: ACK if is_back.is_set() else None
        )  # a few are in hand when it dies, others wait
        await tried.bus.subscribe(to("g", "m", concurrency=8), inbox)

        async def publish() -> None:
            for _ in range(BURST // 10):
                accepted.append((await tried.persist()).id)

        burst = asyncio.gather(*(publish() for _ in range(10)))
        await eventually(lambda: len(accepted) >= KILLED_AT)
        try:
            await befall(faults, "kill")
        finally:
            await faults.restore()
        await burst
        await self._settled(inbox, set(accepted))
        firsts = Counter(each.event.id for each in inbox.deliveries if each.count == 1)
        assert max(firsts.values()) == 1  # what comes again says so

    async def _settled(self, inbox: Inbox, accepted: set[str]) -> None:
        """Wait until all have come, each of which is acknowledged."""
        done = 0
        async with asyncio.timeout(2 * WITHIN_S):
            while not accepted <= set(inbox.ids):
                for delivery in inbox.deliveries[done:]:
                    delivery.settle(ACK)
                done = len(inbox.deliveries)
                await asyncio.sleep(0.01)

    @asks_for("peek")
    @needs("at_least_once")
    async def test_the_server_has_what_was_not_acknowledged_and_nothing_else(self, peek: Peek, tried: Tried) -> None:
        group, inbox = to("g", "m"), Inbox(lambda _delivery: None)
        await tried.bus.subscribe(group, inbox)
        for _ in range(3):
            await tried.publish()
        await eventually(lambda: len(inbox.ids) == 3)
        told = await peek.waiting(tried.env, group)
        assert told == 3, f"`peek.waiting` says {told!r} while 3 events are delivered and none is acknowledged"
        for left in (2, 1, 0):
            await inbox.deliveries[left].settle(ACK)
            told = await peek.waiting(tried.env, group)
            assert told == left, f"`peek.waiting` says {told!r} once {3 - left} of 3 are acknowledged: {left} wait"

    @asks_for("peek")
    async def test_what_is_no_event_ends_nothing_and_is_kept_where_dead_letters_are(
        self, peek: Peek, tried: Tried
    ) -> None:
        inbox, whom = Inbox(), to("g" if tried.given.at_least_once else None, "m")
        await tried.bus.subscribe(whom, inbox)
        first = await tried.publish()
        await eventually(lambda: inbox.ids == [first.id])
        for junk in (b"", b"\xff junk", b"\x91\x01"):
            await peek.put(tried.env, whom, junk)
        last = await tried.publish()
        await eventually(lambda: last.id in inbox.ids)
        assert inbox.ids == [first.id, last.id]
        if tried.given.dead_letter and isinstance(tried.bus, DeadLetters):
            await _boxes(tried.bus, 3)


async def _boxes(bus: DeadLetters, wanted: int) -> None:
    """Wait until there are so many dead letters."""
    with suppress(TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            while sum(count for _, count in await bus.letterboxes()) != wanted:  # noqa: ASYNC110 - nobody tells of them
                await asyncio.sleep(0.01)
    found = sum(count for _, count in await bus.letterboxes())
    assert found == wanted, f"{found} dead letters, where `peek.put` has put {wanted} things that are no event"
