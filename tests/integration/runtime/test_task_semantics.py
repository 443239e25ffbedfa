"""What a handler may take for granted of asyncio, whatever runs it: a real task, a context of its own, true cancellation.

Calls are dispatched as a transport does it: outside of any task, several in one callback of the loop.
"""

import asyncio
import contextvars
import gc
import logging
import sys
import traceback
import types
import weakref
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop

from tests.integration.runtime.waiting import until
from vyked_host.builtin.serializers.codecs import Msgpack
from vyked_host.contracts import Entered, Running
from vyked_host.model.description import EndpointDescription, Kind
from vyked_host.model.message import Call, Fault
from vyked_host.model.settings import LimitsTable
from vyked_host.runtime.clock import LoopClock
from vyked_host.runtime.codecs import Codecs
from vyked_host.runtime.dispatcher import Dispatcher
from vyked_host.runtime.routes import Route
from vyked_host.runtime.runners import RUNNERS

Handler = Callable[[Any], Any]
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
VARIABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("variable", default="unset")
GIVEN_UP = Fault(code="CANCELLED", message="the caller gave up", executed="unknown")


@pytest.fixture(scope="module", autouse=True)
def only_what_is_new_is_looked_through() -> Iterator[None]:
    """Each test collects garbage, which takes long where other tests have left much that is none."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Outcome:
    """A recording sink: one outcome, ("result", value) or (code, message)."""

    def __init__(self) -> None:
        self.told: asyncio.Future[tuple[str, Any]] = asyncio.get_running_loop().create_future()
        self.running: Running | None = None

    def respond(self, _call: Call, body: Any) -> None:
        assert not self.told.done(), "two outcomes"
        self.told.set_result(("result", body))

    def fail(self, _call: Call, fault: Fault) -> None:
        assert not self.told.done(), "two outcomes"
        self.told.set_result((fault.code, fault.message))

    def item(self, _call: Call, _body: Any) -> bool:
        raise AssertionError("no stream here")

    def cancel(self) -> None:
        """As a CANCEL that arrives, maybe after the answer has left."""
        if self.running is not None and not self.told.done():
            self.running.cancel(GIVEN_UP)

    async def get(self) -> tuple[str, Any]:
        return await asyncio.wait_for(asyncio.shield(self.told), 5)

    @property
    def code(self) -> Awaitable[str]:
        async def first() -> str:
            return (await self.get())[0]

        return first()


class Raised(logging.Handler):
    """Keeps what handlers raised."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[1] is not None:
            self.errors.append(record.exc_info[1])


REQUEST = "in the task of its request"
"""As the http transport runs calls: it has a task for each."""


class Request:
    """A call whose transport has a task for it."""

    def __init__(self, dispatcher: Dispatcher, call: Call, outcome: Outcome) -> None:
        self.dispatcher, self.call, self.outcome = dispatcher, call, outcome
        self.entered: Entered | None = None
        self.task = contextvars.Context().run(asyncio.get_running_loop().create_task, self.run())

    async def run(self) -> None:
        self.entered = self.dispatcher.enter(self.call, self.outcome)
        if self.entered is None:
            return
        try:
            await self.entered.here()
        except asyncio.CancelledError:
            if not self.outcome.told.done():
                raise
        while self.task.cancelling():
            self.task.uncancel()
        async with asyncio.timeout(5):  # it goes on, to answer
            await asyncio.sleep(0)

    def cancel(self, fault: Fault) -> None:
        if self.entered is not None:
            self.entered.cancel(fault)
        else:
            self.task.cancel()
            self.outcome.fail(self.call, fault)

    def item(self, _body: Any) -> bool:
        return False

    def end(self) -> None: ...

    def credit(self, items: int) -> None: ...


