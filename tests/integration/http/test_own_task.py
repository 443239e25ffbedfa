"""Handlers of typed routes run in the task of their request: what that must not change."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from vyked_host import Host, Service, context, get, post
from vyked_host.testing import eventually

SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="unset")
FILE = '[transports.http]\nport = 0\n[registry.embedded]\naddress = "none"\n'


class Odd(Service, name="odd", version="1.0.0"):
    """What handlers do at their worst."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @get("/var/{text}")
    async def var(self, text: str) -> str:
        before = SEEN.get()
        SEEN.set(text)
        await asyncio.sleep(0)
        return before

    @get("/itself")
    async def itself(self) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return "never"

    @get("/unmet")
    async def unmet(self) -> str:
        """Cancels itself and does not wait: the cancellation comes when it is over."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "done"

    @get("/slow", timeout=0.1)
    async def slow(self) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append("slow ended")
        return "never"

    @get("/waits")
    async def waits(self) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append("waits ended")
        return "never"

    @get("/timed")
    async def timed(self) -> str:
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "never"

    @post("/twice")
    async def twice(self, text: str) -> str:
        request: Any = context().request
        return (await request.read()).decode() + text


@pytest.fixture
async def odd() -> AsyncIterator[tuple[Odd, aiohttp.ClientSession, Host]]:
    SEEN.set("of the one who listens")
    service = Odd()
    async with Host(service, text=FILE) as host:
        url = host.addresses[0].uri
        async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=1)) as session:
            yield service, session, host


async def got(session: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    async with session.get(path) as answer:
        found = await answer.json()
        return answer.status, found["code"] if isinstance(found, dict) else found


async def test_context_variables_are_those_of_the_call_alone(odd: Any) -> None:
    _, session, _ = odd
    assert [await got(session, f"/var/{n}") for n in range(3)] == [(200, "unset")] * 3


async def test_a_handler_that_cancels_itself_is_answered_and_its_connection_goes_on(odd: Any) -> None:
    _, session, host = odd
    assert await got(session, "/itself") == (499, "CANCELLED")
    assert await got(session, "/unmet") == (200, "done")
    assert await got(session, "/timed") == (200, "timed out")
    assert not host.node.dispatcher.running


async def test_a_deadline_ends_the_handler_and_the_connection_goes_on(odd: Any) -> None:
    service, session, _ = odd
    assert await got(session, "/slow") == (504, "DEADLINE_EXCEEDED")
    assert service.told == ["slow ended"]
    assert await got(session, "/timed") == (200, "timed out")


async def test_a_client_that_goes_ends_the_handler(odd: Any) -> None:
    service, _, host = odd
    async with aiohttp.ClientSession(host.addresses[0].uri) as session:
        asked = asyncio.ensure_future(session.get("/waits"))
        await eventually(lambda: len(host.node.dispatcher.running) == 1)
        asked.cancel()
    await eventually(lambda: not host.node.dispatcher.running)
    assert service.told == ["waits ended"]
    [failure] = host.node.dispatcher.failures.calls
    assert (failure.endpoint, failure.code, failure.executed) == ("odd.waits", "CANCELLED", "unknown")


async def test_a_handler_may_read_the_body_again(odd: Any) -> None:
    _, session, _ = odd
    async with session.post("/twice", json={"text": "x"}) as answer:
        assert await answer.json() == '{"text": "x"}x'


async def test_answers_to_head_and_http_1_0_are_as_they_should_be(odd: Any) -> None:
    _, session, host = odd
    async with session.head("/timed") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    port = int(host.addresses[0].uri.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /timed HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
    said = await asyncio.wait_for(reader.read(), 5)  # it is closed after the answer
    writer.close()
    head, _, body = said.partition(b"\r\n\r\n")
    assert body == b'"timed out"'
    assert b"Content-Length: 11" in head
    assert b"Content-Type: application/json" in head
    assert b"Server: vyked-host" in head
