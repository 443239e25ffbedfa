"""Results in memory: bounded, and what is held is never given up for room."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest

from vyked_host.builtin.results.memory import ENTRY_BYTES, MemoryResults
from vyked_host.builtin.results.options import MIB, MemoryOptions
from vyked_host.contracts import Claim, Environment, Hold, Record
from vyked_host.errors import Overloaded
from vyked_host.testing import environment


@pytest.fixture
async def env() -> AsyncIterator[Environment]:
    async with environment() as env:
        yield env


async def claim(store: MemoryResults, key: str) -> str:
    return (await store.claim(key, Claim(token=f"t{key}", digest=b"d"), deadline=1e9)).state


async def kept(store: MemoryResults, key: str, outcome: bytes = b"1") -> None:
    assert await claim(store, key) == "granted"
    assert await store.settle(key, f"t{key}", outcome)


async def test_beyond_so_many_keys_the_result_kept_first_goes(env: Environment) -> None:
    store = MemoryResults(MemoryOptions(keys=3), env)
    for key in "abcd":
        await kept(store, key)
    assert [await claim(store, key) for key in "bcd"] == ["done"] * 3
    assert await claim(store, "a") == "granted"


async def test_beyond_so_many_bytes_too(env: Environment) -> None:
    store = MemoryResults(MemoryOptions(memory=MIB), env)
    for key in "abc":
        await kept(store, key, bytes(MIB // 2 - ENTRY_BYTES))
    assert [await claim(store, key) for key in "bca"] == ["done", "done", "granted"]


async def test_what_runs_keeps_its_place_and_one_more_is_refused(env: Environment) -> None:
    store = MemoryResults(MemoryOptions(keys=2), env)
    for key in "ab":
        assert await claim(store, key) == "granted"
    with pytest.raises(Overloaded) as refused:
        await claim(store, "c")
    assert (refused.value.executed, bool(refused.value.retry_after)) == ("not_executed", True)
    assert await claim(store, "a") == "granted", "its own claim, once more"
    await store.settle("a", "ta", b"1")
    assert await claim(store, "c") == "granted"


def test_a_key_costs_about_what_is_counted_for_it() -> None:
    key, hold = "k" * 64, Hold(token="t" * 16)
    record = Record(digest=bytes(32), hold=hold, outcome=b"")
    parts = (key, hold, hold.token, record, record.digest, (record, 1.0), 1.0)
    assert 0.5 * ENTRY_BYTES < sum(map(sys.getsizeof, parts)) + 100 < 1.5 * ENTRY_BYTES