class Bench:
    """A dispatcher whose endpoints are functions."""

    def __init__(self, runner: str) -> None:
        self.in_request = runner == REQUEST
        runner = "auto" if self.in_request else runner
        self.loop, self.raised, self.runner = asyncio.get_running_loop(), Raised(), runner
        log = logging.Logger("semantics")
        log.addHandler(self.raised)
        self.complaints: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _loop, found: self.complaints.append(found))
        self.dispatcher = Dispatcher(clock=LoopClock(self.loop), log=log, in_flight_limit=None, run=runner)
        self.codecs = Codecs({"msgpack": Msgpack(LimitsTable())}, "msgpack")
        self.threads = ThreadPoolExecutor(1)
        self.known: dict[Handler, int] = {}

    def endpoint(self, handler: Handler) -> int:
        if handler not in self.known:
            described = EndpointDescription(
                service="test", version="1.0.0", name=f"e{len(self.known)}", kind=Kind.UNARY, arguments=Any, result=Any
            )
            self.known[handler] = self.dispatcher.add(Route(described, handler, (), self.codecs, self.threads))
        return self.known[handler]

    def start(self, handler: Handler, argument: Any, outcome: Outcome) -> None:
        call = Call(0, self.endpoint(handler), "object", argument, self.loop.time() + 30)
        if self.in_request:
            outcome.running = Request(self.dispatcher, call, outcome)
        else:
            outcome.running = self.dispatcher.dispatch(call, outcome)

    def turn(self, *acts: Callable[[], Any]) -> None:
        """In one callback of the loop, outside of any task, as `data_received` would."""
        self.loop.call_soon(lambda: [act() for act in acts], context=contextvars.Context())

    def begin(self, handler: Handler, argument: Any = None) -> Outcome:
        outcome = Outcome()
        self.turn(lambda: self.start(handler, argument, outcome))
        return outcome

    async def call(self, handler: Handler, argument: Any = None) -> tuple[str, Any]:
        return await self.begin(handler, argument).get()

    async def aclose(self) -> None:
        await asyncio.wait_for(self.dispatcher.idle(), 5)
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        self.threads.shutdown()
        assert not self.complaints, self.complaints
        assert all(route.counters.in_flight == 0 for route in self.dispatcher.routes)


def each_way(body: Callable[[Bench], Awaitable[None]]) -> Callable[[str, str], None]:
    """`body` under every runner of this Python, on both loops."""

    async def one(runner: str) -> None:
        bench = Bench(runner)
        async with asyncio.timeout(20):
            await body(bench)
            await bench.aclose()

    @pytest.mark.parametrize("loop", LOOPS)
    @pytest.mark.parametrize("runner", [*RUNNERS, REQUEST])
    def test(runner: str, loop: str) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runs:
            runs.run(one(runner))

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    return test


async def forever(_: Any) -> None:
    await asyncio.Event().wait()


async def simple(_: Any) -> int:
    await asyncio.sleep(0)
    return 2


# ---- a real task -----------------------------------------------------------------------------------------------------
@each_way
async def test_current_task_is_there_from_the_first_line_and_stays_the_same(bench: Bench) -> None:
    async def handler(_: Any) -> bool:
        first = asyncio.current_task()
        await asyncio.sleep(0.001)
        return first is not None and first is asyncio.current_task()

    assert await bench.call(handler) == ("result", True)


@each_way
async def test_current_task_is_there_in_a_handler_that_never_suspends(bench: Bench) -> None:
    async def handler(_: Any) -> bool:
        return asyncio.current_task() is not None

    assert await bench.call(handler) == ("result", True)


@each_way
async def test_no_current_task_is_left_behind(bench: Bench) -> None:
    found: list[Any] = []
    await bench.call(simple)
    bench.turn(lambda: found.append(asyncio.current_task()))
    await until(lambda: found)
    assert found == [None]


@each_way
async def test_done_callbacks_fire(bench: Bench) -> None:
    fired: list[Any] = []

    async def at_once(_: Any) -> None:
        asyncio.current_task().add_done_callback(fired.append)  # type: ignore[union-attr]

    async def later(_: Any) -> None:
        await at_once(None)
        await asyncio.sleep(0)

    await bench.call(at_once)
    await bench.call(later)
    await until(lambda: len(fired) == 2)


