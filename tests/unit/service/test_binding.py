"""Handlers: each kind of body becomes what the runtime calls, with every parameter where it belongs."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from msgspec import Struct

from vyked_host.errors import InvalidPayload
from vyked_host.service.base import Service
from vyked_host.service.binding import handler, subscription_handler, work
from vyked_host.service.decorators import api, background, get, subscribe
from vyked_host.service.inspect import describe


class Said(Struct):
    text: str


class Bodies(Service, name="bodies", version="1"):
    @api
    async def positional(self, a: int, b: str = "b") -> tuple[int, str]:
        return a, b

    @api
    async def only_positional(self, a: int, /, b: int = 2) -> tuple[int, int]:
        return a, b

    @api
    async def keyword(self, a: int, *, b: int, c: int = 3) -> tuple[int, int, int]:
        return a, b, c

    @api
    async def none(self) -> str:
        return "none"

    @api
    def plain(self, a: int) -> int:
        return a + 1

    @api
    def future(self, a: int) -> Awaitable[int]:
        return asyncio.ensure_future(self.one(a))

    @api
    def unannotated(self, a):  # may return an awaitable
        return self.one(a)

    async def one(self, a: int) -> int:
        return a + 1

    @api(blocking=True)
    def blocking(self, a: int) -> int:
        return a + 1

    @api
    def generator(self, a: int) -> Generator[Any, Any, int]:
        yield from asyncio.sleep(0).__await__()
        return (yield from self.helper(a))

    def helper(self, a: int) -> Generator[Any, Any, int]:
        yield from self.one(0)  # a coroutine, allowed in what is used as one
        return a + 1

    @api
    async def count(self, upto: int) -> AsyncIterator[int]:
        for number in range(upto):
            yield number

    @api
    def counted(self, upto: int) -> AsyncIterator[int]:
        return self.count.__call__(upto)

    @api
    async def first(self, numbers: AsyncIterator[int], factor: int) -> int:
        return factor * sum([each async for each in numbers])

    @api
    async def last(self, factor: int, *, numbers: AsyncIterator[int], plus: int = 0) -> int:
        return plus + factor * sum([each async for each in numbers])

    @api
    async def scaled(self, factor: int, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for each in numbers:
            yield factor * each

    @get("/raw")
    async def raw(self, request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    @get("/plain-raw")
    def plain_raw(self, request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    @get("/export")
    async def export(self) -> web.Response:
        return web.Response(text="all")

    @get("/mixed/{number}")
    async def mixed(self, number: int, request: web.Request, loud: bool = False) -> web.Response:
        return web.Response(text=f"{number} {loud} {request.path}")

    @get("/typed/{number}")
    async def typed(self, number: int, loud: bool = False) -> web.Response:
        return web.Response(text=f"{number} {loud}")

    @subscribe("a.b", version="1")
    async def heard(self, event: Said) -> None:
        self.last_event = event

    @subscribe("a.c", version="1")
    def heard_by_generator(self, event: Said):
        yield from self.one(1)
        self.last_event = event

    @background
    def old_work(self):
        yield from self.one(1)
        self.worked = True


BODIES = Bodies()
ENDPOINTS = {each.name: each for each in describe(Bodies).endpoints}


def run(name: str, *extra: Any, **arguments: Any) -> Any:
    endpoint = ENDPOINTS[name]
    return handler(BODIES, endpoint)(endpoint.arguments(**arguments), *extra)


async def numbers(*given: int) -> AsyncIterator[int]:
    for each in given:
        yield each


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("positional", {"a": 1}, (1, "b")),
        ("positional", {"b": "x", "a": 1}, (1, "x")),
        ("only_positional", {"a": 1}, (1, 2)),
        ("keyword", {"a": 1, "b": 2}, (1, 2, 3)),
        ("keyword", {"a": 1, "c": 9, "b": 2}, (1, 2, 9)),
        ("none", {}, "none"),
        ("plain", {"a": 1}, 2),
        ("future", {"a": 1}, 2),
        ("unannotated", {"a": 1}, 2),
        ("generator", {"a": 1}, 2),
    ],
)
async def test_a_unary_body_is_awaited_whatever_it_is(name: str, arguments: dict[str, Any], result: Any) -> None:
    running = run(name, **arguments)
    assert inspect.iscoroutine(running)
    assert await running == result


async def test_a_plain_body_does_not_run_before_it_is_awaited() -> None:
    class Once(Service, name="once", version="1"):
        ran = False

        @api
        def touch(self) -> None:
            self.ran = True

    once, endpoint = Once(), describe(Once).endpoints[0]
    running = handler(once, endpoint)(endpoint.arguments())
    assert not once.ran
    await running
    assert once.ran


def test_a_blocking_body_is_a_plain_function_for_a_thread() -> None:
    assert ENDPOINTS["blocking"].blocking
    assert run("blocking", a=1) == 2


@pytest.mark.parametrize("name", ["count", "counted"])
async def test_a_stream_is_an_async_iterator(name: str) -> None:
    assert [each async for each in run(name, upto=3)] == [0, 1, 2]


async def test_an_inbound_stream_goes_to_its_parameter_wherever_it_stands() -> None:
    assert await run("first", numbers(1, 2), factor=10) == 30
    assert await run("last", numbers(1, 2), factor=10, plus=1) == 31
    assert [each async for each in run("scaled", numbers(1, 2), factor=2)] == [2, 4]


REQUEST: Any = SimpleNamespace(path="/p", query={"loud": "true"}, match_info={"number": "7"})


@pytest.mark.parametrize(
    ("name", "text"),
    [("raw", "/p"), ("plain_raw", "/p"), ("export", "all"), ("mixed", "7 True /p"), ("typed", "7 True")],
)
async def test_a_raw_body_gets_the_request_and_what_path_and_query_say(name: str, text: str) -> None:
    answer = await handler(BODIES, ENDPOINTS[name])(REQUEST)
    assert answer.text == text


async def test_a_raw_body_s_parameters_are_validated() -> None:
    request = SimpleNamespace(path="/p", query={}, match_info={"number": "seven"})
    with pytest.raises(InvalidPayload, match=r"bodies\.typed: .*number"):
        await handler(BODIES, ENDPOINTS["typed"])(request)


async def test_event_handlers_and_work_may_be_generators_too() -> None:
    for subscription in describe(Bodies).subscriptions:
        said = Said(subscription.handler)
        await subscription_handler(BODIES, subscription)(said)
        assert BODIES.last_event is said
    await work(BODIES, "old_work")()
    assert BODIES.worked


def test_generators_of_a_mixin_are_awaitable_too() -> None:
    class Mixin:
        def help(self):
            yield

    class Mixed(Mixin, Service, name="mixed", version="1"):
        pass

    assert inspect.isawaitable(Mixed().help())
