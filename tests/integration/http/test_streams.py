"""Streams both ways, with back-pressure, over plain HTTP."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest


def lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


async def collect(answer: Any, found: list[Any]) -> None:
    async for line in answer.content:
        found.append(json.loads(line))


async def test_a_streamed_answer_is_one_json_value_a_line(http: Any) -> None:
    async with http.get("/count?to=100") as answer:
        assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
        assert lines(await answer.read()) == [{"text": str(number)} for number in range(100)]


async def test_events_for_who_accepts_them(http: Any) -> None:
    async with http.get("/count?to=2", headers={"Accept": "text/event-stream"}) as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.read() == b'data: {"text":"0"}\n\ndata: {"text":"1"}\n\n'


async def test_a_failure_before_the_first_item_has_its_status(http: Any) -> None:
    async with http.get("/count?to=2&fail_at=0") as answer:
        assert (answer.status, (await answer.json())["type"]) == (409, "user_exists")


async def test_a_failure_after_the_first_item_is_the_last_line_and_the_body_has_no_end(http: Any) -> None:
    async with http.post("/-/call/identity/count", json={"to": 40, "fail_at": 35}) as answer:
        assert answer.status == 200
        found: list[Any] = []
        with pytest.raises(aiohttp.ClientPayloadError):
            await collect(answer, found)
    *items, error = found
    assert (len(items), error["type"]) == (35, "user_exists")


async def test_a_reader_that_stops_stops_the_handler(served: Any, raw: Any) -> None:
    identity, _, port = served
    connection = await raw(port)
    await connection.send(b"POST /-/call/identity/endless HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    await connection.head()
    before = -1
    while identity.produced != before:  # until nothing moves for 50 turns of the loop
        before = identity.produced
        for _ in range(50):
            await asyncio.sleep(0.001)
    assert identity.produced * 10_000 < 16 << 20
    await connection.close()
    await identity.ended.wait()


async def test_a_streamed_request_is_summed_item_by_item(http: Any) -> None:
    body = b'{"start": 5}\n' + b"".join(b"%d\n" % number for number in range(500))
    async with http.post("/-/call/identity/sum", data=body, headers={"Content-Type": "application/x-ndjson"}) as answer:
        assert await answer.json() == 5 + sum(range(500))


async def test_a_broken_item_of_a_request_fails_the_call(http: Any) -> None:
    body = io.BytesIO(b"{}\n" + b"x" * (2 << 20))
    async with http.post("/-/call/identity/sum", data=body, headers={"Content-Type": "application/x-ndjson"}) as answer:
        assert (answer.status, "item" in (await answer.json())["error"]) == (400, True)


async def test_both_ways_items_are_answered_as_they_come(http: Any) -> None:
    more: asyncio.Queue[bytes] = asyncio.Queue()

    async def body() -> Any:
        yield b"{}\n"
        while item := await more.get():
            yield item

    headers = {"Content-Type": "application/x-ndjson"}
    async with http.post("/-/call/identity/double", data=body(), headers=headers) as answer:
        for number in range(3):
            more.put_nowait(b"%d\n" % number)
            assert await answer.content.readline() == b"%d\n" % (2 * number)
        more.put_nowait(b"")
        assert await answer.read() == b""


async def test_a_stream_needs_its_content_type(http: Any) -> None:
    async with http.post("/-/call/identity/sum", json=[1]) as answer:
        assert answer.status == 415
        assert "application/x-ndjson" in (await answer.json())["error"]
