"""Middlewares on the three sides of a call, composed once, in the order of the file."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from tests.integration.runtime.waiting import until
from vyked_host import Service, ServiceError, api, client, publish, subscribe
from vyked_host.assembly import Host
from vyked_host.builtin.middlewares.access import Line
from vyked_host.contracts import EndpointDescription, Kind, Proceed
from vyked_host.errors import RemoteFailure
from vyked_host.runtime import routes
from vyked_host.runtime.routes import compose, watched

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


# ---- told, or around -------------------------------------------------------------------------------------------------
WAYS = ["auto", "task"]
"""Calls inside one process are composed under the first, and go the way of all calls under the other."""
EVERY = '[plugins]\nautoload = false\n[transports.local]\n[logging]\naccess = "all"\nlevel = "info"\n[host]\nrunner = "{way}"\n'


class Gone(ServiceError, code="gone"):
    name: str


class Ends(Service, name="ends", version="1.0.0"):
    def __init__(self) -> None:
        self.begun = asyncio.Event()

    @api
    async def well(self, text: str) -> str:
        return text

    @api
    async def later(self, text: str) -> str:
        await asyncio.sleep(0)
        return text

    @api(raises=[Gone])
    async def gone(self) -> None:
        raise Gone("it")

    @api
    async def breaks(self) -> None:
        raise ValueError("secret")

    @api
    async def holds(self) -> None:
        self.begun.set()
        await asyncio.Event().wait()


class Asks(Service, name="asks", version="1.0.0"):
    ends = client(Ends)

    @api
    async def well(self, text: str) -> str:
        return await self.ends.well(text)


async def lines_of_all_ends(way: str, caplog: pytest.LogCaptureFixture) -> list[tuple[Any, ...]]:
    caplog.clear()
    with caplog.at_level(logging.INFO):
        async with Host(Ends, Asks, text=EVERY.format(way=way)) as host:
            ends = host.client(Ends)
            assert (await ends.well("a"), await ends.later("b"), await host.client(Asks).well("c")) == ("a", "b", "c")
            with pytest.raises(Gone):
                await ends.gone()
            with pytest.raises(RemoteFailure):
                await ends.breaks()
            held = asyncio.ensure_future(ends.holds())
            await host.instance(Ends).begun.wait()
            held.cancel()
            with pytest.raises(asyncio.CancelledError):
                await held
            await until(lambda: "holds" in [vars(line).get("method") for line in caplog.records])
    return [
        (said["method"], said["code"], said["side"], said["caller"], line.levelname, line.getMessage().partition(" in ")[0])
        for line in caplog.records
        if "ms" in (said := vars(line))
    ]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
async def test_the_access_log_says_the_same_where_it_is_told_and_where_it_wraps(
    way: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await lines_of_all_ends(way, caplog)
    assert [line[:2] for line in told] == [
        ("well", "OK"), ("later", "OK"), ("well", "OK"), ("well", "OK"), ("gone", "APPLICATION"), ("breaks", "INTERNAL"),
        ("holds", "CANCELLED"),
    ]  # fmt: skip
    assert [line[3] for line in told[:3]] == ["", "", "asks/1.0.0"]
    monkeypatch.setattr(routes, "watched", lambda _endpoint, chain: (None, chain))
    assert await lines_of_all_ends(way, caplog) == told


async def each_caller_is_answered(way: str) -> None:
    """Where the one who is told of a call fails: a call that went well has failed for him, one that failed stays what it was."""
    async with Host(Ends, text=EVERY.format(way=way)) as host:
        ends = host.client(Ends)
        for call in (ends.well, ends.later):
            with pytest.raises(RemoteFailure):
                await call("a")
        with pytest.raises(Gone):
            await ends.gone()


@pytest.mark.parametrize("way", WAYS)
async def test_where_the_one_who_is_told_fails_the_caller_is_answered(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(Line, "write", fails)
    await each_caller_is_answered(way)


@pytest.mark.parametrize("way", WAYS)
async def test_the_one_who_is_told_of_a_call_and_fails_is_not_told_of_his_own_failure(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[type[BaseException] | None] = []

    def fails(_line: Line, _arguments: Any, _elapsed_s: float, error: BaseException | None) -> None:
        told.append(error and type(error))
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(Line, "ended", fails)
    await each_caller_is_answered(way)
    assert told == [None, None, Gone]


async def test_the_outermost_is_told_and_those_within_wrap() -> None:
    log: list[str] = []

    class Hears(Noted):
        slow_s = 0.0

        def watch(self, endpoint: EndpointDescription, side: str) -> "Hears":
            return self

        def ended(self, arguments: Any, elapsed_s: float, error: BaseException | None) -> None:
            log.append(f"{self.name} hears")

    endpoint = EndpointDescription(service="s", version="1", name="m", kind=Kind.UNARY)
    first, second = Hears("first", log), Hears("second", log)
    assert watched(endpoint, [first, second]) == (first, [second])
    assert watched(endpoint, [Noted("around", log), first])[0] is None
    assert watched(endpoint, []) == (None, [])
