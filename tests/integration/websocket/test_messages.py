"""What goes in and out of a socket, over real ones."""

import json

import aiohttp
import pytest
from aiohttp import WSMsgType

from .rooms import Old, served


async def test_structs_travel_as_json_text_both_ways() -> None:
    async with served() as (_, _, http), http.ws_connect("/rooms/red?times=2") as ws:
        await ws.send_str('{"text": "hello"}')
        assert [await ws.receive_json() for _ in range(2)] == [
            {"user": "red", "text": "hello", "n": 0},
            {"user": "red", "text": "hello", "n": 1},
        ]


async def test_text_is_itself_and_bytes_are_binary() -> None:
    async with served() as (_, _, http):
        async with http.ws_connect("/text") as ws:
            await ws.send_str("häy")
            assert (await ws.receive()).data == "HÄY"
        async with http.ws_connect("/binary") as ws:
            await ws.send_bytes(b"\x00\xff")
            answer = await ws.receive()
            assert (answer.type, answer.data) == (WSMsgType.BINARY, b"\xff\x00")


async def test_one_socket_may_take_both_kinds() -> None:
    async with served() as (_, _, http), http.ws_connect("/mixed") as ws:
        await ws.send_str('{"text": "a"}')
        assert (await ws.receive_json())["text"] == "a"
        await ws.send_bytes(b"b")
        assert await ws.receive_bytes() == b"b"


async def test_an_untyped_socket_takes_everything() -> None:
    async with served() as (_, _, http), http.ws_connect("/any") as ws:
        await ws.send_str("a")
        assert await ws.receive_json() == {"got": "a"}
        await ws.send_bytes(b"b")
        assert await ws.receive_bytes() == b"b"


@pytest.mark.parametrize(
    ("path", "message", "code", "reason"),
    [
        ("/rooms/red", '{"text": 1}', 1007, "Expected `str`, got `int` - at `$.text`"),
        ("/rooms/red", '{"text": "a", "more": 1}', 1007, "unknown field `more`"),
        ("/rooms/red", "{", 1007, "truncated"),
        ("/rooms/red", b"{}", 1003, "a binary message; this socket takes Line"),
        ("/text", "too long", 1007, "length <= 5"),
        ("/text", b"a", 1003, "takes str"),
        ("/binary", "a", 1003, "a text message; this socket takes bytes"),
        ("/mixed", "[]", 1007, "Expected `object`, got `array`"),
    ],
)
async def test_a_message_that_does_not_fit_ends_its_socket_saying_why(
    path: str, message, code: int, reason: str
) -> None:
    async with served() as (_, _, http), http.ws_connect(path) as ws:
        await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
        answer = await ws.receive()
        assert (answer.type, ws.close_code) == (WSMsgType.CLOSE, code)
        assert reason in answer.extra


async def test_what_a_handler_may_not_send_is_its_failure() -> None:
    async with served() as (_, _, http), http.ws_connect("/wrong") as ws:
        await ws.receive()
        assert ws.close_code == 1011


async def test_parameters_come_from_path_and_query_and_are_checked_before_the_upgrade() -> None:
    async with served() as (_, _, http):
        for path, named in (("/rooms/red?times=x", "times"), ("/rooms/red?time=1", "time")):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await http.ws_connect(path)
            assert caught.value.status == 400
            headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
            async with http.get(path, headers=headers | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}) as answer:
                assert (answer.status, named in await answer.text()) == (400, True)


async def test_a_method_without_parameters_reads_the_query_itself() -> None:
    async with served() as (_, rooms, http), http.ws_connect("/records?token=abc"):
        await rooms.entered.wait()
        assert rooms.sockets[0].request.query["token"] == "abc"


async def test_the_context_has_the_request_and_no_deadline() -> None:
    async with served() as (_, _, http):
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        async with http.ws_connect("/context", headers={"traceparent": trace, "User-Agent": "x"}) as ws:
            found = json.loads((await ws.receive()).data)
        assert found.pop("id")
        assert found == {
            "endpoint": "rooms.context", "remaining": "inf", "agent": "x", "same": True, "caller": True, "trace": trace,
        }  # fmt: skip


async def test_33_the_ancestor_s_handlers_are_called_for_each_message() -> None:
    async with served(Old()) as (_, _, http):
        async with http.ws_connect("/chat") as ws:
            await ws.send_str("a")
            assert await ws.receive_str() == "1: a"
            await ws.send_str("quiet")
            await ws.send_bytes(b"b")
            assert await ws.receive_str() == "2: b'b'"
            await ws.send_str("fail")
            await ws.receive()
            assert ws.close_code == 1011
        async with http.ws_connect("/generator") as ws:
            await ws.send_str('{"text": "later"}')
            assert await ws.receive_str() == "later"
        async with http.ws_connect("/raw") as ws:
            assert await ws.receive_str() == "raw"


async def test_a_handler_may_take_the_request_and_upgrade_it_itself() -> None:
    async with served() as (_, _, http), http.ws_connect("/by-hand") as ws:
        await ws.send_str("a")
        assert await ws.receive_str() == "by hand: a"