@each_way
async def test_registries_by_task_give_each_call_its_own_entry(bench: Bench) -> None:
    strong: dict[Any, int] = {}
    weak: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    async def handler(n: int) -> tuple[int, int]:  # as SQLAlchemy's scoped sessions, and anyio's task states
        task = asyncio.current_task()
        return strong.setdefault(task, n), weak.setdefault(task, n)

    for n in range(3):
        assert await bench.call(handler, n) == ("result", (n, n))


# ---- timeouts and groups ---------------------------------------------------------------------------------------------
@each_way
async def test_a_timeout_opened_in_the_first_step_expires_and_leaves_no_trace(bench: Bench) -> None:
    async def handler(_: Any) -> tuple[str, int]:
        try:
            async with asyncio.timeout(0.01):
                await forever(None)
        except TimeoutError:
            await asyncio.sleep(0.001)
            return "expired", asyncio.current_task().cancelling()  # type: ignore[union-attr]
        return "not", -1

    assert await bench.call(handler) == ("result", ("expired", 0))


@each_way
async def test_a_timeout_that_does_not_expire_hits_no_later_call(bench: Bench) -> None:
    async def handler(_: Any) -> int:
        async with asyncio.timeout(0.02):  # noqa: ASYNC100 - it must not expire in a later call
            return 1

    async def slow(_: Any) -> int:
        await asyncio.sleep(0.04)
        return 2

    assert await bench.call(handler) == ("result", 1)
    assert await bench.call(slow) == ("result", 2)


@each_way
async def test_wait_for_works(bench: Bench) -> None:
    async def handler(_: Any) -> str:
        try:
            await asyncio.wait_for(forever(None), 0.01)
        except TimeoutError:
            return "expired"
        return "not"

    assert await bench.call(handler) == ("result", "expired")


@each_way
async def test_task_groups_nest_and_fail_as_they_should(bench: Bench) -> None:
    async def child(n: int) -> int:
        await asyncio.sleep(0)
        return n

    async def failing() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    async def handler(_: Any) -> int:
        async with asyncio.TaskGroup() as outer:
            one = outer.create_task(child(1))
            async with asyncio.TaskGroup() as inner:
                two = inner.create_task(child(2))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(failing())
                group.create_task(forever(None))
        except* KeyError:
            pass
        return one.result() + two.result()

    assert await bench.call(handler) == ("result", 3)


# ---- cancellation ----------------------------------------------------------------------------------------------------
def watched(seen: list[str], waits_for: Awaitable[Any] | None = None) -> Handler:
    async def handler(_: Any) -> None:
        seen.append("begun")
        try:
            await (waits_for if waits_for is not None else forever(None))
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("finally")

    return handler


@each_way
async def test_a_cancel_reaches_the_handler(bench: Bench) -> None:
    seen: list[str] = []
    outcome = bench.begin(watched(seen))
    await until(lambda: seen)
    bench.turn(outcome.cancel)
    assert await outcome.get() == ("CANCELLED", "the caller gave up")
    assert seen == ["begun", "cancelled", "finally"]


@each_way
async def test_a_cancel_in_the_turn_of_the_call_reaches_a_begun_handler_and_prevents_another(bench: Bench) -> None:
    seen: list[str] = []
    awaited, outcome = bench.loop.create_future(), Outcome()
    handler = watched(seen, awaited)
    bench.turn(lambda: bench.start(handler, None, outcome), outcome.cancel)
    assert await outcome.code == "CANCELLED"
    assert seen in ([], ["begun", "cancelled", "finally"])
    assert awaited.cancelled() == bool(seen)


