"""The document is enough: a client that was written from it alone can do everything."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vyked_host.contracts import TimingTable
from vyked_host.wire.metadata import unpack

from .hosts import Site, environment, serve, until
from .tiny_client import CallFailed, Refused, TinyClient


async def with_client(site: Site, work: Callable[[TinyClient], Any], **more: Any) -> Any:
    """What `work` answers; it blocks, so it has a thread of its own."""

    def run() -> Any:
        client = TinyClient(*site.address, **{"mesh": "demo", **more})
        try:
            return work(client)
        finally:
            client.close()

    return await asyncio.to_thread(run)


async def test_it_shares_no_code_with_the_host():
    source = (Path(__file__).parent / "tiny_client.py").read_text()
    assert set(re.findall(r"^(?:from|import) (\w+)", source, re.M)) == {
        "__future__",
        "hashlib",
        "hmac",
        "secrets",
        "socket",
        "struct",
        "typing",
        "msgspec",
    }


async def test_it_is_welcomed(site):
    welcome = await with_client(site, lambda client: client.welcome)
    assert (welcome["version"], welcome["mesh"], welcome["node"], welcome["serializer"]) == (1, "demo", "a1", "json")
    assert {row["name"]: row.get("kind", 1) for row in welcome["endpoints"]}["sum"] == 3


async def test_it_is_refused_by_another_mesh(site):
    with pytest.raises(Refused) as caught:
        await with_client(site, lambda client: None, mesh="prod")
    assert (caught.value.reject["reason"], caught.value.reject["mesh"]) == ("mesh", "demo")


async def test_it_calls(site):
    assert await with_client(site, lambda client: client.call("lab", "echo", {"a": [1, 2]})) == {"a": [1, 2]}


async def test_it_says_who_calls_and_what_travels_beside(site):
    meta = {"e": "u1", "k": "key", "h": {"traceparent": "00-1"}}
    work = lambda client: client.call("lab", "echo", 1, caller=2, meta=meta)  # noqa: E731
    await with_client(site, work, callers=("x/1.0.0", "y/2.0.0"))
    [seen] = site.lab.calls
    assert (seen.caller, seen.entity, seen.idempotency_key) == ("y/2.0.0", "u1", "key")
    assert unpack(seen.metadata) == {"traceparent": "00-1"}


async def test_it_gets_faults(site):
    with pytest.raises(CallFailed) as caught:
        await with_client(site, lambda client: client.call("lab", "fail", None))
    fault = caught.value.fault
    assert (fault["code"], fault["type"], fault["executed"]) == ("APPLICATION", "taken", "executed")
    assert fault["details"] == {"user_name": "ada"}


async def test_a_request_without_time_is_not_executed(site):
    with pytest.raises(CallFailed) as caught:
        await with_client(site, lambda client: client.call("lab", "echo", None, timeout_ms=0))
    assert (caught.value.fault["code"], caught.value.fault["executed"]) == ("DEADLINE_EXCEEDED", "not_executed")


async def test_it_takes_streams(site):
    assert await with_client(site, lambda client: client.download("lab", "count", 200)) == list(range(200))


async def test_it_sends_streams(site):
    assert await with_client(site, lambda client: client.upload("lab", "sum", None, [1] * 200)) == 200


async def test_it_cancels(site):
    def work(client: TinyClient) -> Any:
        fault = client.cancel(client.request("lab", "wait", None))
        return fault, client.call("lab", "echo", "in step")

    fault, after = await with_client(site, work)
    assert (fault["code"], after) == ("CANCELLED", "in step")
    assert (await site.lab.task()).cancelled


async def test_it_pings(site):
    assert await with_client(site, lambda client: client.ping(4711)) == 4711


async def test_it_answers_pings_and_stays():
    site = await serve(environment(timing=TimingTable(ping=0.1, pong=0.2)))
    work = lambda client: client.until(client.request("lab", "wait", None), 4).payload  # noqa: E731
    waiting = asyncio.ensure_future(with_client(site, work))
    task = await site.lab.task()
    began = asyncio.get_running_loop().time()
    await until(lambda: asyncio.get_running_loop().time() - began > 1.0)
    task.sink.respond(task.call, b"true")
    assert await waiting == b"true"
    await site.aclose()


async def test_it_is_told_that_the_host_leaves(site):
    def work(client: TinyClient) -> Any:
        call = client.request("lab", "wait", None)
        last = client.until(call, 4).payload
        return last, client.goaway

    waiting = asyncio.ensure_future(with_client(site, work))
    task = await site.lab.task()
    site.listener.stop_accepting()
    task.sink.respond(task.call, b"1")
    assert await waiting == (b"1", (1, {"code": "draining", "message": "node a1 is draining"}))
