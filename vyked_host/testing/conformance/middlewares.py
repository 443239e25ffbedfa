"""The suite for middlewares: what they wrap still runs, once and with its own outcome, whatever side it is on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Literal

import msgspec
import pytest
import pytest_asyncio

from ...contracts import (
    Call,
    EndpointDescription,
    Environment,
    Kind,
    Middleware,
    Peer,
    Proceed,
    Provider,
    WatchesCalls,
)
from ...errors import ServiceError, Unavailable
from ...service.context import CURRENT, Context, Reject, Retry
from ..waiting import eventually
from . import watches
from .cases import NOT_DECLARED
from .suite import Suite

Side = Literal["client", "server", "consumer"]
SIDES: tuple[Side, ...] = ("client", "server", "consumer")
AT_ONCE = 200


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """Arguments of what is wrapped."""

    number: int


class SoldOut(ServiceError, code="kit_sold_out"):
    """An error that the wrapped endpoint declares."""

    part: str


ENDS: tuple[BaseException | None, ...] = (
    None, Unavailable("away", executed="not_sent"), SoldOut("cup"), RuntimeError("broken"), asyncio.CancelledError(),
)  # fmt: skip
"""How calls may end, of which one that watches is told."""


def endpoint(lane: Literal["normal", "control"] = "normal") -> EndpointDescription:
    """What is wrapped."""
    return EndpointDescription(
        service="kit", version="1.0.0", name="double", kind=Kind.UNARY, arguments=Order, result=int, lane=lane
    )


def started(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """`call` in a task of its own, as a host runs each call: its context is its own, too."""
    return asyncio.get_running_loop().create_task(call)


def in_a_call(env: Environment, about: EndpointDescription, number: int = 1) -> None:
    """The context from here on is that of a call, as a host makes it."""
    call = Call(
        id=number, endpoint=0, codec="json", body=b"", deadline=env.clock.now() + 60, caller="kit/1.0.0",
        peer=Peer(address="127.0.0.1:1"),
    )  # fmt: skip
    CURRENT.set(Context(call, about, env.clock.now))


class Wrapped:
    """The wrapped endpoint: notes each run, and doubles the number or raises."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error
        self.seen: list[Any] = []
        self.running = 0
        self.hold = asyncio.Event()
        self.hold.set()

    async def __call__(self, order: Any) -> Any:
        self.seen.append(order)
        self.running += 1
        try:
            await self.hold.wait()
            if self._error is not None:
                raise self._error
            return order.number * 2
        finally:
            self.running -= 1


