"""On one's own instance a method is plain Python; what needs a host says so without one."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import Struct

from vyked_host.errors import UsageError
from vyked_host.service.base import Service
from vyked_host.service.decorators import api, get, publish
from vyked_host.service.dependencies import client

from .doubles import Loopback, hosted


class Renamed(Struct, frozen=True):
    name: str


class Options(Struct):
    greeting: str = "Hello"


class Names(Service, name="names", version="1"):
    options: Options
    closed = False

    @api
    async def find(self, name: str) -> str:
        return name

    @api
    @get("/plain")
    def plain(self, name: str) -> str:
        return name.upper()

    @api(blocking=True)
    def thread(self) -> int:
        return threading.get_ident()

    @api
    async def letters(self, name: str) -> AsyncIterator[str]:
        try:
            for each in name:
                yield each
        finally:
            self.closed = True

    @publish
    def renamed(self, name: str) -> Renamed:
        return Renamed(name)


class Caller(Service, name="caller", version="1"):
    names = client(Names)


async def test_own_methods_are_awaited_whatever_their_body() -> None:
    names = Names()
    assert await names.find("ada") == "ada"
    assert await names.plain(name="ada") == "ADA"
    assert await names.thread() != threading.get_ident()
    assert [each async for each in names.letters("ab")] == ["a", "b"]


async def test_leaving_an_own_stream_early_ends_its_body() -> None:
    names = Names()
    async with names.letters("abc") as letters:
        async for _ in letters:
            break
    assert names.closed


def test_own_methods_take_no_call_options() -> None:
    names = Names()
    for own in (names.find, names.letters):
        with pytest.raises(UsageError, match="this very instance"):
            own.using(timeout=1.0)


async def test_super_reaches_the_overridden_body() -> None:
    class Louder(Names):
        @api
        async def find(self, name: str) -> str:
            return f"{await super().find(name)}!"

    assert await Louder().find("ada") == "ada!"


async def test_calling_an_event_hands_its_payload_to_the_bus() -> None:
    names = Names()
    host = hosted(names)
    published = await names.renamed("ada")
    assert published.durability == "memory"
    ((event, payload, options),) = host.published
    assert (event.service, event.name, payload, options) == ("names", "renamed", Renamed("ada"), {})


async def test_options_of_an_event_add_up() -> None:
    names = Names()
    host = hosted(names)
    await names.renamed.using(key="k", id="i").using(timeout=2.0)("ada")
    assert host.published[0][2] == {"key": "k", "id": "i", "timeout": 2.0}


async def test_without_a_host_an_event_task_or_client_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match=r"this Names has no host.*running\(Names\)"):
        await Names().renamed("ada")
    with pytest.raises(UsageError, match="has no host"):
        Names().spawn(asyncio.sleep(0), name="x")
    with pytest.raises(UsageError, match=r"Caller\.names has no host to call through"):
        Caller().names  # noqa: B018
    with pytest.raises(UsageError, match="has no host"):
        Names().options  # noqa: B018
    assert Names().log.logger.name == "vyked.names"
    assert Caller.names.required


async def test_a_host_gives_options_log_tasks_and_clients() -> None:
    names, caller = Names(), Caller()
    host = hosted(names, options=Options("Hi"))
    assert names.options.greeting == "Hi"
    assert names.log is host.log
    await names.spawn(asyncio.sleep(0), name="nap")
    assert host.tasks == ["nap"]
    hosted(caller, {"names": Loopback(names)})
    assert await caller.names.find("ada") == "ada"


async def test_an_event_of_a_service_served_under_another_name_carries_that_name() -> None:
    from vyked_host.service.base import attach
    from vyked_host.service.inspect import describe

    from .doubles import Remembering

    names, host = Names(), Remembering()
    attach(names, host, describe(Names, name="twin"))
    await names.renamed("ada")
    assert host.published[0][0].service == "twin"


async def test_hooks_do_nothing_until_they_are_written() -> None:
    names: Any = Names()
    for hook in (names.on_start(), names.on_active(), names.on_inactive(["x"]), names.on_stop(), names.health()):
        assert await hook is None
