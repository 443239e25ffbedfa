"""Results at a real Valkey server: what happens when it is away, full, or forgets."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.valkey import Valkey
from vyked_host.builtin.redis.options import ResultOptions
from vyked_host.builtin.redis.results import RIGHTS, RedisResults
from vyked_host.contracts import Claim, Environment, TimingTable
from vyked_host.errors import Overloaded, StartError, Unavailable
from vyked_host.testing import environment

TIMING = TimingTable(dial=1.5, ping=0.4, pong=0.2, key_lease=1.0)


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    server = Valkey().start()
    yield server
    server.close()


@pytest.fixture
async def env() -> AsyncIterator[Environment]:
    async with environment(timing=TIMING) as env:
        yield env


@pytest.fixture
async def store(valkey: Valkey, env: Environment) -> AsyncIterator[RedisResults]:
    store = RedisResults(ResultOptions(url=valkey.url), env)
    await store.open()
    yield store
    await store.aclose()


def claim(store: RedisResults, env: Environment, key: str = "k", within: float = 5.0) -> Any:
    return store.claim(key, Claim(token=secrets.token_hex(4), digest=b"d"), deadline=env.clock.now() + within)


async def test_a_server_that_hangs_costs_a_call_no_more_than_its_time(
    store: RedisResults, env: Environment, valkey: Valkey
) -> None:
    valkey.freeze()
    began = env.clock.now()
    with pytest.raises(Unavailable, match="can't be reached") as told:
        await claim(store, env, within=0.2)
    assert env.clock.now() - began < 2.0
    assert told.value.executed == "unknown"
    valkey.thaw()
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await claim(store, env, "other")).state == "granted"
                return
            except Unavailable:
                continue


async def test_a_server_that_comes_back_without_memory_has_free_keys_and_knows_the_scripts(
    store: RedisResults, env: Environment, valkey: Valkey
) -> None:  # fmt: skip
    assert (await claim(store, env)).state == "granted"
    valkey.kill()
    valkey.start()
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await claim(store, env)).state == "granted"
                return
            except Unavailable:
                continue


async def test_a_server_without_room_refuses_new_keys(store: RedisResults, env: Environment, valkey: Valkey) -> None:
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(Overloaded, match="no room for results") as refused:
        await claim(store, env)
    assert (refused.value.executed, refused.value.retry_after) == ("not_executed", 1.0)


async def test_what_nobody_settles_or_asks_for_is_cleared_away(
    store: RedisResults, env: Environment, valkey: Valkey
) -> None:
    await claim(store, env)
    left = int(valkey.ask("PTTL", f"vyked:{env.namespace}:result:k").strip(b":\r\n"))
    assert 15_000 < left <= 20_000, "20 leases"


async def test_a_server_that_is_not_there_is_told_at_start(env: Environment, tmp_path: Any) -> None:
    store = RedisResults(ResultOptions(url=f"unix://{tmp_path}/nobody"), env)
    with pytest.raises(StartError, match=r"store of results 'redis' can't be used: .*\[results\.redis\] url"):
        await store.open()
    await store.aclose()


@pytest.mark.parametrize("given", ["", "nobody:s3cr3t-word@"])
async def test_a_server_that_does_not_let_us_in_is_told_as_such(env: Environment, given: str) -> None:
    server = Valkey("requirepass other").start()
    try:
        store = RedisResults(ResultOptions(url=server.url.replace("//", f"//{given}")), env)
        with pytest.raises(StartError, match=r"; correct user and password in \[results\.redis\] url") as told:
            await store.open()
        assert "start the server" not in str(told.value)
        assert "s3cr3t-word" not in str(told.value)
        await store.aclose()
    finally:
        server.close()


async def test_a_server_that_throws_keys_away_for_room_is_refused(env: Environment, valkey: Valkey) -> None:
    valkey.ask("CONFIG", "SET", "maxmemory", "100mb")
    for policy, fine in (("volatile-lru", False), ("allkeys-lru", False), ("noeviction", True)):
        valkey.ask("CONFIG", "SET", "maxmemory-policy", policy)
        store = RedisResults(ResultOptions(url=valkey.url), env)
        if fine:
            await store.open()
        else:
            with pytest.raises(StartError, match=f"maxmemory-policy {policy}"):
                await store.open()
        await store.aclose()


async def test_a_user_without_the_rights_is_told_which_it_needs(env: Environment, valkey: Valkey) -> None:
    valkey.ask("ACL", "SETUSER", "poor", "on", ">secret", "~*", "+ping", "+set", "+get", "+select", "+client", "+hello")
    store = RedisResults(ResultOptions(url=valkey.url.replace("unix://", "unix://poor:secret@")), env)
    with pytest.raises(StartError, match="its user needs ~<prefix>"):
        await store.open()
    await store.aclose()


async def test_a_user_with_the_rights_that_are_told_can_do_everything(env: Environment, valkey: Valkey) -> None:
    valkey.ask("ACL", "SETUSER", "fit", "on", ">secret", "~vyked:*", *RIGHTS.split()[1:], "+ping", "+select", "+client|setinfo")  # fmt: skip
    store = RedisResults(ResultOptions(url=valkey.url.replace("unix://", "unix://fit:secret@")), env)
    await store.open()
    for outcome in (b"1", None):
        key = secrets.token_hex(4)
        assert (await store.claim(key, Claim(token="t", digest=b"d"), deadline=env.clock.now() + 5)).state == "granted"
        assert await store.renew(key, "t")
        assert await store.settle(key, "t", outcome)
    await store.aclose()


async def test_after_closing_nobody_waits(store: RedisResults, env: Environment) -> None:
    await store.aclose()
    with pytest.raises(Unavailable):
        await claim(store, env)
