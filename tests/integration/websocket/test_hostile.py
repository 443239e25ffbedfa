"""What a peer may try: RELIABILITY C1 rows 11, 12 and 15 for sockets, C2 limits; on raw sockets where aiohttp's client is too
polite."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.integration.http.raw import Raw
from vyked_host.builtin.http.websocket.session import Session
from vyked_host.testing.waiting import eventually

from .rooms import port, served

FAST = "[timing]\nscale = 0.02\n"  # headers 0.2 s, body 0.6 s, write 0.2 s, ping 0.2 s, pong 0.1 s
NO_PING = "[timing]\nping = 600\n"
HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)
MASK = b"\x01\x02\x03\x04"
FIN, MASKED = 0x80, 0x80
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, claims: int | None = None
) -> bytes:
    """One frame as a client sends it; `claims`: another length than it has."""
    size = len(payload) if claims is None else claims
    first = bytes([(FIN if fin else 0) | opcode])
    bit = MASKED if masked else 0
    if size < 126:
        head = first + bytes([bit | size])
    elif size < 1 << 16:
        head = first + bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head = first + bytes([bit | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[n % 4] for n, byte in enumerate(payload))


@asynccontextmanager
async def opened(host: Any, path: bytes, headers: bytes = b"") -> AsyncIterator[Raw]:
    connection = await Raw.connect(port(host))
    await connection.send(HANDSHAKE % (path, headers))
    head = await connection.head()
    assert head.startswith("HTTP/1.1 101")
    assert "permessage-deflate" not in head
    yield connection
    await connection.close()


async def closing(connection: Raw) -> tuple[int, str]:
    """Code and reason of the close frame that comes, possibly after other frames; (1006, "") when there is none."""
    async with asyncio.timeout(10):
        data = await connection.everything()
    at = 0
    while at < len(data):
        opcode, size = data[at] & 0x0F, data[at + 1] & 0x7F
        skip = {126: 2, 127: 8}.get(size, 0)
        size = int.from_bytes(data[at + 2 : at + 2 + skip], "big") if skip else size
        payload = data[at + 2 + skip : at + 2 + skip + size]
        if opcode == CLOSE:
            return int.from_bytes(payload[:2], "big"), payload[2:].decode()
        at += 2 + skip + size
    return 1006, ""


# ---- broken frames ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(TEXT, b"abc", masked=False), 1002),
        (frame(PING, b"", masked=False), 1002),
        (frame(0x3, b"abc"), 1002),
        (frame(0xB, b""), 1002),
        (frame(0, b"abc"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (frame(PING, b"a", fin=False), 1002),
        (frame(PING, b"a" * 126), 1002),
        (bytes([FIN | 0x40 | TEXT]) + frame(TEXT, b"abc")[1:], 1002),
        (bytes([FIN | 0x20 | TEXT]) + frame(TEXT, b"abc")[1:], 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, (1005).to_bytes(2, "big")), 1002),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(0, b"\x28"), 1007),
    ],
)
async def test_what_is_no_frame_ends_the_socket_with_its_code(frames: bytes, code: int) -> None:
    async with served(config=FAST) as (host, rooms, _), opened(host, b"/records") as connection:
        await connection.send(frames)
        assert (await closing(connection))[0] == code
        await asyncio.wait_for(rooms.ended.wait(), 5)
        assert [each for each in rooms.seen if isinstance(each, str)] == []


async def test_a_close_is_answered_and_the_connection_ends() -> None:
    async with served() as (host, rooms, _), opened(host, b"/records") as connection:
        await connection.send(frame(CLOSE, (1000).to_bytes(2, "big") + b"bye"))
        assert (await closing(connection))[0] == 1000
        await asyncio.wait_for(rooms.ended.wait(), 5)
        assert rooms.seen == [1000]


async def test_a_close_without_a_code_is_1005() -> None:
    async with served() as (host, rooms, _), opened(host, b"/records") as connection:
        await connection.send(frame(CLOSE))
        await connection.everything()
        await asyncio.wait_for(rooms.ended.wait(), 5)
        assert rooms.seen == [1005]


async def test_frames_may_come_byte_by_byte_and_in_fragments_with_pings_between() -> None:
    async with served() as (host, _rooms, _), opened(host, b"/text") as connection:
        sent = frame(TEXT, b"ab", fin=False) + frame(PING, b"are you there") + frame(0, b"", fin=False) + frame(0, b"c")
        for at in range(len(sent)):
            await connection.send(sent[at : at + 1])
        assert await connection.until(b"ABC") == b"\x8a\x0dare you there\x81\x03ABC"


async def test_a_message_may_come_with_the_handshake() -> None:
    async with served() as (host, _, _):
        connection = await Raw.connect(port(host))
        await connection.send(HANDSHAKE % (b"/text", b"") + frame(TEXT, b"early"))
        assert (await connection.until(b"EARLY")).endswith(b"\x81\x05EARLY")
        await connection.close()


# ---- size ------------------------------------------------------------------------------------------------------------
LIMIT = "[limits]\nmessage = 1000\n"


@pytest.mark.parametrize(
    ("frames", "fits"),
    [
        (frame(BINARY, b"a" * 1000), True),
        (frame(BINARY, b"a" * 400, fin=False) + frame(0, b"a" * 600), True),
        (frame(BINARY, b"a" * 1001), False),
        (frame(BINARY, b"", claims=1001), False),
        (frame(BINARY, b"", claims=1 << 40), False),
        (frame(BINARY, b"", claims=(1 << 63) + 1), False),
        (frame(BINARY, b"a" * 400, fin=False) + frame(0, b"", claims=601), False),
        (frame(BINARY, b"a" * 400, fin=False) + frame(0, b"a" * 300, fin=False) + frame(0, b"", claims=301, fin=False), False),
    ],
)  # fmt: skip
async def test_a_message_over_the_limit_is_refused_by_its_header(frames: bytes, fits: bool) -> None:
    async with served(config=FAST + LIMIT) as (host, _, _), opened(host, b"/binary") as connection:
        await connection.send(frames)
        if fits:
            assert len(await connection.until(b"a" * 1000)) == 1004
        else:
            assert await closing(connection) == (1009, "a message is over its limit of 1000 bytes")


async def test_an_untyped_json_message_has_the_smaller_limit() -> None:
    async with served(config="[limits]\nuntyped_message = 100\n") as (_, _, http), http.ws_connect("/rooms/r") as ws:
        await ws.send_str(json.dumps({"text": "x" * 200}))
        await ws.receive()
        assert ws.close_code == 1007  # typed: it is its type that refuses it


async def test_a_message_that_is_too_large_to_send_is_refused_at_the_sender() -> None:
    async with served(config=LIMIT) as (_, rooms, http), http.ws_connect("/records") as ws:
        from vyked_host import TooLarge

        await rooms.entered.wait()
        with pytest.raises(TooLarge, match="1000"):
            await rooms.sockets[0].send("x" * 1001)
        await rooms.sockets[0].send("x" * 1000)
        assert len(await ws.receive_str()) == 1000


async def test_row_11_compression_is_never_agreed_and_a_bomb_is_no_frame() -> None:
    squeezer = zlib.compressobj(9, wbits=-15)
    bomb = squeezer.compress(b"0" * (64 << 20)) + squeezer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    async with served(config=FAST) as (host, _, _), opened(host, b"/binary", offer) as connection:
        await connection.send(bytes([FIN | 0x40 | BINARY]) + frame(BINARY, bomb)[1:])
        assert (await closing(connection))[0] == 1002
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10  # KiB


# ---- how often -------------------------------------------------------------------------------------------------------
RATE = "[transports.http.websocket]\nmessages = 10\n"  # 100 at once


@pytest.mark.parametrize(
    "one",
    [frame(TEXT, b"a"), frame(PING, b"a" * 125), frame(PONG), frame(0, b"", fin=False)],
    ids=["messages", "pings", "pongs", "fragments"],
)
async def test_row_15_who_sends_too_many_frames_is_closed(one: bytes) -> None:
    config = FAST + RATE
    async with served(config=config) as (host, _, _), opened(host, b"/records") as connection:
        start = frame(TEXT, b"", fin=False) if one[0] == 0 else b""
        await connection.send(start + one * 200)
        assert await closing(connection) == (1008, "more than 10 messages a second")


async def test_a_burst_within_the_average_is_taken() -> None:
    async with served(config=RATE) as (host, rooms, _), opened(host, b"/records") as connection:
        await connection.send(frame(TEXT, b"a") * 99)
        await eventually(lambda: len(rooms.seen) == 99)


# ---- row 12: slow ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "sent", [b"GET /text HTTP/1.1\r\n", (HANDSHAKE % (b"/text", b""))[:-2], HANDSHAKE[:-6] % b"/text"]
)
async def test_row_12_a_handshake_that_does_not_end_is_cut(sent: bytes) -> None:
    async with served(config=FAST) as (host, _, _):
        connection = await Raw.connect(port(host))
        await connection.send(sent)
        async with asyncio.timeout(5):
            assert await connection.everything() == b""
        await connection.close()


@pytest.mark.parametrize(
    "begun",
    [frame(TEXT, b"a" * 100)[:50], frame(TEXT, b"a" * 100)[:1], frame(TEXT, b"a", fin=False), frame(BINARY, b"", claims=1 << 19)],
    ids=["in the payload", "in the header", "between fragments", "nothing of the payload"],
)  # fmt: skip
async def test_row_12_a_message_that_does_not_end_is_cut_though_its_peer_is_alive(begun: bytes) -> None:
    async with served(config=FAST) as (host, rooms, _), opened(host, b"/records") as connection:
        await connection.send(begun)

        async def answer_pings() -> None:
            while True:
                await connection.send(frame(PONG) if begun[0] < 0x80 else b"a" if len(begun) > 20 else b"")
                await asyncio.sleep(0.05)

        answering = asyncio.create_task(answer_pings())
        async with asyncio.timeout(10):
            await rooms.ended.wait()
        answering.cancel()
        assert rooms.seen == [1006]


async def test_a_message_cut_off_by_the_end_of_its_connection_is_never_seen() -> None:
    async with served() as (host, rooms, _):
        async with opened(host, b"/records") as connection:
            await connection.send(frame(TEXT, b"whole") + frame(TEXT, b"half of it")[:9])
            await eventually(lambda: rooms.seen == ["whole"])
        await asyncio.wait_for(rooms.ended.wait(), 5)
        assert rooms.seen == ["whole", 1006]


async def test_row_12_a_reader_that_stalls_is_cut_and_its_sender_waited_meanwhile() -> None:
    async with served(config="[timing]\nscale = 0.1\nping = 600\n") as (host, rooms, _), opened(host, b"/floods"):
        await rooms.entered.wait()
        async with asyncio.timeout(20):
            await rooms.ended.wait()
    assert rooms.seen[-1] == 1006
    assert len(rooms.seen) * 65536 < 32 << 20  # what the kernel buffers, and ours


async def test_a_slow_reader_slows_the_sender_and_gets_everything() -> None:
    async with served(config=NO_PING) as (_host, rooms, http):
        async with http.ws_connect("/floods", max_msg_size=0) as ws:
            await rooms.entered.wait()
            for _ in range(200):
                assert len(await ws.receive_str()) == 65536
            assert len(rooms.seen) < 1000
        await asyncio.wait_for(rooms.ended.wait(), 10)


async def test_what_waits_for_a_slow_reader_is_bounded() -> None:
    config = NO_PING + "[limits]\nwrite_buffer = 1000000\n"
    from vyked_host import Closed

    async with served(config=config) as (host, rooms, _), opened(host, b"/records"):
        await rooms.entered.wait()
        (socket,) = rooms.sockets
        sends = [asyncio.ensure_future(socket.send("x" * 60_000)) for _ in range(400)]
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*sends, return_exceptions=True)
        assert isinstance(outcomes[-1], Closed)
        assert socket.close_code == 1006
        await asyncio.wait_for(rooms.ended.wait(), 5)


async def test_a_sender_that_is_cancelled_while_it_waits_harms_no_other() -> None:
    config = NO_PING + '[limits]\nwrite_buffer = "none"\n'
    async with served(config=config) as (_host, rooms, http), http.ws_connect("/records", max_msg_size=0) as ws:
        await rooms.entered.wait()
        (socket,) = rooms.sockets
        transport = ws._response.connection.transport
        transport.pause_reading()
        full = [asyncio.ensure_future(socket.send(f"{n:02}" + "x" * 500_000)) for n in range(60)]
        await eventually(lambda: any(not each.done() for each in full) and full[0].done())
        waiting = [each for each in full if not each.done()]
        waiting[0].cancel()
        transport.resume_reading()
        got = [int((await ws.receive_str())[:2]) for _ in range(59)]
        assert got == [n for n, each in enumerate(full) if each is not waiting[0]]
        await asyncio.gather(*waiting[1:])


async def test_messages_that_are_not_taken_stop_their_sender_in_bounded_memory() -> None:
    config = NO_PING + '[transports.http.websocket]\nmessages = "none"\n'
    async with served(config=config) as (host, rooms, _), opened(host, b"/slow") as connection:
        await rooms.entered.wait()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        one = frame(TEXT, b"x" * 100_000)
        sent = 0

        async def send() -> None:
            nonlocal sent
            while sent < 400:
                await connection.send(one)
                sent += 1

        sending = asyncio.create_task(send())
        await _at_rest(lambda: sent)
        assert sent < 400  # 40 MB: it is stopped before
        rooms.gate.set()
        await asyncio.wait_for(sending, 20)
        await eventually(lambda: len(rooms.seen) == 400, within=20)
        assert (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10
        )  # the test keeps the 40 MB itself


async def _at_rest(figure: Any) -> None:
    """Until `figure()` is the same for 20 looks in a row."""
    last, same = figure(), 0

    def looked() -> bool:
        nonlocal last, same
        same = same + 1 if figure() == last else 0
        last = figure()
        return same > 20

    await eventually(looked)


# ---- how many --------------------------------------------------------------------------------------------------------
async def test_sockets_count_as_connections() -> None:
    async with served(config="[limits]\nconnections = 3\n") as (host, rooms, http):
        async with http.ws_connect("/records"), http.ws_connect("/records"), http.ws_connect("/records"):
            await eventually(lambda: len(rooms.sockets) == 3)
            connection = await Raw.connect(port(host))
            assert await connection.everything() == b""
            await connection.close()
        await eventually(lambda: not host.node.dispatcher.running)
        async with http.ws_connect("/text"):
            pass


async def connected(http: aiohttp.ClientSession, path: str) -> aiohttp.ClientWebSocketResponse:
    """A socket, asked for again when the host says so: what comes while the machine stands still for a second is refused with 429
    (docs/semantics.md, a blocked loop)."""
    while True:
        try:
            return await http.ws_connect(path)
        except aiohttp.WSServerHandshakeError as refused:
            if refused.status != 429 or refused.headers is None:
                raise
            again_s = float(refused.headers["Retry-After"])
        await asyncio.sleep(again_s)


async def test_a_hundred_sockets_come_and_go_and_leave_nothing() -> None:
    known = {id(each) for each in gc.get_objects() if isinstance(each, Session)}  # of tests before this one
    async with served() as (host, _, http):
        for _ in range(2):
            sockets = await asyncio.gather(*(connected(http, "/text") for _ in range(100)))
            for ws in sockets:
                await ws.send_str("a")
            assert {await ws.receive_str() for ws in sockets} == {"A"}
            await asyncio.gather(*(ws.close() for ws in sockets))
        await eventually(lambda: not host.node.dispatcher.running)
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, Session) and id(each) not in known]


async def test_random_bytes_after_the_handshake_harm_nobody() -> None:
    async with served(config=FAST) as (host, _rooms, http):
        for _ in range(30):
            async with opened(host, b"/records") as connection:
                await connection.send(os.urandom(500))
        await eventually(lambda: not host.node.dispatcher.running)
        async with http.ws_connect("/text") as ws:
            await ws.send_str("a")
            assert await ws.receive_str() == "A"
        assert isinstance(http, aiohttp.ClientSession)


async def test_a_page_whose_own_name_points_here_gets_no_socket() -> None:
    """DNS rebinding: the origin is the name that the browser asks for, and both are the attacker's."""
    async with served() as (host, rooms, http):
        foreign = {"Host": "evil.example", "Origin": "http://evil.example"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect("/text", headers=foreign)
        assert caught.value.status == 421
        assert rooms.sockets == []
        async with http.ws_connect("/text", headers={"Origin": f"http://127.0.0.1:{port(host)}"}) as ws:
            await ws.send_str("a")
            assert await ws.receive_str() == "A"
