"""The hub over real sockets: the first holds it, the others join, a survivor takes over, what has to live on is handed over."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.ports import free_port as _free_port
from vyked_host import Service, api
from vyked_host.assembly import hubs as hubs_module
from vyked_host.assembly.environment import Workshop
from vyked_host.assembly.hubs import Hubs
from vyked_host.assembly.prepare import prepare
from vyked_host.contracts import Hub, Term
from vyked_host.errors import Away, InvalidPayload, NotFound, StartError, UsageError, VykedError
from vyked_host.routing.meeting import Place
from vyked_host.runtime.guests import Guests
from vyked_host.runtime.hub import MeshHub
from vyked_host.testing.waiting import eventually


class Ledger(Service, name="toy-ledger", version="1.0.0"):
    """A desk that keeps a list, and hands it on."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.opened = self.closed = False

    async def open(self) -> None:
        self.opened = True

    async def close(self, heir: Term | None) -> None:
        self.closed = True
        if heir is not None:
            for each in self.kept:
                await heir.desk(Ledger).keep(each)

    @api
    async def keep(self, line: str) -> int:
        self.kept.append(line)
        return len(self.kept)

    @api
    async def all(self) -> list[str]:
        return list(self.kept)

    @api
    async def follow(self) -> AsyncIterator[str]:
        for each in self.kept:
            yield each
        await asyncio.get_running_loop().create_future()


class Unknown(Service, name="toy-unknown", version="1.0.0"):
    """A desk that nobody offers."""

    @api
    async def ask(self) -> str:
        return ""


class Party:
    """The hubs of one test."""

    def __init__(self, address: str | None, mesh: str) -> None:
        self.address, self.mesh = address, mesh
        self._stack = contextlib.AsyncExitStack()

    async def guest(self, *, mesh: str = "", may_hold: bool = True, stop_s: float = 0.0) -> Guest:
        return await self._stack.enter_async_context(_guest(self.address, mesh or self.mesh, may_hold, stop_s))

    async def aclose(self) -> None:
        await self._stack.aclose()


class Guest:
    """One node's view of the hub."""

    def __init__(self, hubs: Hubs, hub: Hub) -> None:
        self.hubs, self.hub = hubs, hub

    async def ledger(self) -> Ledger:
        return (await self.hub.term()).desk(Ledger)

    @property
    def holder(self) -> str | None:
        return self.hub.holder if isinstance(self.hub, MeshHub) else None

    async def leave(self) -> None:
        await self.hubs.aclose()


@asynccontextmanager
async def _guest(address: str | None, mesh: str, may_hold: bool, stop_s: float = 0.0) -> AsyncIterator[Guest]:
    timing = "[timing]\nping = 0.2\ndial = 0.5\n" + (f"stop = {stop_s}\n" if stop_s else "")
    ready = prepare(None, text=f'[host]\nmesh = "{mesh}"\n{timing}[plugins]\nautoload = false\n')
    workshop = Workshop(ready.loaded.require(), ready.catalogue)
    workshop.load_serializers()
    with ThreadPoolExecutor(1) as threads:
        hubs = Hubs(workshop, threads, may_hold=may_hold)
        hub = hubs.at(address)
        hub.offer(Ledger, Ledger)
        try:
            yield Guest(hubs, hub)
        finally:
            await hubs.aclose()
            await workshop.tasks.cancel()
            workshop.clock.close()


@pytest.fixture
def free_port() -> int:
    return _free_port()


@pytest.fixture
async def party(free_port: int) -> AsyncIterator[Party]:
    found = Party(f"127.0.0.1:{free_port}", f"hub-{free_port}")
    yield found
    await found.aclose()


async def test_the_first_holds_and_the_others_call(party: Party) -> None:
    first, second, third = [await party.guest() for _ in range(3)]
    assert (await first.hub.term()).is_here
    assert await (await second.ledger()).keep("a") == 1
    assert await (await third.ledger()).keep("b") == 2
    assert await (await first.ledger()).all() == ["a", "b"]
    assert not (await third.hub.term()).is_here