@each_way
async def test_a_cancel_that_races_the_completion_gives_one_of_the_two_and_hits_nobody_else(bench: Bench) -> None:
    async def handler(future: asyncio.Future[int]) -> int:
        return await future

    for _ in range(50):
        ready, other = bench.loop.create_future(), bench.loop.create_future()
        first, second = bench.begin(handler, ready), Outcome()
        for _turn in range(4):
            await asyncio.sleep(0)
        bench.turn(
            lambda ready=ready: ready.set_result(1), first.cancel,
            lambda other=other, second=second: bench.start(handler, other, second), first.cancel,
        )  # fmt: skip
        assert await first.get() in (("result", 1), ("CANCELLED", "the caller gave up"))
        bench.turn(first.cancel)
        await asyncio.sleep(0)
        other.set_result(2)
        assert await second.get() == ("result", 2)


@each_way
async def test_a_cancel_that_comes_late_hits_nobody(bench: Bench) -> None:
    async def fast(_: Any) -> int:
        return 1

    async def slow(future: asyncio.Future[int]) -> int:
        return await future

    for _ in range(20):
        first, second, future = Outcome(), Outcome(), bench.loop.create_future()
        bench.turn(
            lambda first=first: bench.start(fast, None, first),
            lambda second=second, future=future: bench.start(slow, future, second),
            first.cancel,
        )
        assert await first.get() in (("result", 1), ("CANCELLED", "the caller gave up"))
        await asyncio.sleep(0)
        future.set_result(3)
        assert await second.get() == ("result", 3)


@each_way
async def test_a_task_that_a_handler_kept_hits_nobody_when_it_is_cancelled_later(bench: Bench) -> None:
    kept: list[Any] = []

    async def keeper(_: Any) -> None:
        kept.append(asyncio.current_task())

    async def slow(future: asyncio.Future[int]) -> int:
        return await future

    await bench.call(keeper)
    future = bench.loop.create_future()
    outcome = bench.begin(slow, future)
    await until(lambda: outcome.running)
    kept[0].cancel()
    await asyncio.sleep(0)
    future.set_result(5)
    assert await outcome.get() == ("result", 5)


@each_way
async def test_a_handler_may_swallow_its_cancel(bench: Bench) -> None:
    begun: list[bool] = []

    async def handler(_: Any) -> str:
        try:
            begun.append(True)
            await forever(None)
        except asyncio.CancelledError:
            return "swallowed"
        return "not"

    outcome = bench.begin(handler)
    await until(lambda: begun)
    bench.turn(outcome.cancel)
    assert await outcome.get() == ("result", "swallowed")
    assert await bench.call(simple) == ("result", 2)


@each_way
async def test_a_handler_may_cancel_itself_in_its_first_step(bench: Bench) -> None:
    async def handler(_: Any) -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)

    assert (await bench.call(handler))[0] == "CANCELLED"
    assert await bench.call(simple) == ("result", 2)


@each_way
async def test_a_cancelled_error_of_its_own_is_a_cancelled_call(bench: Bench) -> None:
    async def handler(_: Any) -> None:
        raise asyncio.CancelledError

    assert (await bench.call(handler))[0] == "CANCELLED"


@each_way
async def test_a_cancel_reaches_what_is_gathered(bench: Bench) -> None:
    seen: list[str] = []

    async def handler(_: Any) -> None:
        await asyncio.gather(watched(seen)(None), watched(seen)(None))

    outcome = bench.begin(handler)
    await until(lambda: len(seen) == 2)
    bench.turn(outcome.cancel)
    assert await outcome.code == "CANCELLED"
    assert seen.count("cancelled") == 2


# ---- context variables -----------------------------------------------------------------------------------------------
@each_way
async def test_context_variables_do_not_leak_between_calls_of_one_turn(bench: Bench) -> None:
    async def handler(_: Any) -> str:
        before = VARIABLE.get()
        VARIABLE.set("leak")
        return str(before)

    first, second, found = Outcome(), Outcome(), list[str]()
    bench.turn(lambda: bench.start(handler, None, first), lambda: bench.start(handler, None, second))
    bench.turn(lambda: found.append(VARIABLE.get()))
    assert [await first.get(), await second.get()] == [("result", "unset")] * 2
    assert found == ["unset"]


