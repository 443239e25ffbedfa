"""From the handshake to the end, whoever brings it about."""

import asyncio
import logging

import aiohttp
import pytest
from aiohttp import WSMsgType

from vyked_host.testing.waiting import eventually

from .rooms import Rooms, base, served

NAMES = ("websocket ", "closing websocket ", "the end of a websocket")
"""Of the tasks that a socket has."""
FAST = "[timing]\nscale = 0.02\n"  # ping 0.2 s, pong 0.1 s, write 0.2 s, grace 0.1 s


# ---- who may open one ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("{same}", 101),
        ("https://shop.example", 101),
        ("https://named.example", 101),
        ("https://evil.example", 403),
        ("http://shop.example", 403),
        ("https://shop.example.evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1:1", 403),
    ],
)
async def test_row_15_a_page_of_a_foreign_origin_is_refused_before_the_upgrade(origin: str | None, status: int) -> None:
    config = '[transports.http.cors]\norigins = ["https://named.example", "*"]\n'
    async with served(config=config) as (host, _rooms, http):
        headers = {"Origin": origin.format(same=base(host))} if origin else {}
        try:
            async with http.ws_connect("/rooms/red", headers=headers):
                found = 101
        except aiohttp.WSServerHandshakeError as refused:
            found = refused.status
        assert found == status


async def test_a_plain_request_is_told_to_upgrade() -> None:
    async with served() as (_, _, http), http.get("/text") as answer:
        assert (answer.status, answer.headers["Upgrade"]) == (426, "websocket")
        assert (await answer.json())["code"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Sec-WebSocket-Version": "12"}, 426),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Key": "*"}, 400),
        ({"Connection": "keep-alive"}, 400),
    ],
)
async def test_a_handshake_that_is_none_is_refused(changed: dict[str, str], status: int) -> None:
    headers = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    async with served() as (_, _, http), http.get("/text", headers=headers | changed) as answer:
        assert answer.status == status
        assert "error" in await answer.json()


async def test_a_middleware_that_refuses_answers_the_handshake() -> None:
    class NotYou:
        def wrap(self, endpoint, side, proceed):
            async def refuse(opening):
                from vyked_host import InvalidPayload

                assert opening.arguments.room == "red"
                assert opening.request.path == "/rooms/red"
                raise InvalidPayload("not you", service=endpoint.service, method=endpoint.name)

            return refuse

    async with served() as (host, _, http):
        route = next(each for each in host.node.dispatcher.routes if each.endpoint.name == "room")
        route.proceed = NotYou().wrap(route.endpoint, "server", route.proceed)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect("/rooms/red")
        assert caught.value.status == 400


# ---- the peer ends it ------------------------------------------------------------------------------------------------
async def test_what_was_sent_before_the_close_is_handled_and_then_the_iteration_ends() -> None:
    async with served() as (_, rooms, http), http.ws_connect("/records") as ws:
        for n in range(40):
            await ws.send_str(str(n))
        await ws.close(code=3000)
        await rooms.ended.wait()
        assert rooms.seen == [*map(str, range(40)), 3000]


async def test_a_lost_connection_ends_the_iteration() -> None:
    async with served() as (_, rooms, http):
        ws = await http.ws_connect("/records")
        await rooms.entered.wait()
        ws._response.connection.transport.abort()
        async with asyncio.timeout(5):
            await rooms.ended.wait()
        assert rooms.seen == [1006]
        await ws.close()


async def test_sending_to_a_peer_that_is_gone_raises_closed() -> None:
    from vyked_host import Closed

    async with served() as (_, rooms, http), http.ws_connect("/records") as ws:
        await rooms.entered.wait()
        await ws.close(code=1001)
        await rooms.ended.wait()
        with pytest.raises(Closed, match="1001") as caught:
            await rooms.sockets[0].send("late")
        assert caught.value.close_code == 1001


