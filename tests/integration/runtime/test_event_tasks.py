"""What a handler of events may take for granted of asyncio, though those that do not suspend share a task."""

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.runtime.waiting import until
from vyked_host import Service, context, publish, subscribe, xsubscribe
from vyked_host.assembly import Host
from vyked_host.errors import Unavailable
from vyked_host.runtime.inside import LONGEST_S
from vyked_host.runtime.tasks import TaskScope

LOCAL = "[plugins]\nautoload = false\n[transports.local]\n"
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
EVENTS, AT_ONCE = 40, 4


class Source(Service, name="source", version="1.0.0"):
    @publish
    def happened(self, n: int) -> int:
        return n


def mine() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task


LEFT_BEHIND: dict[str, Callable[[], object]] = {
    "a context variable": lambda: VARIABLE.set("left"),
    "a name": lambda: mine().set_name("left"),
    "a callback": lambda: mine().add_done_callback(lambda _: None),
    "a cancellation": lambda: mine().cancel(),
}


class Careless(Service, name="careless", version="1.0.0"):
    def __init__(self) -> None:
        self.leave: Callable[[], object] = lambda: None
        self.found: list[tuple[int, str, bool, int]] = []
        self.handled = 0

    @subscribe(Source.happened, concurrency=AT_ONCE)
    async def on_happened(self, n: int) -> None:
        task = mine()
        self.found.append((n, VARIABLE.get(), task.get_name() == "left", task.cancelling()))
        self.handled += 1
        self.leave()


async def published(host: Host, events: int = EVENTS) -> None:
    await asyncio.gather(*(host.publish(Source.happened, n) for n in range(events)))


@pytest.mark.parametrize("what", LEFT_BEHIND)
async def test_nothing_that_a_handler_leaves_behind_meets_the_next_event(what: str) -> None:
    async with Host(Source, Careless, text=LOCAL) as host:
        careless = host.instance(Careless)
        careless.leave = LEFT_BEHIND[what]
        await published(host)
        await until(lambda: careless.handled == EVENTS)
    assert careless.found == [(n, "unset", False, 0) for n in range(EVENTS)]


@pytest.mark.parametrize(("runner", "tasks"), [("auto", range(EVENTS)), ("task", range(EVENTS, EVENTS + 1))])
async def test_no_task_waits_for_its_turn_of_the_loop_for_each_event_unless_each_shall_have_its_own(
    runner: str, tasks: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handlers are begun as events come in, and by one task for many that wait."""
    begun, begin = [], TaskScope.begin
    monkeypatch.setattr(TaskScope, "begin", lambda scope, work, name: begun.append(name) or begin(scope, work, name))
    async with Host(Source, Careless, text=f'{LOCAL}[host]\nrunner = "{runner}"\n') as host:
        careless = host.instance(Careless)
        await published(host)
        await until(lambda: careless.handled == EVENTS)
    assert begun.count("event careless.on_happened") in tasks


class Refusals(logging.Handler):
    """In whose context a refusal is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "was refused" in record.getMessage():
            self.ids.append(context().id)


class Other(Service, name="source", version="1.0.0"):
    @publish
    def happened(self, n: str) -> str:
        return n


async def test_a_payload_that_does_not_fit_is_refused_in_its_own_context() -> None:
    refusals, log = Refusals(), logging.getLogger("vyked")
    async with Host(Source, Careless, text=LOCAL) as host:
        log.addHandler(refusals)
        try:
            *_, wrong = await asyncio.gather(
                host.publish(Source.happened, 1), host.publish(Other.happened, "two")
            )  # fmt: skip
            await until(lambda: refusals.ids)
        finally:
            log.removeHandler(refusals)
    assert refusals.ids == [wrong.id]


class Waits(Service, name="waits", version="1.0.0"):
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.tasks: dict[int, asyncio.Task[Any]] = {}
        self.ids: list[tuple[str, str]] = []

    @xsubscribe(Source.happened, concurrency=AT_ONCE)
    async def on_happened(self, n: int) -> None:
        before = context().id
        self.tasks[n] = mine()
        VARIABLE.set(str(n))
        await self.gate.wait()
        assert VARIABLE.get() == str(n)
        assert mine() is self.tasks[n]
        self.ids.append((before, context().id))


async def test_handlers_that_suspend_have_a_task_and_a_context_each_and_no_more_of_them_than_allowed() -> None:
    async with Host(Source, Waits, text=LOCAL) as host:
        waits = host.instance(Waits)
        await published(host, 3 * AT_ONCE)
        await until(lambda: len(waits.tasks) == AT_ONCE)
        assert host.node.event_tasks.names() == ["event waits.on_happened"] * AT_ONCE
        assert list(waits.tasks) == list(range(AT_ONCE))  # in the order in which they were published
        waits.gate.set()
        await until(lambda: len(waits.ids) == 3 * AT_ONCE)
        assert all(before == after for before, after in waits.ids)
        assert len({before for before, _ in waits.ids}) == 3 * AT_ONCE
        await until(lambda: not host.node.event_tasks.names())


class Counts(Service, name="counts", version="1.0.0"):
    def __init__(self) -> None:
        self.turn, self.handled = 0, list[int]()

    @subscribe(Source.happened, concurrency=AT_ONCE)
    async def on_happened(self, _n: int) -> None:
        time.sleep(LONGEST_S / 2)  # noqa: ASYNC251 - it computes
        self.handled.append(self.turn)


async def test_between_handlers_that_compute_others_have_their_turn_of_the_loop() -> None:
    """After 10 ms, or after as many as may be handled at once."""
    async with Host(Source, Counts, text=LOCAL) as host:
        counts, loop = host.instance(Counts), asyncio.get_running_loop()

        def tick() -> None:
            counts.turn += 1
            if len(counts.handled) < EVENTS:
                loop.call_soon(tick)

        loop.call_soon(tick)
        await published(host)
        await until(lambda: len(counts.handled) == EVENTS)
    assert max(counts.handled.count(turn) for turn in counts.handled) <= AT_ONCE


async def test_a_handler_is_not_over_before_the_bus_has_answered(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[asyncio.Future[None]] = []

    def settle(*_: Any) -> "asyncio.Future[None]":
        answers.append(asyncio.get_running_loop().create_future())
        return answers[-1]

    async with Host(Source, Waits, text=LOCAL) as host:
        host.instance(Waits).gate.set()
        monkeypatch.setattr("vyked_host.builtin.embedded.events.inbox.GroupDelivery.settle", settle)
        await published(host, 2)
        await until(lambda: len(answers) == 2)
        await until(lambda: host.node.event_tasks.names() == ["event waits.on_happened"] * 2)
        idle = asyncio.ensure_future(host.node.event_tasks.idle())
        answers[0].set_result(None)
        answers[1].set_exception(Unavailable("the bus is gone"))
        await asyncio.wait_for(idle, 5)
        assert host.node.event_tasks.names() == []
    assert caplog.text.count("could not be told ack") == 1
