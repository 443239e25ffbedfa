"""Whoever calls a deprecated method learns of it: a warning at the caller, a header for HTTP clients."""

from __future__ import annotations

import logging
import time
from typing import Any

import aiohttp
import pytest

from vyked_host import Host, Service, api, apideprecated, get

SERVED = "[host]\nmesh = 'm'\n[transports.tcp]\nport = 0\n[transports.http]\nport = 0\n"
CALLER = (
    "[host]\nmesh = 'm'\n[transports.%s]\nport = 0\n[registry]\nuse = 'static'\n[registry.static]\nnodes = ['%s']\n"
)


class Identity(Service, name="identity", version="1.0.0"):
    @apideprecated(replacement_api="create")
    @get("/make/{name}")
    async def make(self, name: str) -> str:
        return name

    @apideprecated
    async def forget(self) -> None: ...

    @api
    async def create(self, name: str) -> str:
        return name


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record for record in caplog.records if "Deprecated" in record.message]
    assert {(record.name, record.levelno) for record in found} <= {("vyked", logging.WARNING)}
    return [record.message for record in found]


def address(host: Host, transport: str) -> str:
    return next(each.uri for each in host.addresses if each.transport == transport)


async def use(client: Any) -> None:
    for _ in range(3):
        await client.make(name="ada")
    await client.create(name="ada")
    await client.forget()


FOUND = ["Deprecated API: identity.make, New API: create", "Deprecated API: identity.forget"]


async def test_a_caller_in_the_same_host_is_warned_once(caplog: pytest.LogCaptureFixture) -> None:
    async with Host(Identity, text=SERVED) as host:
        await use(host.client("identity"))
        await use(host.client(Identity))
        assert told(caplog) == FOUND


@pytest.mark.parametrize("transport", ["tcp", "http"])
async def test_a_caller_elsewhere_is_warned_once_a_connection(caplog: pytest.LogCaptureFixture, transport: str) -> None:
    async with Host(Identity, text=SERVED) as served:
        for times in (1, 2):
            async with Host(text=CALLER % (transport, address(served, transport))) as caller:
                await use(caller.client("identity"))
                await use(caller.client(Identity))
            assert told(caplog) == FOUND * times


async def test_answers_of_deprecated_routes_say_since_when_the_host_knows() -> None:
    before = int(time.time())
    async with (
        Host(Identity, text=SERVED) as host,
        aiohttp.ClientSession(address(host, "http")) as http,
    ):
        for verb, path in (("GET", "/make/ada"), ("POST", "/-/call/identity/forget")):
            async with http.request(verb, path) as answer:
                assert answer.status in (200, 204), await answer.text()
                assert answer.headers["Deprecation"].startswith("@")
                assert before <= int(answer.headers["Deprecation"][1:]) <= time.time()
        async with http.post("/-/call/identity/make", json={"name": 7}) as answer:
            assert answer.status == 400
            assert "Deprecation" in answer.headers
        async with http.post("/-/call/identity/create", json={"name": "ada"}) as answer:
            assert "Deprecation" not in answer.headers