@pytest.mark.asyncio
@pytest.mark.parametrize("side", SIDES)
class MiddlewareConformance(Suite):
    """Inherit, and write the fixture `provider`. `transparent` False: it changes arguments or results by design. `once` False:
    it may run what it wraps again, as one that retries does, or not at all, as one that remembers answers. One with a method `watch`
    is asked whether it makes of what it is told what it makes of what it wraps: by its log lines, and by `noted`."""

    transparent: ClassVar[bool] = True
    once: ClassVar[bool] = True

    def noted(self, middleware: Middleware) -> Any:
        """What `middleware` has made of the calls so far beside log lines, such as counts, for one that watches: anything that can be
        compared. To be written by who inherits."""
        return None

    @pytest_asyncio.fixture
    async def middleware(self, provider: Provider[Middleware], options: msgspec.Struct, env: Environment) -> Middleware:
        """The object under test."""
        return provider.build(options, env)

    @pytest.fixture
    def call(self, middleware: Middleware, env: Environment, side: Side) -> Callable[..., Any]:
        """Wraps something and calls it with a number, in a context as a host makes it."""

        def call(wrapped: Proceed, number: int = 1, about: EndpointDescription | None = None) -> Any:
            about = about or endpoint()
            proceed = middleware.wrap(about, side, wrapped)
            return self._called(proceed, about, env, number)

        return call

    @staticmethod
    async def _called(proceed: Proceed, about: EndpointDescription, env: Environment, number: int) -> Any:
        in_a_call(env, about, number)
        return await proceed(Order(number))

    async def test_the_result_comes_back(self, call: Any) -> None:
        wrapped = Wrapped()
        found = await started(call(wrapped, 21))
        assert wrapped.seen
        if not self.transparent:
            pytest.skip(f"{NOT_DECLARED}transparent")
        assert found == 42
        assert {each.number for each in wrapped.seen} == {21}

    async def test_what_it_wraps_runs_once(self, call: Any) -> None:
        if not self.once:
            pytest.skip(f"{NOT_DECLARED}once")
        for error in (None, Unavailable("away", executed="not_sent"), RuntimeError("broken")):
            wrapped = Wrapped(error)
            await asyncio.gather(call(wrapped), return_exceptions=True)
            assert len(wrapped.seen) == 1

    @pytest.mark.parametrize(
        "error",
        [
            Unavailable("away", executed="not_sent"), SoldOut("cup"), Retry(1.0), Reject("poison"), RuntimeError("broken"),
            ValueError("wrong"),
        ],
        ids=lambda error: type(error).__name__,
    )  # fmt: skip
    async def test_an_error_passes_as_it_is(self, call: Any, error: Exception) -> None:
        with pytest.raises(type(error)) as caught:
            await call(Wrapped(error))
        if self.once:
            assert caught.value is error

    async def test_who_gives_up_ends_what_is_wrapped(self, call: Any) -> None:
        wrapped = Wrapped()
        wrapped.hold.clear()
        running = started(call(wrapped))
        await eventually(lambda: wrapped.running)
        running.cancel()
        await eventually(running.done)
        assert running.cancelled(), "a cancellation was swallowed, or became another error"
        assert wrapped.running == 0

    async def test_many_calls_at_once_are_not_mixed_up(self, call: Any) -> None:
        wrapped = Wrapped()
        wrapped.hold.clear()
        calls = [started(call(wrapped, number)) for number in range(AT_ONCE)]
        await eventually(lambda: wrapped.running == AT_ONCE)
        wrapped.hold.set()
        found = await asyncio.gather(*calls)
        assert sorted(each.number for each in wrapped.seen) == list(range(AT_ONCE))
        if self.transparent:
            assert found == [2 * number for number in range(AT_ONCE)]

    async def test_one_slow_call_holds_up_no_other(self, call: Any) -> None:
        slow, quick = Wrapped(), Wrapped()
        slow.hold.clear()
        running = started(call(slow, 1))
        await eventually(lambda: slow.running)
        other = started(call(quick, 2))
        await eventually(other.done)
        assert not running.done()
        slow.hold.set()
        await running

    async def test_endpoints_are_wrapped_apart(self, middleware: Middleware, env: Environment, side: Side) -> None:
        one, other = Wrapped(), Wrapped()
        first = middleware.wrap(endpoint(), side, one)
        second = middleware.wrap(msgspec.structs.replace(endpoint(), name="other"), side, other)
        for proceed in (first, second, first):
            await started(self._called(proceed, endpoint(), env, 1))
        assert (bool(one.seen), bool(other.seen)) == (True, True)
        if self.once:
            assert (len(one.seen), len(other.seen)) == (2, 1)

    async def test_the_control_lane_answers_as_without_it(self, call: Any) -> None:
        wrapped = Wrapped()
        assert await started(call(wrapped, 4, endpoint(lane="control"))) == 8
        assert len(wrapped.seen) == 1

    async def test_what_it_is_told_says_what_wrapping_says(
        self, provider: Provider[Middleware], options: msgspec.Struct, env: Environment, side: Side
    ) -> None:
        """A host tells the outermost one, and wraps nothing: nobody may learn less, more or something else from it."""
        env, clock = watches.by_hand(env)
        told, around = provider.build(options, env), provider.build(options, env)
        if not isinstance(told, WatchesCalls) or side != "server":
            pytest.skip(f"{NOT_DECLARED}watch")
        for about in (endpoint(), endpoint(lane="control")):
            watch = told.watch(about, side)
            for length_s, error in itertools.product(watches.lengths(watch), ENDS):
                wrapped = watches.Ends(clock, length_s, error)
                with watches.lines_of(env.log) as wrapping:
                    proceed = around.wrap(about, side, wrapped)
                    await asyncio.gather(started(self._called(proceed, about, env, 1)), return_exceptions=True)
                in_a_call(env, about)
                with watches.lines_of(env.log) as telling:
                    watches.tell(watch, Order(1), clock.forward(length_s), error)
                what = f"{type(error).__name__ if error else 'a result'} after {length_s:g} s, {about.lane} lane"
                assert telling.lines == wrapping.lines, what
                assert self.noted(told) == self.noted(around), what