@each_way
async def test_context_variables_last_over_awaits_and_reach_child_tasks(bench: Bench) -> None:
    async def child() -> Any:
        return VARIABLE.get()

    async def handler(n: int) -> tuple[Any, Any]:
        VARIABLE.set(n)
        await asyncio.sleep(0)
        task = asyncio.create_task(child())
        return VARIABLE.get(), await task

    outcomes = [Outcome() for _ in range(5)]
    bench.turn(*(lambda n=n, each=each: bench.start(handler, n, each) for n, each in enumerate(outcomes)))
    assert [await each.get() for each in outcomes] == [("result", (n, n)) for n in range(5)]


@each_way
async def test_the_context_of_whoever_dispatches_is_not_the_handlers(bench: Bench) -> None:
    async def handler(_: Any) -> str:
        return str(VARIABLE.get())

    VARIABLE.set("dispatcher's own")
    outcome = Outcome()
    bench.start(handler, None, outcome)
    assert await outcome.get() == ("result", "unset")
    assert VARIABLE.get() == "dispatcher's own"


@each_way
async def test_a_task_left_in_the_background_keeps_the_context_of_its_call(bench: Bench) -> None:
    found: list[int] = []
    kept: list[asyncio.Task[None]] = []

    async def background() -> None:
        await asyncio.sleep(0.001)
        found.append(VARIABLE.get())

    async def handler(n: int) -> None:
        VARIABLE.set(n)
        kept.append(asyncio.create_task(background()))

    for n in range(3):
        await bench.call(handler, n)
    await until(lambda: len(found) == 3)
    assert sorted(found) == [0, 1, 2]


# ---- errors ----------------------------------------------------------------------------------------------------------
@each_way
async def test_an_error_keeps_the_traceback_of_the_handler(bench: Bench) -> None:
    def inner() -> None:
        raise ValueError("boom")

    async def at_once(_: Any) -> None:
        inner()

    async def later(_: Any) -> None:
        await asyncio.sleep(0)
        inner()

    for handler in (at_once, later):
        assert (await bench.call(handler))[0] == "INTERNAL"
        error = bench.raised.errors.pop()
        assert isinstance(error, ValueError)
        assert [each.name for each in traceback.extract_tb(error.__traceback__)][-2:] == [handler.__name__, "inner"]
        del error


@each_way
async def test_stop_iteration_is_a_runtime_error(bench: Bench) -> None:
    async def at_once(_: Any) -> None:
        raise StopIteration(3)

    async def later(_: Any) -> None:
        await asyncio.sleep(0)
        raise StopIteration(3)

    for handler in (at_once, later):
        assert (await bench.call(handler))[0] == "INTERNAL"
        assert isinstance(bench.raised.errors.pop(), RuntimeError)


@each_way
async def test_a_base_exception_ends_one_call_and_no_more(bench: Bench) -> None:
    class Boom(BaseException):
        pass

    async def at_once(_: Any) -> None:
        raise Boom

    async def later(_: Any) -> None:
        await asyncio.sleep(0)
        raise Boom

    for handler in (at_once, later):
        assert (await bench.call(handler))[0] == "INTERNAL"
        assert isinstance(bench.raised.errors.pop(), Boom)
        assert await bench.call(simple) == ("result", 2)


@each_way
async def test_awaiting_what_is_no_future_is_the_handlers_error(bench: Bench) -> None:
    @types.coroutine
    def garbage() -> Any:
        yield 42

    async def handler(_: Any) -> None:
        await garbage()

    assert (await bench.call(handler))[0] == "INTERNAL"
    assert isinstance(bench.raised.errors.pop(), RuntimeError)


