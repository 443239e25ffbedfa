"""Bad input, slow input, too much input: RELIABILITY C1, rows 11 to 13, on raw sockets."""

from __future__ import annotations

import asyncio
import gzip
import resource
import zlib
from typing import Any

import aiohttp
import pytest

from vyked_host.contracts import LimitsTable, TimingTable

from .small_calls import environment

FAST = TimingTable(scale=0.02)  # headers 0.2 s, body 0.6 s, grace 0.1 s, write 0.2 s, keep-alive 1.2 s
POST = b"POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"user_name": "ada", "password": "x"}'


# ---- 13: smuggling ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        POST + b"Content-Length: +5\r\n\r\nabcde",
        POST + b"Content-Length: 5, 5\r\n\r\nabcde",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n",
        POST + b" Content-Length: 5\r\n\r\nabcde",
        b"GET /ping HTTP/1.1\nHost: localhost\n\n",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        b"GET /pi ng HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /ping HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)  # fmt: skip
async def test_row_13_what_could_be_read_two_ways_is_refused_once_and_the_connection_closed(
    served: Any, raw: Any, request_bytes: bytes
) -> None:
    connection = await raw(served[2])
    await connection.send(request_bytes)
    answer = await connection.everything()
    assert answer.count(b"HTTP/1.") == 1
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b'"code":"INVALID_ARGUMENT"' in answer
    assert served[0].calls.calls == []


async def test_row_13_a_duplicate_host_reaches_no_handler_twice(served: Any, raw: Any) -> None:
    connection = await raw(served[2])
    await connection.send(b"GET /users/ada HTTP/1.1\r\nHost: localhost\r\nHost: y\r\nConnection: close\r\n\r\n")
    assert (await connection.everything()).count(b"HTTP/1.") == 1


