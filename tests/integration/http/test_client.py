"""The client side against the server side, and against servers that misbehave. Row 30: it works, with a pooled session."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import pytest

from vyked_host.builtin.http.options import Options
from vyked_host.builtin.http.transport import HttpTransport
from vyked_host.contracts import Address, Call, EndpointDescription, Fault, Kind, LimitsTable, TimingTable
from vyked_host.errors import CallError, NotFound, NotSupported, Unavailable
from vyked_host.runtime.net import AsyncioNet
from vyked_host.wire.metadata import pack

from .services import endpoint
from .small_calls import environment


class Outcome:
    """A sink that can be waited for."""

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self.items: list[Any] = []
        self.credits = 0
        self.changed = asyncio.Event()

    def respond(self, call: Call, body: Any) -> None:
        self.ended.set_result(body)

    def fail(self, call: Call, fault: Fault) -> None:
        self.ended.set_result(fault)

    def item(self, call: Call, body: Any) -> bool:
        self.items.append(body)
        self.changed.set()
        return True

    def credit(self, call: Call, items: int) -> None:
        self.credits += items
        self.changed.set()

    async def have(self, items: int) -> None:
        while len(self.items) < items:
            self.changed.clear()
            await self.changed.wait()


Dial = Callable[..., Awaitable[Any]]
LONG_S = 60.0
"""For what has an end of its own: a busy machine takes its time."""


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    channels: list[Any] = []

    async def connect(
        port: int, *, env: Any = None, within: float = LONG_S, scheme: str = "http", **options: Any
    ) -> Any:
        env = env or environment()
        transport = HttpTransport(Options(**options), env)
        address = Address(transport="http", uri=f"{scheme}://127.0.0.1:{port}")
        channels.append(await transport.dial(address, deadline=env.clock.now() + within))
        return channels[-1]

    yield connect
    for channel in channels:
        await channel.aclose()


def wanted(name: str, **fields: Any) -> EndpointDescription:
    return endpoint(name, **fields)


def start(channel: Any, name: str, body: Any = b"{}", *, within: float = LONG_S, **fields: Any) -> tuple[Outcome, Any]:
    sink = Outcome()
    codec = fields.pop("codec", channel.codec)
    index = fields.pop("index", None)
    index = channel.endpoint(wanted(name)) if index is None else index
    call = Call(id=0, endpoint=index, codec=codec, body=body, deadline=channel.env.clock.now() + within, **fields)
    return sink, channel.dispatch(call, sink)


async def outcome(channel: Any, name: str, body: Any = b"{}", **fields: Any) -> Any:
    return await start(channel, name, body, **fields)[0].ended


async def test_row_30_a_call_goes_over_and_comes_back(served: Any, dial: Dial) -> None:
    channel = await dial(served[2])
    assert (channel.node_id, channel.codec) == ("node-a", "json")
    assert await outcome(channel, "hello", b'{"user_name":"ada"}') == b'{"text":"Hello ada"}'


async def test_row_30_calls_share_a_pool_of_connections(served: Any, dial: Dial) -> None:
    channel = await dial(served[2], pool=2)
    found = await asyncio.gather(*(outcome(channel, "echo", json.dumps({"text": str(n)}).encode()) for n in range(50)))
    assert found == [json.dumps(str(n)).encode() for n in range(50)]
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{served[2]}/_stats") as answer:
        assert (await answer.json())["listener"]["open"] <= 2 + 2  # the pool, the one that dialled, this one


async def test_a_node_that_is_dialled_by_a_name_it_does_not_go_by_says_what_to_set(serve: Any) -> None:
    _, _, port = await serve(hosts=("shop.example",))

    class Renamed(AsyncioNet):
        async def connect(self, address: str, *more: Any, **named: Any) -> Any:
            return await super().connect(address.replace("elsewhere.example", "127.0.0.1"), *more, **named)

    env = msgspec.structs.replace(environment(), net=Renamed())
    address = Address(transport="http", uri=f"http://elsewhere.example:{port}")
    with pytest.raises(CallError, match=r"does not go by the name .elsewhere.example.*\[transports.http\]") as caught:
        await HttpTransport(Options(), env).dial(address, deadline=env.clock.now() + 3.0)
    assert caught.value.executed in ("not_sent", "not_executed")


async def test_another_serializer_by_option(served: Any, dial: Dial) -> None:
    channel = await dial(served[2], serializer="msgpack")
    assert channel.codec == "msgpack"
    body = await outcome(channel, "hello", msgspec.msgpack.encode({"user_name": "ada"}))
    assert msgspec.msgpack.decode(body) == {"text": "Hello ada"}


async def test_everything_beside_the_body_arrives(served: Any, dial: Dial) -> None:
    channel = await dial(served[2])
    metadata = pack({"traceparent": "00-1-2-01", "tenant": "café\r\nX: y"})
    await outcome(
        channel,
        "echo",
        b'{"text":""}',
        metadata=metadata,
        entity="café/1",
        idempotency_key="key 1",
        attempt=3,
        caller="accounts/1.0.0",
    )
    call = served[0].calls.calls[-1]
    assert json.loads(call.metadata) == {"tenant": "café\r\nX: y", "traceparent": "00-1-2-01"}
    assert (call.entity, call.idempotency_key, call.attempt, call.caller) == ("café/1", "key 1", 3, "accounts/1.0.0")
    assert LONG_S / 2 < call.deadline - asyncio.get_running_loop().time() <= LONG_S


async def test_faults_come_back_as_they_were(served: Any, dial: Dial) -> None:
    channel = await dial(served[2])
    taken = await outcome(channel, "create", b'{"user_name":"taken","password":""}')
    assert (taken.code, taken.type, taken.details) == ("APPLICATION", "user_exists", {"user_name": "taken"})
    busy = await outcome(channel, "busy")
    assert (busy.code, busy.retry_after_s) == ("RESOURCE_EXHAUSTED", 1.5)
    wrong = await outcome(channel, "hello", b'{"user":1}')
    assert (wrong.code, wrong.executed) == ("INVALID_ARGUMENT", "not_executed")


async def test_a_refused_connection_is_not_sent_and_retires_the_channel(serve: Any, dial: Dial) -> None:
    _, listener, port = await serve()
    channel = await dial(port)
    await listener.aclose()
    fault = await outcome(channel, "hello", b'{"user_name":"ada"}')
    assert (fault.code, fault.executed) == ("UNAVAILABLE", "not_sent")
    assert channel.retired.done()
    sink, running = start(channel, "hello")
    assert running is None
    assert (await sink.ended).executed == "not_sent"


async def test_a_connection_lost_after_sending_leaves_it_unknown(serve: Any, dial: Dial) -> None:
    identity, listener, port = await serve()
    channel = await dial(port)
    sink, _ = start(channel, "wait")
    await identity.gate.entered.wait()
    await listener.aclose()
    fault = await sink.ended
    assert (fault.code, fault.executed) == ("UNAVAILABLE", "unknown")


async def test_cancel_reaches_the_handler(served: Any, dial: Dial) -> None:
    identity = served[0]
    channel = await dial(served[2])
    sink, running = start(channel, "wait")
    await identity.gate.entered.wait()
    running.cancel(Fault(code="CANCELLED", message="enough", executed="unknown"))
    assert (await sink.ended).message == "enough"
    await identity.gate.cancelled.wait()


async def test_the_deadline_ends_the_call_on_both_sides(served: Any, dial: Dial) -> None:
    identity = served[0]
    channel = await dial(served[2])
    fault = await outcome(channel, "wait", within=0.2)
    assert (fault.code, fault.executed) == ("DEADLINE_EXCEEDED", "unknown")
    await identity.gate.cancelled.wait()


async def test_closing_the_channel_fails_what_runs(served: Any, dial: Dial) -> None:
    identity = served[0]
    channel = await dial(served[2])
    sink, _ = start(channel, "wait")
    await identity.gate.entered.wait()
    await channel.aclose()
    assert (await sink.ended).executed == "unknown"
    await channel.aclose()


async def test_an_endpoint_that_is_not_there_says_what_is(served: Any, dial: Dial) -> None:
    channel = await dial(served[2])
    with pytest.raises(NotFound, match=r"identity\.hello@1\.2\.0"):
        channel.endpoint(wanted("nothing"))
    with pytest.raises(NotFound):
        channel.endpoint(wanted("hello", version="2"))
    assert channel.endpoint(wanted("hello", version="1.1")) == channel.endpoint(wanted("hello"))


async def test_an_index_that_is_gone_is_not_found(served: Any, dial: Dial) -> None:
    channel = await dial(served[2])
    assert (await outcome(channel, "", index=999)).code == "NOT_FOUND"


async def test_a_changed_surface_is_seen_after_the_next_answer(served: Any, dial: Dial) -> None:
    identity, listener, port = served
    channel = await dial(port)
    identity.calls.serve(endpoint("late", result=str), identity.traced)
    listener.expose(identity.calls.surface)
    await outcome(channel, "echo", b'{"text":""}')
    await channel.env.tasks.idle()
    assert await outcome(channel, "late") == b'"traced"'


async def test_a_draining_node_retires_its_channels(served: Any, dial: Dial) -> None:
    identity, listener, port = served
    channel = await dial(port)
    sink, _ = start(channel, "wait")
    await identity.gate.entered.wait()
    listener.stop_accepting()
    fault = await outcome(channel, "echo", b'{"text":""}')
    assert (fault.code, fault.executed) == ("UNAVAILABLE", "not_executed")
    assert channel.retired.done()
    identity.gate.open.set()
    assert await sink.ended == b'"waited"'


# ---- streams ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("serializer", ["json", "msgpack"])
async def test_a_streamed_answer_comes_item_by_item_with_credit(served: Any, dial: Dial, serializer: str) -> None:
    channel = await dial(served[2], serializer=serializer)
    encode = channel.env.serializers()[serializer].codec(dict).encode
    sink, running = start(channel, "count", encode({"to": 100}))
    await sink.have(32)
    assert len(sink.items) == 32
    running.credit(1000)
    assert await sink.ended is None
    decode = channel.env.serializers()[serializer].codec(dict).decode
    assert [decode(item) for item in sink.items] == [{"text": str(n)} for n in range(100)]


@pytest.mark.parametrize("serializer", ["json", "msgpack"])
async def test_a_stream_that_breaks_off_tells_why(served: Any, dial: Dial, serializer: str) -> None:
    channel = await dial(served[2], serializer=serializer)
    body = channel.env.serializers()[serializer].codec(dict).encode({"to": 9, "fail_at": 5})
    sink, _ = start(channel, "count", body)
    fault = await sink.ended
    assert (len(sink.items), fault.type) == (5, "user_exists")


async def test_leaving_a_stream_early_ends_its_handler(served: Any, dial: Dial) -> None:
    identity = served[0]
    channel = await dial(served[2])
    sink, running = start(channel, "endless")
    await sink.have(1)
    running.cancel(Fault(code="CANCELLED", message="enough", executed="unknown"))
    await identity.ended.wait()
    assert identity.produced < 10_000


async def test_a_streamed_request_is_written_as_it_comes(served: Any, dial: Dial) -> None:
    channel = await dial(served[2])
    sink, running = start(channel, "sum", b'{"start":1}')
    for number in range(100):
        running.item(b"%d" % number)
    running.end()
    assert await sink.ended == b"4951"
    assert sink.credits == 100


@pytest.mark.parametrize("serializer", ["json", "msgpack"])
async def test_both_ways_at_once(served: Any, dial: Dial, serializer: str) -> None:
    channel = await dial(served[2], serializer=serializer)
    codec = channel.env.serializers()[serializer].codec(int)
    sink, running = start(channel, "double", channel.env.serializers()[serializer].codec(dict).encode({}))
    for number in range(5):
        running.item(codec.encode(number))
        await sink.have(number + 1)
    running.end()
    assert await sink.ended is None
    assert [codec.decode(item) for item in sink.items] == [0, 2, 4, 6, 8]


async def test_streams_do_not_starve_calls(served: Any, dial: Dial) -> None:
    channel = await dial(served[2], pool=1)
    streams = [start(channel, "endless") for _ in range(3)]
    for sink, _ in streams:
        await sink.have(1)
    assert await outcome(channel, "echo", b'{"text":"a"}') == b'"a"'
    for _, running in streams:
        running.cancel(Fault(code="CANCELLED", message="", executed="unknown"))


# ---- raw -------------------------------------------------------------------------------------------------------------
def page(**fields: Any) -> EndpointDescription:
    return EndpointDescription(service="pages", version="1", name="page", kind=Kind.HTTP, **fields)


async def test_row_30_a_raw_request_gives_aiohttps_response(served: Any, dial: Dial) -> None:
    channel = await dial(served[2])
    index = channel.endpoint(page())
    assert channel.endpoint(page()) == index
    answer = await outcome(
        channel, "", {"method": "get", "path": "/pages/x", "params": {"a": "1", "b": "2"}}, index=index, codec="raw"
    )
    assert (answer.status, await answer.text()) == (200, "x 1")
    assert dict(answer.url.query) == {"version": "1", "service": "pages", "a": "1", "b": "2"}
    answer = await outcome(
        channel,
        "",
        {"method": "POST", "path": "/pages/x", "data": {"k": "v"}, "headers": None},
        index=index,
        codec="raw",
    )
    assert await answer.json() == {"k": "v"}


@pytest.mark.parametrize("body", [{}, {"path": "http://other/"}, {"path": "/x", "verify": False}])
async def test_a_raw_request_that_makes_no_sense_is_not_sent(served: Any, dial: Dial, body: Any) -> None:
    channel = await dial(served[2])
    fault = await outcome(channel, "", body, index=channel.endpoint(page()), codec="raw")
    assert (fault.code, fault.executed) == ("INVALID_ARGUMENT", "not_sent")


async def test_a_service_that_is_not_there_has_no_raw_requests(served: Any, dial: Dial) -> None:
    channel = await dial(served[2])
    with pytest.raises(NotFound):
        channel.endpoint(EndpointDescription(service="nobody", version="1", name="x", kind=Kind.HTTP))


async def test_a_server_that_is_no_host_takes_requests_and_is_asked_for_nothing_else(served: Any, dial: Dial) -> None:
    channel = await dial(f"{served[2]}/foreign-1")
    assert channel.node_id == "foreign-1"
    index = channel.endpoint(EndpointDescription(service="whoever", version="7", name="x", kind=Kind.HTTP))
    asked = {"method": "GET", "path": "/pages/x", "params": {"a": "1", "b": "2"}}
    answer = await outcome(channel, "", asked, index=index, codec="raw")
    assert (answer.status, await answer.text()) == (200, "x 1")
    with pytest.raises(Unavailable, match="no host") as refused:
        channel.endpoint(EndpointDescription(service="pages", version="1", name="find", kind=Kind.UNARY))
    assert refused.value.executed == "not_sent"
    assert channel.retired.done(), "the next call of a method looks for another way"


# ---- what answers a dial ---------------------------------------------------------------------------------------------
async def test_another_mesh_is_refused_by_name(serve: Any, dial: Dial) -> None:
    _, _, port = await serve(env=environment(mesh="other"))
    with pytest.raises(Unavailable, match="other") as caught:
        await dial(port)
    assert caught.value.executed == "not_sent"


async def test_nobody_listening_is_unavailable(dial: Dial, unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable) as caught:
        await dial(unused_tcp_port)
    assert caught.value.executed == "not_sent"


async def test_a_draining_node_is_not_dialled(served: Any, dial: Dial) -> None:
    served[1].stop_accepting()
    with pytest.raises(Unavailable, match="503"):
        await dial(served[2])


async def test_another_scheme_is_not_supported(dial: Dial) -> None:
    with pytest.raises(NotSupported, match=r"tcp://127\.0\.0\.1:1"):
        await dial(1, scheme="tcp")


SURFACE = b'{"protocol":1,"node_id":"evil","mesh":"test","revision":1,"serializers":["json"],"endpoints":[{"service":"identity","version":"1.2.0","name":"hello","kind":1}]}'


@pytest.fixture
async def evil() -> AsyncIterator[Callable[[bytes, bool], Awaitable[int]]]:
    """A server that tells a surface and then answers every call with the given bytes, and closes (or not)."""
    servers: list[asyncio.Server] = []

    async def listen(answer: bytes, close: bool = True) -> int:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while line := await reader.readline():
                    while (await reader.readline()).strip():
                        pass
                    if b"/-/surface" in line:
                        writer.write(
                            b"HTTP/1.1 200 OK\r\nVyked-Surface: 1\r\nContent-Length: %d\r\n\r\n" % len(SURFACE)
                            + SURFACE
                        )
                    else:
                        writer.write(answer)
                        if close:
                            return
            except ConnectionError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield listen
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("answer", "code", "executed"),
    [
        (b"", "UNAVAILABLE", "unknown"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "UNAVAILABLE", "unknown"),
        (b"not HTTP at all\r\n\r\n", "UNAVAILABLE", "unknown"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 5000, "TOO_LARGE", "unknown"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nproxy", "UNAVAILABLE", "unknown"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", "INTERNAL", "unknown"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 56\r\n\r\n" + b'{"error":"e","code":"UNAVAILABLE","executed":"not_sent"}', "INTERNAL", "unknown"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "INTERNAL", "unknown"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", "UNAVAILABLE", "unknown"),
    ],
)  # fmt: skip
async def test_a_server_that_misbehaves_is_a_fault_never_a_hang(
    evil: Any, dial: Dial, answer: bytes, code: str, executed: str
) -> None:
    channel = await dial(await evil(answer), env=environment(limits=LimitsTable(message=1000)))
    fault = await outcome(channel, "hello", b"{}")
    assert (fault.code, fault.executed) == (code, executed)


async def test_a_server_that_never_answers_a_dial_is_left_in_time(dial: Dial) -> None:
    with socket.socket() as silent:  # the kernel accepts, nobody reads: as a stopped process does
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        with pytest.raises(Unavailable, match="within"):
            await dial(silent.getsockname()[1], env=environment(timing=TimingTable(scale=0.05)))
