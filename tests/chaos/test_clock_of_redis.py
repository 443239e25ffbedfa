"""Rows R17 and D12 for real: the wall clock of the server jumps by hours, by libfaketime, under a registry and under streams."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack

import pytest

from tests.chaos.test_clock import HOUR, library, passes
from tests.valkey import Valkey
from vyked_host.builtin.redis.options import RegistryOptions, StreamOptions
from vyked_host.builtin.redis.registry.registry import RedisRegistry
from vyked_host.builtin.redis.streams.bus import StreamsBus
from vyked_host.contracts import TimingTable, Verdict
from vyked_host.testing import environment
from vyked_host.testing.conformance.company import record
from vyked_host.testing.conformance.events import ACK, Inbox, event, to
from vyked_host.testing.waiting import eventually

JUMPS = (HOUR, -HOUR, 2 * HOUR, -2 * HOUR)
TIMING = TimingTable(heartbeat=0.2, lease=0.6, sweep=0.1, gone_after=0.2, dial=2.0, ping=0.4, pong=0.5)
AW = 1.0
SLACK_S = 1.0


class Faked(Valkey):
    """A server whose clock is a file's matter."""

    def __init__(self, folder):
        super().__init__("appendonly yes")
        self._file = folder / "clock"
        self.set(0)
        self.environ = {
            **os.environ, "LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

    def set(self, seconds):
        """From now on it says so many seconds more than the machine's."""
        self._file.write_text(f"{seconds:+d}\n")

    @property
    def off(self):
        """By how much it is off, in seconds."""
        return int(self.ask("TIME").split(b"\r\n")[2]) - time.time()


@pytest.fixture
def server(tmp_path):
    server = Faked(tmp_path).start()
    yield server
    server.close()


async def jumped(server, seconds):
    server.set(seconds)
    await eventually(lambda: abs(server.off - seconds) < 2)


@pytest.mark.parametrize("jump", JUMPS)
async def test_D12_a_clock_that_jumps_loses_and_starves_nothing(server, jump):
    async with environment(timing=TIMING) as env:
        bus = StreamsBus(StreamOptions(url=server.url, ack_wait=AW), env)
        lost, other = Inbox(lambda _delivery: None), Inbox(lambda each: ACK if each.count > 1 else _retry())
        await bus.subscribe(to("g", "m", concurrency=32), lost)
        await bus.subscribe(to("h", "m", concurrency=32), other)
        sent = []
        for _ in range(5):
            sent.append(event())
            await bus.publish(sent[-1], deadline=env.clock.now() + 5)
        await eventually(lambda: len(lost.ids) == 5 and len(other.ids) >= 5)
        await jumped(server, jump)
        began = env.clock.now()
        await eventually(lambda: all(lost.ids.count(each.id) >= 2 for each in sent))
        await eventually(lambda: all(other.ids.count(each.id) >= 2 for each in sent))
        took = env.clock.now() - began
        print(f"D12 {jump:+d} s: again after {took:.2f} s")
        assert took <= 2 * AW + SLACK_S
        for each in (lost, other):
            assert sum(one.count == 1 for one in each.deliveries) == 5  # whatever comes again says so
        await bus.aclose()


def _retry():
    return Verdict(action="retry", seconds=AW)


async def test_R17_a_clock_that_jumps_evicts_nobody_and_keeps_no_dead_alive(server):
    async with AsyncExitStack() as stack:
        registries, gone = [], set()
        for name in "abc":
            env = await stack.enter_async_context(environment(node_id=name, namespace="shop", timing=TIMING))
            registries.append(RedisRegistry(RegistryOptions(url=server.url), env))
            await registries[-1].announce(record(env, name, "shop"))

        async def follow():
            async for change in registries[0].watch(None):
                gone.update(change.gone)

        stack.callback(env.tasks(follow(), "watch"))
        for jump in (*JUMPS, 0):
            await jumped(server, jump)
            await passes(3 * TIMING.lease)
            assert gone == set()
        await jumped(server, -HOUR)
        began = time.monotonic()
        await registries[1].aclose()  # without a word: a process that died
        await eventually(lambda: gone == {"b"})
        took = time.monotonic() - began
        print(f"R17: gone after {took:.2f} s")
        assert took <= TIMING.lease + 2 * TIMING.sweep + SLACK_S
        for each in registries:
            await each.aclose()
