"""What the signature of a @websocket method says, and what is refused, with the remedy."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from vyked_host import Closed, Request, Service, UsageError, WebSocket, websocket
from vyked_host.service.binding import handler
from vyked_host.service.inspect import describe
from vyked_host.service.sockets import sides_of


class Line(Struct):
    text: str


class Good(Service, name="good", version="1.0.0"):
    @websocket(["/a/{room}", "/b/{room:[a-z]+}"], origins=["https://x"], required_params="token")
    async def typed(self, room: str, ws: WebSocket[Line, Line | bytes], *, loud: bool = False) -> None:
        async for line in ws:
            await ws.send(Line(f"{room} {loud} {line.text}"))

    @websocket("/bare")
    async def bare(self, ws) -> None: ...  # type: ignore[no-untyped-def]

    @websocket("/untyped")
    async def untyped(self, ws: WebSocket) -> None: ...  # type: ignore[type-arg]

    @websocket("/request")
    async def request(self, request: Request) -> Any:
        return request

    @websocket("/late")
    async def late(self, ws: WebSocket[str, str]) -> None:
        raise Closed("gone", close_code=1006)


def endpoint(name: str) -> Any:
    return next(each for each in describe(Good).endpoints if each.name == name)


def test_types_and_other_parameters_reach_the_description() -> None:
    found = endpoint("typed")
    assert (found.stream_parameter, found.inbound, found.result) == ("ws", Line, Line | bytes)
    assert found.arguments.__struct_fields__ == ("room", "loud")
    assert [(each.path, each.origins, each.required_params) for each in found.http] == [
        ("/a/{room}", ("https://x",), ("token",)),
        ("/b/{room:[a-z]+}", ("https://x",), ("token",)),
    ]


def test_a_socket_without_types_takes_everything() -> None:
    for name in ("bare", "untyped"):
        assert (endpoint(name).stream_parameter, endpoint(name).inbound, endpoint(name).result) == ("ws", Any, Any)


def test_a_method_that_takes_the_request_gets_no_socket() -> None:
    assert endpoint("request").stream_parameter == ""
    assert asyncio.run(handler(Good(), endpoint("request"))("it")) == "it"


class Peer:
    """An opening whose socket says two lines and hears the answers."""

    id, request = "1", None

    def __init__(self, arguments: Any, close_code: int | None = None) -> None:
        self.arguments, self.close_code = arguments, close_code
        self.heard: list[Any] = []

    async def accept(self) -> Peer:
        return self

    async def __aiter__(self) -> Any:
        yield Line("a")
        yield Line("b")

    async def send(self, message: Any) -> None:
        self.heard.append(message.text)


def test_a_handler_gets_its_arguments_wherever_the_socket_stands() -> None:
    found = endpoint("typed")
    peer = Peer(found.arguments("red", loud=True))
    asyncio.run(handler(Good(), found)(peer))
    assert peer.heard == ["red True a", "red True b"]


def test_a_handler_that_finds_its_own_peer_gone_has_ended_well() -> None:
    asyncio.run(handler(Good(), endpoint("late"))(Peer(None, close_code=1006)))
    with pytest.raises(Closed):  # of another socket
        asyncio.run(handler(Good(), endpoint("late"))(Peer(None)))


def test_a_socket_that_never_opened_runs_no_handler() -> None:
    class Gone(Peer):
        async def accept(self) -> Peer:
            raise Closed("gone", close_code=1006)

    asyncio.run(handler(Good(), endpoint("bare"))(Gone(None)))


class Opaque:
    pass


async def no_socket(self: Any, room: str, name: str) -> None: ...
async def two_sockets(self: Any, one: WebSocket[str, str], two: WebSocket[str, str]) -> None: ...
def not_async(self: Any, ws: WebSocket[str, str]) -> None: ...
async def ambiguous(self: Any, ws: WebSocket[str | Line, str]) -> None: ...
async def ambiguous_out(self: Any, ws: WebSocket[str, Line | str]) -> None: ...
async def opaque(self: Any, ws: WebSocket[Opaque, str]) -> None: ...
async def unknown_variable(self: Any, ws: WebSocket[str, str]) -> None: ...


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (no_socket, "no parameter gets the socket; annotate one of them, as in `ws: WebSocket[str, str]`"),
        (two_sockets, "one and two are sockets"),
        (not_async, "it runs as long as its socket is open; write `async def`"),
        (ambiguous, "what 'ws' receives: it has str beside a type that is written as JSON"),
        (ambiguous_out, "what 'ws' sends"),
        (opaque, "Opaque"),
        (unknown_variable, "{room}, which is no parameter"),
    ],
)
def test_what_can_t_work_is_refused_with_the_place_and_the_remedy(body: Any, says: str) -> None:
    made: Any = type(
        "Bad", (Service,), {"socket": websocket("/{room}" if body is unknown_variable else "/x")(body)}, name="bad", version="1"
    )  # fmt: skip
    with pytest.raises(UsageError) as caught:
        describe(made)
    assert says in str(caught.value)
    assert "test_sockets.py:" in str(caught.value)


def test_a_time_limit_is_above_zero() -> None:
    async def socket(self: Any, ws: WebSocket[str, str]) -> None: ...

    made: Any = type("Bad", (Service,), {"socket": websocket("/x", timeout=0)(socket)}, name="bad", version="1")
    with pytest.raises(UsageError, match="no time limit"):
        describe(made)


@pytest.mark.parametrize(
    ("hint", "text", "binary"),
    [
        (str, "text", False),
        (bytes, None, True),
        (str | bytes, "text", True),
        (Annotated[str, Meta(max_length=1)], "text", False),
        (Line, "json", False),
        (Line | bytes, "json", True),
        (int, "json", False),
        (Any, "text", True),
    ],
)
def test_each_type_has_its_kinds_of_messages(hint: Any, text: str | None, binary: bool) -> None:
    found = sides_of(hint)
    assert (found.text, found.binary is not None) == (text, binary)