async def test_a_handler_that_hears_of_nothing_is_cancelled_when_its_peer_is_gone() -> None:
    async with served(config=FAST) as (_, rooms, http):
        async with http.ws_connect("/deaf"):
            await rooms.entered.wait()
        async with asyncio.timeout(5):
            await rooms.cancelled.wait()


async def test_a_silent_peer_that_answers_pings_stays_and_one_that_does_not_goes() -> None:
    async with (
        served(config=FAST) as (_, rooms, http),
        http.ws_connect("/records") as alive,
        http.ws_connect("/records", autoping=False) as dead,
    ):
        await eventually(lambda: len(rooms.sockets) == 2)
        pings = 0
        reading = asyncio.create_task(alive.receive())  # aiohttp's client answers pings while it reads
        while (await dead.receive()).type is WSMsgType.PING:
            pings += 1
        assert pings >= 1
        assert [each.close_code for each in rooms.sockets].count(None) == 1
        await alive.send_str("still here")
        await eventually(lambda: "still here" in rooms.seen)
        reading.cancel()


async def test_a_peer_that_is_kept_waiting_is_not_taken_for_dead() -> None:
    """Messages that the handler does not take stop the reading, and with it the answers to pings."""
    config = FAST + '[transports.http.websocket]\nmessages = "none"\n'
    async with (
        served(config=config) as (_, rooms, http),
        http.ws_connect("/slow", max_msg_size=0) as ws,
        http.ws_connect("/records", autoping=False) as dead,
    ):
        await rooms.entered.wait()
        reading = asyncio.create_task(ws.receive())
        sending = asyncio.create_task(_send_all(ws, 60))
        while (await dead.receive()).type is WSMsgType.PING:  # by its end the other one would have been cut as well
            pass
        rooms.gate.set()
        await sending
        await eventually(lambda: len(rooms.seen) >= 60, within=10)
        reading.cancel()


async def _send_all(ws: aiohttp.ClientWebSocketResponse, times: int) -> None:
    for _ in range(times):
        await ws.send_str("x" * 500_000)


# ---- the handler ends it ---------------------------------------------------------------------------------------------
async def test_a_handler_that_fails_ends_its_own_socket_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (_, _, http), http.ws_connect("/text") as other, http.ws_connect("/fails") as ws:
        await ws.send_str("go")
        closed = await ws.receive()
        assert ws.close_code == 1011
        assert "secret" not in closed.extra
        found = closed.extra.rpartition(" ")[2]
        assert any(found in each.getMessage() and each.exc_info for each in caplog.records)
        await other.send_str("a")
        assert await other.receive_str() == "A"


@pytest.mark.parametrize("code", [1000, 1008, 3999, 4999])
async def test_a_handler_closes_with_a_code_and_a_reason(code: int) -> None:
    async with served() as (_, _, http), http.ws_connect("/closes") as ws:
        await ws.send_str(str(code))
        closed = await ws.receive()
        assert ws.close_code == code
        assert closed.extra.startswith("as you said üü")
        assert len(closed.extra.encode()) <= 123


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 2000, 5000])
async def test_a_code_that_no_side_may_send_is_the_handler_s_failure(code: int) -> None:
    async with served() as (_, _, http), http.ws_connect("/closes") as ws:
        await ws.send_str(str(code))
        await ws.receive()
        assert ws.close_code == 1011


async def test_a_time_limit_ends_the_socket() -> None:
    async with served() as (_, _, http), http.ws_connect("/short") as ws:
        closed = await ws.receive()
        assert (ws.close_code, closed.extra) == (1001, "its time is over")


async def test_sockets_have_no_other_time_limit() -> None:
    async with served(config=FAST) as (host, rooms, http), http.ws_connect("/records") as ws:
        await rooms.entered.wait()
        (running,) = host.node.dispatcher.running
        assert running.call.deadline == float("inf")
        await ws.close()