async def test_many_who_begin_at_once_agree_on_one_holder(party: Party) -> None:
    guests = [await party.guest() for _ in range(8)]
    terms = await asyncio.gather(*(each.hub.term() for each in guests))
    assert len({term.node_id for term in terms}) == 1
    assert sum(term.is_here for term in terms) == 1


async def test_streams_come_from_the_holder(party: Party) -> None:
    first, second = [await party.guest() for _ in range(2)]
    await (await first.ledger()).keep("a")
    async with (await second.ledger()).follow() as lines:
        assert await anext(lines) == "a"


async def test_a_holder_that_stops_hands_over_to_a_survivor(party: Party) -> None:
    first, second, third = [await party.guest() for _ in range(3)]
    await first.ledger()
    before = [await each.hub.term() for each in (second, third)]
    await (await second.ledger()).keep("precious")
    await first.leave()
    await eventually(lambda: all(term.over.done() for term in before))
    assert await (await third.ledger()).all() == ["precious"]
    after = [await each.hub.term() for each in (second, third)]
    assert sum(term.is_here for term in after) == 1
    assert len({term.node_id for term in after}) == 1


async def test_a_client_waits_for_the_next_term(party: Party) -> None:
    first, second = [await party.guest() for _ in range(2)]
    await first.ledger()
    await second.ledger()
    await first.leave()
    term = await second.hub.term()
    assert term.is_here
    assert await term.desk(Ledger).keep("x") == 1


async def test_another_mesh_on_a_given_address_is_refused_by_name(party: Party) -> None:
    first = await party.guest()
    await first.hub.term()
    stranger = await party.guest(mesh="elsewhere")
    with pytest.raises(StartError, match=f"(?s)elsewhere.*mesh '{party.mesh}'"):
        await stranger.hub.term()


async def test_without_an_address_two_meshes_have_two_places(free_port: int) -> None:
    one, other = Party(None, f"hub-a{free_port}"), Party(None, f"hub-b{free_port}")
    try:
        guests = [await party.guest() for party in (one, other, one, other)]
        terms = [await guest.hub.term() for guest in guests]
        assert terms[0].node_id == terms[2].node_id
        assert terms[1].node_id == terms[3].node_id
        assert terms[0].node_id != terms[1].node_id
    finally:
        await one.aclose()
        await other.aclose()


async def test_of_two_holders_the_one_at_the_earlier_place_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """One began while something silent sat at the first place; later a holder of the same mesh has that."""
    first, second = Place(host="127.0.0.1", port=_free_port()), Place(host="127.0.0.1", port=_free_port())
    monkeypatch.setattr(hubs_module, "places", lambda _mesh: (first, second))
    mesh = f"hub-{first.port}"
    anywhere, at_first = Party(None, mesh), Party(first.text, mesh)
    try:
        with socket.create_server((first.host, first.port)):  # the kernel takes connections, nobody answers
            young = await anywhere.guest()
            await (await young.ledger()).keep("precious")
        elder = await at_first.guest()
        await elder.hub.term()
        await eventually(lambda: young.holder == elder.holder)
        assert await (await young.ledger()).all() == ["precious"]
    finally:
        await anywhere.aclose()
        await at_first.aclose()


async def test_something_else_on_the_address_is_said(party: Party, free_port: int) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", free_port)
    guest = await party.guest()
    with pytest.raises(StartError, match=f"127.0.0.1:{free_port}"):
        await guest.hub.term()
    server.close()
    await server.wait_closed()


async def test_who_may_not_hold_says_that_nobody_is_there(party: Party) -> None:
    guest = await party.guest(may_hold=False)
    with pytest.raises(StartError, match=f"no host of mesh '{party.mesh}'"):
        await guest.hub.term()


async def test_a_place_of_another_machine_is_not_opened_here() -> None:
    party = Party("192.0.2.1:4500", "hub-far")  # RFC 5737: nobody's address
    guest = await party.guest()
    with pytest.raises(StartError, match=r"192\.0\.2\.1:4500"):
        await guest.hub.term()
    await party.aclose()


async def test_a_desk_that_the_holder_lacks_is_not_found(party: Party) -> None:
    first, second = [await party.guest() for _ in range(2)]
    await first.hub.term()
    with pytest.raises(NotFound, match="toy-unknown"):
        await (await second.hub.term()).desk(Unknown).ask()
    with pytest.raises(UsageError, match="Unknown"):
        (await first.hub.term()).desk(Unknown)