@each_way
async def test_recursion_too_deep_ends_one_call_and_no_more(bench: Bench) -> None:
    async def handler(n: int) -> int:
        return 0 if n == 0 else 1 + await handler(n - 1)

    assert await bench.call(handler, 100) == ("result", 100)
    assert (await bench.call(handler, sys.getrecursionlimit() * 10))[0] == "INTERNAL"
    assert isinstance(bench.raised.errors.pop(), RecursionError)
    assert await bench.call(handler, 10) == ("result", 10)


# ---- ways to wait ----------------------------------------------------------------------------------------------------
@each_way
async def test_generator_bodies_run(bench: Bench) -> None:
    @types.coroutine
    def waits(n: Any) -> Any:
        yield from asyncio.sleep(0.001).__await__()
        return n

    @types.coroutine
    def at_once(n: Any) -> Any:
        return n
        yield

    assert await bench.call(waits, 4) == ("result", 4)
    assert await bench.call(at_once, 5) == ("result", 5)


@each_way
async def test_bare_yields_go_on_in_the_next_turn(bench: Bench) -> None:
    async def handler(_: Any) -> int:
        for _turn in range(3):
            await asyncio.sleep(0)
        return 1

    assert await bench.call(handler) == ("result", 1)


@each_way
async def test_several_calls_may_wait_for_one_future(bench: Bench) -> None:
    future = bench.loop.create_future()

    async def handler(_: Any) -> int:
        return int(await future)

    outcomes = [Outcome() for _ in range(3)]
    bench.turn(*(lambda each=each: bench.start(handler, None, each) for each in outcomes))
    await asyncio.sleep(0)
    future.set_result(9)
    assert [await each.get() for each in outcomes] == [("result", 9)] * 3


@each_way
async def test_a_call_may_be_dispatched_within_a_handlers_first_step(bench: Bench) -> None:
    async def inner(_: Any) -> bool:
        return asyncio.current_task() is not None

    async def handler(_: Any) -> tuple[str, Any]:
        outcome, me = Outcome(), asyncio.current_task()
        bench.start(inner, None, outcome)  # as a local call is
        assert asyncio.current_task() is me
        return await outcome.get()

    assert await bench.call(handler) == ("result", ("result", True))


# ---- what one handler leaves behind, and those of its turn -----------------------------------------------------------
def together(bench: Bench, *handlers: Handler) -> list[Outcome]:
    """Calls of all of them, dispatched in one turn of the loop."""
    outcomes = [Outcome() for _ in handlers]
    bench.turn(*(lambda h=h, o=o: bench.start(h, None, o) for h, o in zip(handlers, outcomes, strict=True)))
    return outcomes


def own_task() -> asyncio.Task[Any]:
    found = asyncio.current_task()
    assert found is not None
    return found


async def on_its_own(_: Any) -> tuple[bool, ...]:
    """What it finds of others in its task, which it waits in."""
    mine = own_task()
    found = mine.cancelling() > 0, VARIABLE.get() != "unset", mine.get_name() == "taken", mine in WEAK
    await asyncio.sleep(0)
    return found


async def keeps_its_task(_: Any) -> None:
    KEPT.append(own_task())


async def is_called_back(_: Any) -> None:
    own_task().add_done_callback(lambda _task: KEPT.append(None))


async def takes_a_name(_: Any) -> None:
    own_task().set_name("taken")


async def sets_a_variable(_: Any) -> None:
    VARIABLE.set("left")


async def cancels_itself(_: Any) -> None:
    own_task().cancel()


async def takes_its_cancel_back(_: Any) -> None:
    own_task().cancel()
    own_task().uncancel()


async def leaves_a_weak_reference(_: Any) -> None:
    WEAK[own_task()] = 1


KEPT: list[Any] = []
WEAK: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
LEAVE_SOMETHING: tuple[Handler, ...] = (
    keeps_its_task, is_called_back, takes_a_name, sets_a_variable, cancels_itself, takes_its_cancel_back,
    leaves_a_weak_reference,
)  # fmt: skip