async def test_row_13_nothing_of_a_request_can_break_a_header_of_the_answer(served: Any, raw: Any) -> None:
    connection = await raw(served[2])
    await connection.send(b"GET /x%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head, _, _ = (await connection.everything()).partition(b"\r\n\r\n")
    assert b"Set-Cookie" not in head


# ---- 11: compression bombs -------------------------------------------------------------------------------------------
def deflated(size: int) -> bytes:
    return zlib.compress(b"0" * size, 9)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", lambda size: gzip.compress(b"0" * size)), ("deflate", deflated)]
)
async def test_row_11_a_compression_bomb_is_refused_while_it_inflates(
    serve: Any, raw: Any, encoding: str, pack: Any
) -> None:
    _, _, port = await serve()
    bomb = pack(256 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    connection = await raw(port)
    await connection.send(
        b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
        % (encoding.encode(), len(bomb))
        + bomb
    )
    head = await connection.head()
    assert head.startswith("HTTP/1.1 413")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB: what inflates is capped


async def test_row_11_a_compressed_body_within_the_limit_is_read(http: Any) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with http.post("/users", data=gzip.compress(BODY), headers=headers) as answer:
        assert answer.status == 201


# ---- size ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"431"),
        (b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
        (b"GET /ping HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"a" * 4000) for n in range(10)) + b"\r\n", b"431"),
        (b"GET /ping HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(200)) + b"\r\n", b"400"),
        (b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n", b"413"),
    ],
)  # fmt: skip
async def test_what_is_too_large_is_refused_before_it_is_kept(
    served: Any, raw: Any, request_bytes: bytes, status: bytes
) -> None:
    connection = await raw(served[2])
    await connection.send(request_bytes)
    answer = await connection.everything()
    assert answer[9:12] == status
    assert b'"error"' in answer


async def test_a_chunked_body_over_the_limit_is_refused(serve: Any, raw: Any) -> None:
    _, _, port = await serve(env=environment(limits=LimitsTable(message=1000)))
    connection = await raw(port)
    await connection.send(
        b"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n"
        + b"a" * 1000
        + b"\r\n1\r\na\r\n0\r\n\r\n"
    )
    assert (await connection.head()).startswith("HTTP/1.1 413")


# ---- 12: slowloris ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /pi", b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: a\r\n", POST + b"Content-Length: 40\r\n\r\n{", POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"],
    ids=["nothing", "request line", "headers", "body", "chunks"],
)  # fmt: skip
async def test_row_12_who_stalls_is_cut(serve: Any, raw: Any, sent: bytes) -> None:
    identity, _, port = await serve(env=environment(timing=FAST))
    connection = await raw(port)
    await connection.send(sent)
    async with asyncio.timeout(5):
        assert await connection.everything() == b""
    assert identity.calls.calls == []


@pytest.mark.parametrize(
    "start", [b"GET /ping HTTP/1.1\r\n", POST + b"Content-Length: 100000\r\n\r\n"], ids=["headers", "body"]
)
async def test_row_12_who_trickles_is_cut(serve: Any, raw: Any, start: bytes) -> None:
    _, _, port = await serve(env=environment(timing=FAST))
    connection = await raw(port)
    await connection.send(start)

    async def trickle() -> None:
        while True:
            await connection.send(b"X: a\r\n")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    async with asyncio.timeout(5):
        assert await connection.everything() == b""
    trickling.cancel()


async def test_row_12_five_hundred_slow_links_leave_an_honest_client_alone(serve: Any, raw: Any) -> None:
    _, _, port = await serve(env=environment(timing=TimingTable(scale=0.1)))
    slow = [await raw(port) for _ in range(500)]
    for each in slow:
        await each.send(b"GET /ping HTTP/1.1\r\nX: ")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for _ in range(20):
            async with http.get("/users/ada") as answer:
                assert answer.status == 200
    async with asyncio.timeout(10):
        assert set(await asyncio.gather(*(each.everything() for each in slow))) == {b""}


async def test_row_12_a_reader_that_stalls_is_cut_and_its_handler_cancelled(serve: Any, raw: Any) -> None:
    identity, _, port = await serve(env=environment(timing=FAST))
    connection = await raw(port)
    await connection.send(b"POST /-/call/identity/endless HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(5):
        await identity.ended.wait()


async def test_row_12_an_idle_connection_is_kept_for_its_time_and_then_closed(serve: Any, raw: Any) -> None:
    _, _, port = await serve(env=environment(timing=FAST))
    connection = await raw(port)
    for _ in range(2):
        await connection.send(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await connection.head()).startswith("HTTP/1.1 200")
    async with asyncio.timeout(5):
        assert await connection.everything() == b""


async def test_a_slow_handler_is_no_slow_client(serve: Any, raw: Any) -> None:
    identity, _, port = await serve(env=environment(timing=FAST))
    connection = await raw(port)
    await connection.send(
        b"POST /-/call/identity/wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    await identity.gate.entered.wait()
    other = await raw(port)
    assert await other.everything() == b""  # cut for its headers: by then the first would have been cut, too
    identity.gate.open.set()
    assert (await connection.everything()).endswith(b'"waited"')


# ---- how many --------------------------------------------------------------------------------------------------------
async def test_connections_over_the_cap_are_closed_at_once_and_the_others_go_on(serve: Any, raw: Any) -> None:
    identity, _, port = await serve(env=environment(limits=LimitsTable(connections=4)))
    running = [await raw(port) for _ in range(4)]
    for each in running:
        await each.send(
            b"POST /-/call/identity/wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        identity.gate.entered.clear()
        await identity.gate.entered.wait()
    assert await (await raw(port)).everything() == b""
    identity.gate.open.set()
    for each in running:
        assert (await each.everything()).endswith(b'"waited"')


async def test_near_the_cap_the_oldest_idle_connection_makes_room(serve: Any, raw: Any) -> None:
    _, _, port = await serve(env=environment(limits=LimitsTable(connections=2)))
    first, second = await raw(port), await raw(port)
    for each in (first, second):
        await each.send(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await each.head()
    third = await raw(port)
    await third.send(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await third.head()).startswith("HTTP/1.1 200")
    assert await first.everything() == b""


async def test_pipelined_requests_are_answered_in_order(served: Any, raw: Any) -> None:
    connection = await raw(served[2])
    await connection.send(b"".join(b"GET /users/u%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % n for n in range(20)))
    for n in range(20):
        assert b'Hello u%d"' % n in await connection.until(b"}")