# ---- the host ends it ------------------------------------------------------------------------------------------------
async def test_a_drain_closes_every_socket_with_going_away_and_handlers_finish() -> None:
    async with served() as (host, rooms, http), http.ws_connect("/records") as ws, http.ws_connect("/text") as other:
        await rooms.entered.wait()
        await ws.send_str("last")
        await eventually(lambda: rooms.seen == ["last"])
        draining = asyncio.create_task(host.node.drain())
        for each in (ws, other):
            closed = await each.receive()
            assert (each.close_code, closed.extra) == (1001, "this host is draining")
        assert await draining == []
        assert rooms.seen == ["last", 1001]


async def test_a_drain_is_bounded_by_its_own_time() -> None:
    async with served(config="[host]\ndrain_timeout = 0.3\n") as (host, rooms, http), http.ws_connect("/deaf") as ws:
        await rooms.entered.wait()
        draining = asyncio.create_task(host.node.drain())
        await ws.receive()
        assert ws.close_code == 1001
        assert await draining == ["rooms.deaf"]
        assert rooms.cancelled.is_set()


async def test_a_handler_has_the_drain_s_time_and_not_the_grace_of_a_lost_peer() -> None:
    config = FAST + "[transports.http.websocket]\ngrace = 0\n"
    async with served(config=config) as (host, rooms, http), http.ws_connect("/slow") as ws:
        await rooms.entered.wait()
        draining = asyncio.create_task(host.node.drain())
        await ws.receive()
        await eventually(lambda: host.node.statistics()["connections"]["http"] == 0)
        await eventually(lambda: not [name for name in host.node.tasks.names() if name.startswith(NAMES)])
        rooms.gate.set()
        assert await draining == []
        assert rooms.ended.is_set()


async def test_a_peer_that_ignores_the_close_holds_up_no_drain() -> None:
    async with served(config=FAST) as (host, rooms, http):
        ws = await http.ws_connect("/records", autoclose=False)
        await rooms.entered.wait()
        async with asyncio.timeout(5):
            assert await host.node.drain() == []
        await ws.close()


# ---- seeing it -------------------------------------------------------------------------------------------------------
async def test_open_sockets_are_counted_and_take_no_call_s_place(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with served(config="[limits]\nin_flight = 1\n") as (host, _rooms, http):
        async with http.ws_connect("/text") as one, http.ws_connect("/text"), http.ws_connect("/records"):
            async with http.get("/_stats") as answer:
                found = await answer.json()
            assert found["listener"]["sockets"] == 3
            assert found["calls"]["rooms.text"]["in_flight"] == 2
            async with http.post("/-/call/rooms/ping") as answer:
                assert answer.status == 200
            await one.send_str("a")
            await one.receive_str()
            await one.close()
            await eventually(lambda: host.node.statistics()["calls"]["rooms.text"]["ok"] == 1)
        await eventually(lambda: not host.node.dispatcher.running)
        lines = [each for each in caplog.records if getattr(each, "method", "") == "text"]
        assert [(each.received, each.sent, each.close_code) for each in lines] == [(1, 1, 1000), (0, 0, 1000)]
        assert "rooms.text closed with 1000 after" in lines[0].getMessage()
        assert {each.levelno for each in lines} == {logging.INFO}


async def test_the_index_names_the_socket() -> None:
    async with served() as (_, _, http), http.get("/", headers={"Accept": "application/json"}) as answer:
        found = await answer.json()
    assert found["services"]["rooms"]["endpoints"]["room"] == {"kind": "websocket", "summary": "Echo each line."}
    assert {"method": "GET", "path": "/rooms/{room}", "endpoint": "rooms.room"} in found["routes"]


async def test_nothing_is_left_behind() -> None:
    async with served() as (host, rooms, http):
        for path in ("/text", "/records", "/rooms/red", "/fails"):
            async with http.ws_connect(path) as ws:
                await ws.send_str("x")
        await eventually(lambda: not host.node.dispatcher.running)
        await eventually(lambda: not [name for name in host.node.tasks.names() if name.startswith(NAMES)])
        assert isinstance(rooms, Rooms)