@each_way
async def test_what_a_handler_leaves_behind_in_its_task_no_other_of_its_turn_meets(bench: Bench) -> None:
    for leaves in LEAVE_SOMETHING:
        KEPT.clear()
        outcomes = together(bench, leaves, on_its_own, leaves, on_its_own)
        for outcome in outcomes[1::2]:
            assert await outcome.get() == ("result", (False,) * 4), leaves
        assert [await each.code for each in outcomes[::2]] == ["result"] * 2
        if leaves is keeps_its_task:
            assert KEPT[0] is not KEPT[1]


@each_way
async def test_a_task_that_was_kept_is_over_when_its_handler_is(bench: Bench) -> None:
    KEPT.clear()
    first, second = together(bench, keeps_its_task, forever)
    await first.get()
    await until(lambda: KEPT[0].done())
    assert not second.told.done()
    second.cancel()
    assert await second.code == "CANCELLED"


@each_way
async def test_a_callback_of_a_task_is_called_when_its_handler_is_over(bench: Bench) -> None:
    KEPT.clear()
    first, second = together(bench, is_called_back, forever)
    await first.get()
    await until(lambda: KEPT)
    assert not second.told.done()
    second.cancel()
    assert await second.code == "CANCELLED"


@each_way
async def test_a_handler_that_waits_holds_up_no_other_of_its_turn(bench: Bench) -> None:
    waiting, *others = together(bench, forever, simple, own_value, forever, own_value, simple)
    assert [await each.get() for each in (others[0], others[1], others[3], others[4])] == [
        ("result", 2), ("result", 7), ("result", 7), ("result", 2),
    ]  # fmt: skip
    for each in (waiting, others[2]):
        each.cancel()
        assert await each.code == "CANCELLED"


async def own_value(_: Any) -> int:
    return 7


@each_way
async def test_those_of_a_turn_run_in_the_order_in_which_they_came(bench: Bench) -> None:
    order: list[int] = []

    async def handler(n: int) -> None:
        order.append(n)
        if n % 3 == 0:
            await asyncio.sleep(0)

    outcomes = [Outcome() for _ in range(10)]
    bench.turn(*(lambda n=n, each=each: bench.start(handler, n, each) for n, each in enumerate(outcomes)))
    for each in outcomes:
        assert await each.code == "result"
    assert order == list(range(10))


@each_way
async def test_whoever_cancels_all_tasks_cancels_calls_that_have_not_begun(bench: Bench) -> None:
    if bench.in_request:
        return  # the transport's task is the one that is cancelled, and the transport's to tell of
    mine = asyncio.current_task()
    outcomes = [Outcome() for _ in range(3)]
    for each in outcomes:
        bench.start(forever, None, each)
    for task in asyncio.all_tasks() - {mine}:
        task.cancel()
    assert [await each.code for each in outcomes] == ["CANCELLED"] * 3
    assert await bench.call(simple) == ("result", 2)


@each_way
async def test_an_interrupt_in_a_handler_is_the_programs_and_the_others_of_its_turn_run_on(bench: Bench) -> None:
    async def interrupted(_: Any) -> None:
        raise GeneratorExit

    first, second = together(bench, interrupted, simple)
    assert await first.code == "INTERNAL"
    assert await second.get() == ("result", 2)
    bench.raised.errors.clear()
    first.running = None
    await asyncio.sleep(0)
    gc.collect()
    bench.complaints.clear()  # nobody retrieved it from its task


@each_way
async def test_an_error_thrown_into_a_handler_is_no_context_of_later_ones(bench: Bench) -> None:
    async def handler(future: asyncio.Future[None]) -> bool:
        try:
            await future
        except KeyError:
            await asyncio.sleep(0)
        try:
            raise ValueError
        except ValueError as error:
            return error.__context__ is None

    future: asyncio.Future[None] = bench.loop.create_future()
    outcome = bench.begin(handler, future)
    await until(lambda: outcome.running)
    future.set_exception(KeyError())
    assert await outcome.get() == ("result", True)
