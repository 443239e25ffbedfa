"""The endpoints that the tests call: one of each shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from aiohttp import web

from vyked_host.contracts import DeclaredError, EndpointDescription, HttpBinding, Kind
from vyked_host.errors import Overloaded, ServiceError
from vyked_host.model.http import Body, Cookie, Header, Query

from .small_calls import SmallCalls


class Greeting(msgspec.Struct):
    text: str


class UserExists(ServiceError, code="user_exists", status=409):
    user_name: str


def arguments(**fields: Any) -> type[msgspec.Struct]:
    made = [(name, *shape) if isinstance(shape, tuple) else (name, shape) for name, shape in fields.items()]
    return msgspec.defstruct("Arguments", made, forbid_unknown_fields=True)


Nothing = arguments()
RAISES = (DeclaredError(code="user_exists", status=409, error=UserExists),)


def endpoint(name: str, **fields: Any) -> EndpointDescription:
    bindings = tuple(HttpBinding(**each) for each in fields.pop("http", ()))
    given = {"service": "identity", "version": "1.2.0", "kind": Kind.UNARY, "arguments": Nothing} | fields
    return EndpointDescription(name=name, http=bindings, **given)


class Gate:
    """Lets tests see that a handler runs, and decide when it goes on."""

    def __init__(self) -> None:
        self.entered, self.open, self.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(self) -> None:
        self.entered.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Identity:
    """Handlers, and what became of them."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.produced = 0
        self.ended = asyncio.Event()
        self.calls = SmallCalls()
        self._typed()
        self._streams()
        self._raw()

    def _typed(self) -> None:
        serve = self.calls.serve
        get = {"method": "GET", "path": "/users/{user_name}"}
        hello = arguments(user_name=str, shout=(bool, False), times=(int, 1))
        serve(endpoint("hello", arguments=hello, result=Greeting, http=[get], summary="greets"), self.hello)
        post = {"method": "POST", "path": "/users", "status": 201}
        create = arguments(user_name=str, password=str, age=(int, 0), tags=(list[str], []))
        serve(
            endpoint("create", arguments=create, result=dict, http=[post], raises=RAISES, sensitive=("age",)),
            self.create,
        )
        serve(
            endpoint(
                "remove",
                arguments=arguments(user_name=str),
                result=type(None),
                http=[{"method": "DELETE", "path": "/users/{user_name}"}],
            ),
            self.nothing,
        )
        marked = arguments(
            agent=Annotated[str, Header("User-Agent")], sid=Annotated[str | None, Cookie("sid")], page=Annotated[int, Query("p")],
            tag=Annotated[list[str], Query()], note=Annotated[Greeting, Body()],
        )  # fmt: skip
        serve(endpoint("marked", arguments=marked, result=dict, http=[{"method": "PUT", "path": "/marked"}]), self.echo)
        whole = arguments(data=Annotated[bytes, Body()])
        serve(endpoint("upload", arguments=whole, result=int, http=[{"method": "POST", "path": "/upload"}]), self.size)
        serve(endpoint("wait", result=str), self.wait)
        serve(endpoint("busy", result=str, http=[{"method": "GET", "path": "/busy"}]), self.busy)
        serve(endpoint("broken", result=str), self.broken)
        serve(endpoint("strange", result=Any, http=[{"method": "GET", "path": "/strange"}]), self.strange)
        serve(endpoint("trace_it", result=str, http=[{"method": "TRACE", "path": "/traced"}]), self.traced)
        serve(endpoint("echo", arguments=arguments(text=str), result=str), self.same)

    def _streams(self) -> None:
        serve = self.calls.serve
        count = arguments(to=int, fail_at=(int, -1))
        get = {"method": "GET", "path": "/count"}
        serve(
            endpoint("count", kind=Kind.SERVER_STREAM, arguments=count, result=Greeting, http=[get], raises=RAISES),
            self.count,
        )
        serve(endpoint("endless", kind=Kind.SERVER_STREAM, result=str), self.endless)
        serve(
            endpoint(
                "sum",
                kind=Kind.CLIENT_STREAM,
                arguments=arguments(start=(int, 0)),
                inbound=int,
                stream_parameter="numbers",
                result=int,
            ),
            self.sum,
        )
        serve(endpoint("double", kind=Kind.BOTH_WAYS, inbound=int, stream_parameter="numbers", result=int), self.double)

    def _raw(self) -> None:
        serve = self.calls.serve
        raw = {"kind": Kind.HTTP, "service": "pages"}
        serve(
            endpoint("page", http=[{"method": "GET", "path": "/pages/{name}", "required_params": ("a", "b")}], **raw),
            self.page,
        )
        serve(endpoint("form", http=[{"method": "POST", "path": "/pages/{name}"}], **raw), self.form)
        serve(endpoint("moved", http=[{"method": "GET", "path": "/moved"}], **raw), self.moved)
        serve(endpoint("missing", http=[{"method": "GET", "path": "/missing"}], **raw), self.missing)
        serve(endpoint("slow_page", http=[{"method": "GET", "path": "/slow"}], **raw), self.slow_page)

    async def hello(self, given: Any) -> Greeting:
        text = " ".join([f"Hello {given.user_name}"] * given.times)
        return Greeting(text.upper() if given.shout else text)

    async def create(self, given: Any) -> dict[str, Any]:
        if given.user_name == "taken":
            raise UserExists("taken")
        return msgspec.structs.asdict(given)

    async def nothing(self, given: Any) -> None:
        return None

    async def echo(self, given: Any) -> dict[str, Any]:
        return msgspec.to_builtins(given)

    async def size(self, given: Any) -> int:
        return len(given.data)

    async def same(self, given: Any) -> str:
        return given.text

    async def wait(self, given: Any) -> str:
        await self.gate.wait()
        return "waited"

    async def busy(self, given: Any) -> str:
        raise Overloaded("enough to do", retry_after=1.5)

    async def broken(self, given: Any) -> str:
        raise RuntimeError("secret words")

    async def strange(self, given: Any) -> Any:
        return object()

    async def traced(self, given: Any) -> str:
        return "traced"

    async def count(self, given: Any) -> AsyncIterator[Greeting]:
        for number in range(given.to):
            if number == given.fail_at:
                raise UserExists(f"number {number}")
            yield Greeting(str(number))

    async def endless(self, given: Any) -> AsyncIterator[str]:
        try:
            while True:
                self.produced += 1
                yield "x" * 10_000
        finally:
            self.ended.set()

    async def sum(self, given: Any, numbers: AsyncIterator[int]) -> int:
        total = given.start
        async for number in numbers:
            total += number
        return total

    async def double(self, given: Any, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in numbers:
            yield 2 * number

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=f"{request.match_info['name']} {request.query['a']}")

    async def form(self, request: web.Request) -> web.Response:
        return web.json_response(dict(await request.post()), headers={"X-Name": request.match_info["name"]})

    async def moved(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/pages/x?a=1&b=2")

    async def missing(self, request: web.Request) -> web.Response:
        raise web.HTTPNotFound(text="no such page")

    async def slow_page(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first ")
        await self.gate.wait()
        await response.write(b"last")
        return response
