"""Row 14: a node that answers our client with anything but what it should. Each dial and call ends, in time, with a fault."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from vyked_host.contracts import Code, Fault, LimitsTable, TimingTable
from vyked_host.errors import Unavailable

from .small_calls import environment
from .test_client import dial, outcome, start

__all__ = ["dial"]

HELLO = {"service": "identity", "version": "1.2.0", "name": "hello", "kind": 1}
COUNT = {"service": "identity", "version": "1.2.0", "name": "count", "kind": 2}
Listen = Callable[..., Awaitable[int]]


def directory(**fields: Any) -> bytes:
    said = {"protocol": 1, "node_id": "evil", "mesh": "test", "revision": 1, "serializers": ["json"]}
    return json.dumps(said | {"endpoints": [HELLO, COUNT]} | fields).encode()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Vyked-Surface: 1", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
async def node() -> AsyncIterator[Listen]:
    """Serves a surface, and answers calls: each is bytes, or pieces that are said again and again until nobody listens."""
    servers: list[asyncio.Server] = []
    stopped = asyncio.Event()

    async def say(writer: asyncio.StreamWriter, first: bytes, endless: bytes) -> None:
        writer.write(first)
        while endless and not stopped.is_set():
            writer.write(endless)
            await writer.drain()
            await asyncio.sleep(0)

    async def listen(surface: bytes, said: bytes = b"", *, endless: bytes = b"") -> int:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while line := await reader.readline():
                    while (await reader.readline()).strip():
                        pass
                    asks = b"/-/surface" in line
                    await say(writer, surface if asks else said, b"" if asks and said else endless)
            except ConnectionError:
                pass
            finally:
                writer.close()

        servers.append(await asyncio.start_server(talk, "127.0.0.1", 0))
        return int(servers[-1].sockets[0].getsockname()[1])

    yield listen
    stopped.set()
    for server in servers:
        server.close()


# ---- the dial --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "surface",
    [
        b"\xff" * 1000,
        answer(b"no JSON"),
        answer(b"{}"),
        answer(b'{"protocol":1}' + b" " * 100),
        answer(directory(endpoints=[HELLO | {"version": "one"}])),
        answer(directory(protocol=2)),
        answer(directory(mesh="other")),
        answer(directory(serializers=["pickle"])),
        answer(directory(endpoints=7)),
        answer(b"[" * 1_000_000),
        answer(b"", status="500 No"),
        answer(b"", "Location: http://127.0.0.1:1/", status="302 Found"),
        answer(gzip.compress(b" " * 64_000_000), "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=[
        "garbage", "no json", "empty", "blank", "version", "protocol", "mesh", "serializer", "type",
        "depth", "500", "redirect", "gzip bomb", "negative length", "two lengths",
    ],
)  # fmt: skip
async def test_a_surface_that_is_none_fails_the_dial_unsent(node: Listen, dial: Any, surface: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        await dial(await node(surface))
    assert caught.value.executed == "not_sent"


@pytest.mark.parametrize(
    ("surface", "endless"),
    [
        (b"", b"X"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b" " * 0x400 + b"\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status line", "headers", "body", "continue"],
)
async def test_a_hello_without_end_is_left_in_time(node: Listen, dial: Any, surface: bytes, endless: bytes) -> None:
    env = environment(timing=TimingTable(dial=0.5))
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable) as caught:
            await dial(await node(surface, endless=endless), env=env)
    assert caught.value.executed == "not_sent"


async def test_endpoints_of_a_kind_from_the_future_are_passed_over(node: Listen, dial: Any) -> None:
    future = [HELLO | {"name": "later", "kind": 99}, HELLO | {"name": "odd", "kind": -1}, HELLO]
    channel = await dial(await node(answer(directory(endpoints=future))))
    assert [each and each.name for each in channel.surface.endpoints] == [None, None, "hello"]


# ---- calls -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "endless", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"a" * 0x400 + b"\r\n", "TOO_LARGE"),
        (answer(gzip.compress(b"a" * 64_000_000), "Content-Encoding: gzip"), b"", "TOO_LARGE"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", "UNAVAILABLE"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"", "DEADLINE_EXCEEDED"),
        (answer(b"[" * 900, status="500 No"), b"", "INTERNAL"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"", "INTERNAL"),
    ],
    ids=["endless body", "bomb", "endless headers", "silence", "depth", "upgrade"],
)
async def test_an_answer_that_is_none_ends_the_call_and_not_the_client(
    node: Listen, dial: Any, said: bytes, endless: bytes, code: Code
) -> None:
    port = await node(answer(directory()), said, endless=endless)
    channel = await dial(port, env=environment(limits=LimitsTable(message=1000)))
    async with asyncio.timeout(10):
        fault = await outcome(channel, "hello", b"{}", within=1.0)
    assert (fault.code, fault.executed) == (code, "unknown")


async def test_a_stream_that_floods_waits_for_credit_and_can_be_left(node: Listen, dial: Any) -> None:
    begun = b"HTTP/1.1 200 OK\r\nVyked-Surface: 1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n"
    port = await node(answer(directory()), begun, endless=b"4\r\n111\n\r\n")
    channel = await dial(port)
    sink, running = start(channel, "count")
    await sink.have(32)
    await outcome(channel, "hello", within=0.2)  # time in which a client that keeps no count would take more
    assert len(sink.items) == 32
    running.cancel(Fault(code="CANCELLED", message="enough", executed="unknown"))
    assert (await sink.ended).code == "CANCELLED"
