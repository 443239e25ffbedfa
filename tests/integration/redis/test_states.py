"""Rows D4, D7 and D8: a server that is there and does not do it - it loads, became a replica, moved the keys, has a full disk - and
commands that are given up half-way."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.valkey import Valkey, command
from tests.withheld import withheld
from vyked_host.builtin.redis.options import RegistryOptions, StreamOptions
from vyked_host.builtin.redis.registry.registry import RedisRegistry
from vyked_host.builtin.redis.streams.bus import StreamsBus
from vyked_host.contracts import TimingTable
from vyked_host.errors import CallError, Unavailable
from vyked_host.testing import environment
from vyked_host.testing.conformance.company import record
from vyked_host.testing.conformance.pubsub import Inbox, event, to
from vyked_host.testing.leftovers import leaks
from vyked_host.testing.waiting import eventually

TIMING = TimingTable(heartbeat=0.2, lease=0.6, sweep=0.1, gone_after=0.2, dial=1.0, ping=0.4, pong=0.5)
STATES = {
    "LOADING": b"-LOADING Redis is loading the dataset in memory\r\n",
    "READONLY": b"-READONLY You can't write against a read only replica.\r\n",
    "MOVED": b"-MOVED 3808 127.0.0.1:1\r\n",
    "CLUSTERDOWN": b"-CLUSTERDOWN The cluster is down\r\n",
    "MISCONF": b"-MISCONF Errors writing to the AOF file: No space left on device\r\n",
}
LOOKED_S = 2.0
AN_ATTEMPT = 10
"""Attempts a second, at most."""


class Front:
    """Between a host and the server; in a `state`, every command is answered by that, after the answers to those before."""

    def __init__(self, server: Valkey) -> None:
        self._path, self.state, self.accepted, self.commands = server.path, b"", 0, 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Front:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def _accept(self, reader, writer):
        self.accepted += 1
        there, here = await asyncio.open_unix_connection(str(self._path))
        for task in (self._to_server(reader, here, writer), self._to_host(there, writer)):
            self._tasks.add(asyncio.ensure_future(task))

    async def _to_server(self, reader, here, writer):
        hears = False  # a connection that listens has no answers in an order, and its server runs no script
        try:
            while asked := await self._command(reader):
                self.commands += 1
                if not self.state:
                    hears = hears or b"SUBSCRIBE" in asked.upper()
                    here.write(asked)
                elif hears:
                    writer.write(self.state)
                else:
                    here.write(command("EVAL", "return redis.error_reply(ARGV[1])", "0", self.state[1:-2]))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            here.close()
            writer.close()

    async def _command(self, reader):
        head = await reader.readline()
        parts = [head]
        for _ in range(int(head[1:] or 0)):
            size = await reader.readline()
            parts += [size, await reader.readexactly(int(size[1:]) + 2)]
        return b"".join(parts)

    async def _to_host(self, there, writer):
        try:
            while data := await there.read(65536):
                writer.write(data)
        finally:
            writer.close()

    async def aclose(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def env():
    async with leaks(), environment(timing=TIMING, namespace="shop") as env:
        yield env


@pytest.fixture
async def front(server, env):
    found = await Front(server).start()
    yield found
    await found.aclose()


@pytest.mark.parametrize("state", STATES)
async def test_D8_a_registry_whose_server_is_in_such_a_state_is_not_asked_in_a_tight_loop_and_comes_back(
    front, env, state
):
    registry = RedisRegistry(RegistryOptions(url=front.url), env)
    lease = await registry.announce(record(env, "a", "shop"))
    front.state = STATES[state]
    with pytest.raises(Unavailable):
        await lease.update(record(env, "a", "cart"))
    accepted, began = front.accepted, time.monotonic()
    await eventually(lambda: time.monotonic() - began > LOOKED_S, LOOKED_S + 5)
    assert front.accepted - accepted <= 2 * AN_ATTEMPT * LOOKED_S  # two connections
    front.state = b""
    back = time.monotonic()
    while True:
        try:
            await lease.update(record(env, "a", "cart"))
            break
        except Unavailable:
            assert time.monotonic() - back < 5
    assert not lease.lost.done()
    await registry.aclose()


@pytest.mark.parametrize("state", STATES)
async def test_D7_D8_events_are_refused_in_time_and_go_on_where_they_were(front, env, state):
    bus, inbox = StreamsBus(StreamOptions(url=front.url, ack_wait=1.0), env), Inbox()
    await bus.subscribe(to("g", "m"), inbox)
    await bus.publish(event(), deadline=env.clock.now() + 5)
    await eventually(lambda: inbox.ids)
    front.state = STATES[state]
    began, more = time.monotonic(), withheld()
    with pytest.raises(CallError) as refused:
        await bus.publish(event(), deadline=env.clock.now() + 1)
    assert time.monotonic() - began < 1 + 1 + more()
    assert refused.value.executed in ("not_executed", "not_sent", "unknown")
    accepted, began = front.accepted, time.monotonic()
    await eventually(lambda: time.monotonic() - began > LOOKED_S, LOOKED_S + 5)
    assert front.accepted - accepted <= 3 * AN_ATTEMPT * LOOKED_S  # three connections
    front.state = b""
    back, last = time.monotonic(), event()
    while last.id not in inbox.ids:
        try:
            await bus.publish(last, deadline=env.clock.now() + 1)
            await eventually(lambda: last.id in inbox.ids, 5)
        except CallError:
            assert time.monotonic() - back < 5
    await bus.aclose()


async def test_D4_ten_thousand_commands_that_are_given_up_give_no_answer_to_another(shared, env):
    """Cancelled all over the round trip: what the others get is theirs."""
    registry = RedisRegistry(RegistryOptions(url=shared.url), env)
    await registry.announce(record(env, "a"))
    errands, wrong, given_up = registry._errands, 0, 0

    async def one(number):
        return await errands.ask("ECHO", str(number))

    for first in range(0, 10_000, 100):
        tasks = [asyncio.ensure_future(one(number)) for number in range(first, first + 100)]
        for turn, task in enumerate(tasks):
            if turn % 2:
                task.cancel()
            if turn % 10 == 0:
                await asyncio.sleep(0)  # some are on their way, some are answered, some were never sent
        for number, told in enumerate(await asyncio.gather(*tasks, return_exceptions=True), first):
            if isinstance(told, asyncio.CancelledError):
                given_up += 1
            else:
                wrong += told != str(number).encode()
    assert wrong == 0
    assert given_up > 1000
    await registry.aclose()
