"""Middlewares on the three sides of a call, composed once, in the order of the file."""

import logging
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from tests.integration.runtime.waiting import until
from vyked_host import Service, api, client, publish, subscribe
from vyked_host.assembly import Host
from vyked_host.contracts import EndpointDescription, Kind, Proceed
from vyked_host.errors import RemoteFailure
from vyked_host.runtime.routes import compose

ALL_SIDES = """
[transports.local]
[logging]
access = "all"
[middleware]
server = ["logging"]
client = ["logging"]
consumer = ["logging"]
"""


class Source(Service, name="source", version="1.0.0"):
    @api
    async def say(self, text: str) -> str:
        await self.said(text)
        return text

    @api
    async def count(self, to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    @api
    async def fail(self) -> None:
        raise ValueError("secret")

    @publish
    def said(self, text: str) -> dict[str, str]:
        return {"text": text}


class Caller(Service, name="caller", version="1.0.0"):
    source = client(Source)

    @api
    async def pass_on(self, text: str) -> str:
        return await self.source.say(text)

    @subscribe("source.said", version="1")
    async def heard(self, event: dict[str, str]) -> None: ...


def sides(caplog: pytest.LogCaptureFixture, method: str) -> list[str]:
    return sorted({vars(line)["side"] for line in caplog.records if vars(line).get("method") == method})


async def test_each_side_has_its_own_chain(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with Host(Source, Caller, text=ALL_SIDES) as host:
            assert await host.client(Caller).pass_on("hello") == "hello"
            await until(lambda: sides(caplog, "heard"))
            assert [n async for n in host.client(Source).count(3)] == [0, 1, 2]
            await until(lambda: sides(caplog, "count"))
    assert sides(caplog, "say") == ["client", "server"]
    assert sides(caplog, "heard") == ["consumer"]
    assert sides(caplog, "count") == ["server"]


async def test_by_default_a_failed_call_is_logged_where_it_ran_without_its_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Host(Source, text="[transports.local]\n") as host:
        with pytest.raises(RemoteFailure):
            await host.client(Source).fail()
    lines = [line for line in caplog.records if vars(line).get("code") == "INTERNAL"]
    assert [vars(line)["side"] for line in lines] == ["server"]
    assert "secret" not in lines[0].getMessage()


async def test_the_access_log_can_be_turned_off(caplog: pytest.LogCaptureFixture) -> None:
    async with Host(Source, text="[transports.local]\n[logging]\naccess = false\n") as host:
        with pytest.raises(RemoteFailure):
            await host.client(Source).fail()
    assert not [line for line in caplog.records if vars(line).get("code")]


class Noted:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def wrap(
        self, endpoint: EndpointDescription, side: Literal["client", "server", "consumer"], proceed: Proceed
    ) -> Proceed:
        self.log.append(f"{self.name} wraps")

        async def noted(arguments: Any) -> Any:
            self.log.append(f"{self.name} in")
            result = await proceed(arguments)
            self.log.append(f"{self.name} out")
            return result

        return noted


async def test_the_first_of_the_file_is_outermost_and_wrapping_happens_once() -> None:
    log: list[str] = []
    endpoint = EndpointDescription(service="s", version="1", name="m", kind=Kind.UNARY)

    async def handler(arguments: Any) -> Any:
        log.append("handler")
        return arguments

    proceed = compose(endpoint, "server", [Noted("first", log), Noted("second", log)], handler)
    assert await proceed(1) == await proceed(1) == 1
    once = ["first in", "second in", "handler", "second out", "first out"]
    assert log == ["second wraps", "first wraps", *once, *once]
