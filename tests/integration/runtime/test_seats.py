"""Calls inside one process take each other's seats: a handler that leaves something in its own leaves it to nobody.

All calls of a test are made within one turn of the loop, in which they are answered in their first step, one after the other. Each
claim is made of the composed way ("auto") and of the reference runner ("task").
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from vyked_host import Service, ServiceError, api, client, context
from vyked_host.assembly import Host
from vyked_host.errors import CallError
from vyked_host.runtime.inside import DEEPEST
from vyked_host.runtime.seats import Seat
from vyked_host.service.context import Context

TEXT = '[plugins]\nautoload = false\n[transports.local]\n[host]\nrunner = "{way}"\n'
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
WEAK: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()


class Declared(ServiceError, code="declared"):
    number: int


class Inner(Service, name="inner", version="1.0.0"):
    def __init__(self) -> None:
        self.kept: list[Any] = []

    @api
    async def finds(self, number: int) -> list[str]:
        """What of others is left here, if anything is."""
        task, found = own_task(), context()
        about = [found.call.body.number == number, found.description.name == "finds", found.headers in (None, {})]
        mine = [VARIABLE.get() == "unset", task not in WEAK, task.get_name() != "taken", not task.cancelling()]
        return [str(index) for index, each in enumerate(about + mine) if not each]

    @api
    async def keeps_its_context(self, number: int) -> None:
        self.kept.append(context())

    @api
    async def keeps_a_method_of_it(self, number: int) -> None:
        self.kept.append(context().onward)

    @api
    async def keeps_what_it_has_read(self, number: int) -> None:
        found = context()
        self.kept.append((found, found.call))

    @api
    async def keeps_a_copy_of_its_variables(self, number: int) -> None:
        self.kept.append(contextvars.copy_context())

    @api
    async def leaves_a_task(self, number: int) -> None:
        async def later() -> tuple[int, str]:
            found = context()
            return found.call.body.number, found.description.name

        self.kept.append(asyncio.ensure_future(later()))

    @api
    async def leaves_a_callback(self, number: int) -> None:
        asyncio.get_running_loop().call_soon(lambda: self.kept.append(context().call.body.number))

    @api
    async def sets_a_variable(self, number: int) -> None:
        VARIABLE.set("left")

    @api
    async def takes_it_back(self, number: int) -> None:
        VARIABLE.reset(VARIABLE.set("left"))

    @api
    async def takes_it_back_from_a_copy(self, number: int) -> None:
        token = VARIABLE.set("left")
        self.kept.append(contextvars.copy_context())
        VARIABLE.reset(token)

    @api
    async def keeps_its_task(self, number: int) -> None:
        self.kept.append(own_task())

    @api
    async def leaves_a_weak_reference(self, number: int) -> None:
        WEAK[own_task()] = 1

    @api
    async def takes_a_name(self, number: int) -> None:
        own_task().set_name("taken")

    @api
    async def takes_its_cancel_back(self, number: int) -> None:
        own_task().cancel()
        own_task().uncancel()

    @api
    async def reads_its_metadata(self, number: int) -> str:
        found = context()
        return found.metadata.get("own", "") + found.traceparent

    @api(raises=[Declared])
    async def fails(self, number: int) -> None:
        raise Declared(number)

    @api
    async def gives_itself_up(self, number: int) -> None:
        raise asyncio.CancelledError

    @api
    async def waits(self, number: int) -> int:
        await asyncio.sleep(0)
        return number

    @api
    async def keeps_on(self, number: int) -> Any:
        """A task of its own that goes on after the turn."""
        found = context()
        await asyncio.sleep(0)
        return [found is context(), found.call.body.number, found.description.name, found.remaining > 0]


LEAVES = [
    "keeps_its_context", "keeps_a_method_of_it", "keeps_what_it_has_read", "keeps_a_copy_of_its_variables", "leaves_a_task", "leaves_a_callback",
    "sets_a_variable", "takes_it_back", "takes_it_back_from_a_copy", "keeps_its_task", "leaves_a_weak_reference", "takes_a_name",
    "takes_its_cancel_back", "reads_its_metadata", "waits", "fails",
    "gives_itself_up",
]  # fmt: skip


class Outer(Service, name="outer", version="1.0.0"):
    inner = client(Inner)

    @api
    async def asks(self, number: int) -> list[str]:
        """Of its calls, each within its own first step, and of itself between them."""
        mine = context()
        told = [await self.inner.reads_its_metadata(number) for _ in range(2)]
        assert context() is mine
        assert mine.call.body.number == number
        return told


def own_task() -> asyncio.Task[Any]:
    found = asyncio.current_task()
    assert found is not None
    return found


@pytest.fixture(params=["auto", "task"])
async def host(request: pytest.FixtureRequest) -> AsyncIterator[Host]:
    async with Host(Inner, Outer, text=TEXT.format(way=request.param)) as running:
        for name in [*LEAVES, "finds", "keeps_on"]:  # the first call of an endpoint is looked at
            await asyncio.gather(method(running, name)(0), return_exceptions=True)
        running.instance(Inner).kept.clear()
        yield running


def method(host: Host, name: str) -> Callable[[int], Awaitable[Any]]:
    found: Callable[[int], Awaitable[Any]] = getattr(host.client(Inner), name)
    return found


def seats(host: Host) -> list[Seat]:
    inside = host.node.dispatcher.inside
    return list(inside.seats.spares) if inside is not None and inside.seats is not None else []


# ---- what is left behind ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("leaves", LEAVES)
async def test_what_a_handler_leaves_behind_the_next_one_does_not_meet(host: Host, leaves: str) -> None:
    for number in range(1, 20, 2):
        with contextlib.suppress(Declared, CallError):
            await method(host, leaves)(number)
        assert await host.client(Inner).finds(number + 1) == []


async def test_each_failure_is_that_of_its_call(host: Host) -> None:
    for number in range(20):
        with pytest.raises(Declared) as failed:
            await host.client(Inner).fails(number)
        assert failed.value.number == number


@pytest.mark.parametrize("leaves", LEAVES)
async def test_there_are_as_many_seats_after_what_was_left_as_before(host: Host, leaves: str) -> None:
    for number in range(3 * DEEPEST):
        with contextlib.suppress(Declared, CallError):
            await method(host, leaves)(number)
    inside = host.node.dispatcher.inside
    assert inside is None or inside.seats is None or inside.seats.left + len(inside.seats.spares) == DEEPEST


async def test_what_was_read_of_a_context_that_was_kept_stays_what_it_was(host: Host) -> None:
    for number in range(1, 20, 2):
        await host.client(Inner).keeps_what_it_has_read(number)
        await host.client(Inner).finds(number + 1)
    assert all(found.call is call for found, call in host.instance(Inner).kept)


@pytest.mark.parametrize("leaves", ["keeps_its_context", "keeps_a_method_of_it"])
async def test_a_context_that_was_kept_is_that_of_its_call_for_ever(host: Host, leaves: str) -> None:
    for number in range(1, 20, 2):
        await method(host, leaves)(number)
        await host.client(Inner).finds(number + 1)
    kept = [each if isinstance(each, Context) else each.__self__ for each in host.instance(Inner).kept]
    assert [each.call.body.number for each in kept] == list(range(1, 20, 2))
    assert {each.endpoint for each in kept} == {f"inner.{leaves}"}
    assert len({each.call.id for each in kept}) == len({each.deadline for each in kept}) == 10
    assert [each.deadline for each in kept] == sorted(each.call.deadline for each in kept)


async def test_a_task_that_was_left_has_the_context_of_its_call(host: Host) -> None:
    for number in range(1, 10, 2):
        await host.client(Inner).leaves_a_task(number)
        await host.client(Inner).finds(number + 1)
    assert await asyncio.gather(*host.instance(Inner).kept) == [(number, "leaves_a_task") for number in range(1, 10, 2)]


async def test_a_callback_has_the_context_of_its_call(host: Host) -> None:
    for number in range(1, 10, 2):
        await host.client(Inner).leaves_a_callback(number)
        await host.client(Inner).finds(number + 1)
    await asyncio.sleep(0)
    assert host.instance(Inner).kept == list(range(1, 10, 2))


async def test_variables_that_were_kept_stay_what_they_were(host: Host) -> None:
    for number in range(1, 10, 2):
        await host.client(Inner).takes_it_back_from_a_copy(number)
        await host.client(Inner).finds(number + 1)
    kept = host.instance(Inner).kept
    assert [each.run(context).call.body.number for each in kept] == list(range(1, 10, 2))
    assert {each[VARIABLE] for each in kept} == {"left"}


async def test_a_task_that_was_kept_is_over_when_its_handler_is_and_cancelling_it_hits_nobody(host: Host) -> None:
    for number in range(1, 10, 2):
        await host.client(Inner).keeps_its_task(number)
        for each in host.instance(Inner).kept:
            each.cancel()
        assert await host.client(Inner).finds(number + 1) == []
    kept = host.instance(Inner).kept
    assert len(set(kept)) == 5
    await asyncio.wait(kept, timeout=5)
    assert all(each.done() for each in kept)


# ---- what is known of a call -----------------------------------------------------------------------------------------
async def test_metadata_are_those_of_each_call(host: Host) -> None:
    parents = [f"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b{n}-01" for n in range(4)]
    asks = [host.client(Outer).asks.using(metadata={"traceparent": each}) for each in parents]
    for one, parent in zip(asks, parents, strict=True):
        assert await one(1) == [parent, parent]
    assert await host.client(Outer).asks(1) == ["", ""]


async def test_a_handler_that_goes_on_keeps_its_context(host: Host) -> None:
    going = [asyncio.ensure_future(method(host, "keeps_on")(number)) for number in range(5)]
    found = await asyncio.gather(*going)
    assert found == [[True, number, "keeps_on", True] for number in range(5)]


# ---- what it costs ---------------------------------------------------------------------------------------------------
async def test_one_seat_does_for_all_calls_of_a_turn_that_leave_nothing(host: Host) -> None:
    if not seats_are_taken(host):
        return
    for name in ("takes_it_back", "reads_its_metadata", "fails", "finds"):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        found = []
        for number in range(20):
            with contextlib.suppress(Declared):
                await method(host, name)(number)
            found += seats(host)
        assert (len(found), len(set(found))) == (20, 1), name


def seats_are_taken(host: Host) -> bool:
    return host.node.settings.host.runner == "auto"


@pytest.mark.parametrize("leaves", [*LEAVES, "keeps_on"])
async def test_what_a_call_has_left_goes_with_what_kept_it(host: Host, leaves: str) -> None:
    """Without the collector: a ring of a task and its context would keep arguments until it comes."""
    gc.collect()
    before = known_seats()
    gc.disable()
    try:
        for number in range(5):
            await asyncio.gather(method(host, leaves)(number), return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        host.instance(Inner).kept.clear()
        await asyncio.sleep(0)
        left = [each for each in known_seats() if each not in before]
    finally:
        gc.enable()
    assert left == seats(host)


def known_seats() -> list[Seat]:
    """All there are."""
    return [each for each in gc.get_objects() if type(each) is Seat]