async def test_a_call_to_a_holder_that_left_fails_at_once(party: Party) -> None:
    first, second = [await party.guest() for _ in range(2)]
    await first.ledger()
    ledger, term = await second.ledger(), await second.hub.term()
    await first.leave()
    await eventually(term.over.done)
    with pytest.raises(VykedError):
        await ledger.keep("late")


async def test_who_waits_for_a_term_of_a_hub_that_is_left_is_told(party: Party) -> None:
    holder, second = [await party.guest() for _ in range(2)]
    await holder.ledger()
    hub: Any = second.hub
    term: Any = await hub.term()
    hub._cancel()  # nobody looks for the next
    term.over.set_result("it ended")
    waiting = asyncio.ensure_future(hub.term())
    await eventually(lambda: hub._changed._waiters)
    await second.leave()
    with pytest.raises(Away, match="this host leaves the hub"):
        await waiting


async def test_a_hub_that_was_left_is_not_found_again(party: Party) -> None:
    holder = await party.guest()
    await holder.leave()
    with pytest.raises(Away, match="this host leaves the hub"):
        await holder.hub.term()
    assert holder.holder is None


async def test_the_desks_are_closed_also_when_looking_for_an_heir_fails(
    party: Party, caplog: pytest.LogCaptureFixture
) -> None:
    holder, second = [await party.guest() for _ in range(2)]
    ledger = await holder.ledger()
    await second.ledger()
    hub: Any = holder.hub

    async def fails() -> None:
        raise ZeroDivisionError("a defect")

    hub._heir = fails
    await holder.leave()
    assert ledger.closed
    assert "looking for who takes over the hub failed" in caplog.text


async def test_a_holder_looks_for_the_next_one_for_half_the_time_that_stopping_may_take(
    party: Party, caplog: pytest.LogCaptureFixture
) -> None:
    holder, other = [await party.guest(stop_s=0.4) for _ in range(2)]
    await holder.ledger()
    await other.ledger()
    other.hub._can_bind = frozenset()  # type: ignore[attr-defined]
    await holder.leave()
    assert "nobody took over the hub within 0.2 s" in caplog.text


async def test_a_holder_that_was_held_up_while_it_looked_looks_again_before_it_gives_up(party: Party) -> None:
    """Its time is over then, and the next holder has been there for long."""
    holder, other = [await party.guest() for _ in range(2)]
    await (await holder.ledger()).keep("what has to live on")
    await other.ledger()
    hub: Any = holder.hub
    look, began, clock = hub._probe.look, hub._clock.now(), hub._clock

    class HeldUp:
        ahead = 0.0

        def now(self) -> float:
            return float(clock.now()) + self.ahead

    async def looked(places: Any) -> Any:
        found = await look(places)
        if not hub._clock.ahead:  # after the first look
            assert "ours" not in [each.found for each in found]
            hub._clock.ahead = 1000.0
        return found

    hub._clock, hub._probe.look = HeldUp(), looked
    await holder.leave()
    assert hub._clock.now() - began >= 1000.0
    assert await (await other.ledger()).all() == ["what has to live on"]


async def test_the_next_holder_is_looked_for_while_the_connection_to_the_last_is_still_being_closed(
    party: Party,
) -> None:
    """To close one to a holder that hangs takes as long as `[timing] write`: what it does not read has to be given up first."""
    holder, other = [await party.guest() for _ in range(2)]
    await holder.ledger()
    term: Any = await other.hub.term()
    leave, hangs = term.aclose, asyncio.Event()

    async def closes_late() -> None:
        await hangs.wait()
        await leave()

    term.aclose = closes_late
    await holder.leave()
    await eventually(lambda: other.holder is not None)
    assert (await other.hub.term()).is_here
    hangs.set()


async def test_the_guest_book_takes_no_name_of_any_length(party: Party) -> None:
    holder, other = [await party.guest() for _ in range(2)]
    await holder.ledger()
    book = (await other.hub.term()).desk(Guests)
    with pytest.raises(InvalidPayload):
        await book.sign("n" * 257)
