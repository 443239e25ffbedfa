"""The bus on bad days: the server is killed, hangs, is absent, refuses, cuts off a slow reader, retires."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import nats
import pytest
from server import NatsServer
from vyked_nats.connection import Watch
from vyked_nats.options import LARGEST, BusOptions
from vyked_nats.outbox import BATCH
from vyked_nats.server import Servers, hang_up

from vyked_host import CallError, ConfigError, Overloaded, PermissionDenied, StartError, Unavailable
from vyked_host.testing import eventually
from vyked_host.testing.conformance.pubsub import Inbox, event, to


@pytest.fixture
def published(env):
    async def published(bus, within=5.0, **more):
        sent = event(**more)
        await bus.publish(sent, deadline=env.clock.now() + within)
        return sent.id

    return published


@pytest.fixture
def nowhere():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"nats://127.0.0.1:{free.getsockname()[1]}"


async def test_after_a_kill_everything_is_subscribed_again_and_the_gap_is_told(server, open_bus, published):
    bus, inbox = open_bus(server.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    await published(bus)
    await eventually(lambda: len(inbox.ids) == 1)
    server.kill()
    await eventually(lambda: bus._listening.line is None and bus._publishing.line is None)
    server.start()
    await eventually(lambda: bus._feed._line is not None)
    confirmed = [each.confirmed for each in bus._feed._channels.values()]
    await eventually(lambda: all(each.is_set() for each in confirmed))
    await published(bus)
    await eventually(lambda: len(inbox.ids) == 2)
    assert [each.gap for each in inbox.deliveries] == [0, -1]


async def test_a_server_that_hangs_costs_no_more_than_the_deadline_and_is_left(server, open_bus, published, env):
    bus = open_bus(server.url)
    await published(bus)
    server.freeze()
    began = env.clock.now()
    with pytest.raises(CallError) as found:
        await published(bus, within=0.3)
    assert found.value.executed == "unknown"
    assert env.clock.now() - began < 1.0  # the deadline, and a shared sweep of 50 ms
    await eventually(lambda: bus._publishing.line is None)
    server.thaw()
    await published(bus)


async def test_a_server_that_hangs_with_megabytes_on_their_way_is_left_too(server, open_bus, published, env):
    bus = open_bus(server.url)
    await published(bus)
    server.freeze()
    deadline = env.clock.now() + 0.3
    outcomes = await asyncio.gather(
        *(bus.publish(event(body=b"x" * 900_000), deadline=deadline) for _ in range(8)), return_exceptions=True
    )
    assert {each.executed for each in outcomes} == {"unknown"}
    await eventually(lambda: bus._publishing.line is None)
    server.thaw()
    await published(bus)


async def test_one_whose_server_takes_all_of_it_only_when_it_is_closed_is_closed_without_an_error(
    server, env, monkeypatch
):
    monkeypatch.setattr("vyked_nats.server.CLOSE_S", 60.0)
    connection = await Servers(BusOptions(url=server.url), env, "pubsub.nats").dial(5.0, Watch())
    server.freeze()
    while not connection.transport.get_write_buffer_size():  # what the two sockets hold is not ours any more
        connection.publish("a", b"x" * 500_000)
        connection.flush()
    closing = asyncio.ensure_future(hang_up(connection))
    await eventually(connection.transport.is_closing, 30)
    server.thaw()
    await closing
    assert connection.is_over


async def test_a_bus_closes_though_the_library_swallows_its_cancellation(server, open_bus, published, monkeypatch):
    bus = open_bus(server.url)
    swallowed = []

    async def swallows(*_):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.append(True)
        await asyncio.Event().wait()

    monkeypatch.setattr(bus.servers, "dial", swallows)
    with pytest.raises(Unavailable):
        await published(bus, within=0.1)
    await asyncio.wait_for(bus.aclose(), 5)
    assert swallowed


async def test_publishing_to_nobody_is_a_typed_error_and_nothing_is_sent(nowhere, open_bus, published):
    with pytest.raises(Unavailable, match="refused") as found:
        await published(open_bus(nowhere), within=0.3)
    assert found.value.executed == "not_sent"


async def test_while_the_server_is_away_every_publication_is_kept_or_refused_never_dropped(server, open_bus, env):
    bus = open_bus(server.url, outbox=2 << 20)
    await bus.publish(event(), deadline=env.clock.now() + 5)
    server.kill()
    await eventually(lambda: bus._publishing.line is None)
    deadline = env.clock.now() + 0.5
    outcomes = await asyncio.gather(
        *(bus.publish(event(body=b"x" * 1000), deadline=deadline) for _ in range(10_000)), return_exceptions=True
    )
    kinds = {type(each) for each in outcomes}
    assert kinds == {Unavailable, Overloaded}
    assert {each.executed for each in outcomes} == {"not_sent"}
    assert bus._outbox._used == 0


async def test_a_reader_that_the_server_cuts_off_is_told_of_a_gap(open_bus, env, published):
    server = NatsServer("max_pending: 1MB", 'write_deadline: "200ms"').start()
    try:
        bus, other, inbox = open_bus(server.url), open_bus(server.url), Inbox()
        await bus.subscribe(to(None, "m"), inbox)
        await published(other)
        await eventually(lambda: len(inbox.ids) == 1)
        line = bus._listening.line
        line.client.transport.pause_reading()
        for _ in range(40):
            await published(other, body=b"x" * 500_000)
        await eventually(lambda: bus._listening.line not in {None, line})
        confirmed = [each.confirmed for each in bus._feed._channels.values()]
        await eventually(lambda: all(each.is_set() for each in confirmed))
        await published(other)
        await eventually(lambda: any(each.gap == -1 for each in inbox.deliveries))
    finally:
        server.close()


async def test_a_user_who_may_not_is_told_what_to_allow(open_bus, published):
    users = '{user: a, password: s3cret, permissions: {publish: ["_INBOX.>"], subscribe: ["_INBOX.>"]}}'
    server = NatsServer(f"authorization {{ users: [{users}] }}").start()
    try:
        bus = open_bus(server.url.replace("//", "//a:s3cret@"))
        with pytest.raises(PermissionDenied, match="allow this user to publish to vyked"):
            await published(bus)
        with pytest.raises(PermissionDenied, match="allow this user to subscribe to vyked"):
            await bus.subscribe(to(None, "m"), Inbox())
        with pytest.raises(StartError) as found:
            await open_bus(server.url.replace("//", "//a:wr0ng@")).verify()
        assert any(each in str(found.value) for each in ("uthorization", "does not let us in"))
        assert "wr0ng" not in str(found.value)
    finally:
        server.close()


async def test_what_is_no_event_ends_nothing(server, open_bus, published, env):
    bus, inbox = open_bus(server.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    stranger = await nats.connect(server.url)
    await stranger.publish(f"vyked.{env.namespace}.event.shop.1.paid", b"\xff junk")
    await stranger.close()
    await eventually(lambda: bus._feed.malformed)
    await published(bus)
    await eventually(lambda: inbox.ids)


async def test_of_two_servers_the_one_that_answers_is_used(server, nowhere, open_bus, published):
    bus = open_bus(f"{nowhere},{server.url}")
    assert await bus.verify() == LARGEST
    await published(bus)


async def test_a_server_that_retires_is_left_before_it_ends(server, open_bus, published):
    retiring = NatsServer('lame_duck_duration: "30s"', 'lame_duck_grace_period: "20s"').start()
    try:
        bus, inbox = open_bus(f"{retiring.url},{server.url}"), Inbox()
        await bus.subscribe(to(None, "m"), inbox)
        await published(bus)
        retiring.retire()
        await eventually(
            lambda: bus._listening.line is not None and bus._listening.line.client.connected_url.port == server.port
        )
        await eventually(
            lambda: bus._publishing.line is not None and bus._publishing.line.client.connected_url.port == server.port
        )
        assert retiring.is_running
        await eventually(lambda: all(each.confirmed.is_set() for each in bus._feed._channels.values()))
        late = await published(bus)
        await eventually(lambda: late in inbox.ids)
        assert inbox.deliveries[-1].gap == -1
    finally:
        await bus.aclose()
        retiring.close()


async def test_a_server_that_is_absent_is_refused_at_start_with_the_remedy(nowhere, open_bus):
    with pytest.raises(StartError, match=r"\[pubsub.nats\] url"):
        await open_bus(nowhere).verify()


def test_an_address_that_is_none_is_refused_without_its_password(env):
    with pytest.raises(ConfigError) as found:
        Servers(BusOptions(url="http://a:s3cret@x"), env, "pubsub.nats")
    assert "s3cret" not in str(found.value)


SERVICE = """
from vyked_host import Service, publish, xsubscribe


class Shop(Service, name="shop", version="1.0.0"):
    @publish
    def paid(self, number: int) -> dict[str, int]:
        return {"number": number}

    @xsubscribe(paid)
    async def book(self, paid: dict[str, int]) -> None: ...
"""


def test_xsubscribe_on_core_nats_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "shop.py").write_text(SERVICE)
    (tmp_path / "vyked.toml").write_text('[pubsub]\nuse = "nats"\n[services.shop]\nuse = "shop:Shop"\n')
    program = Path(sys.executable).with_name("vyked-host")
    done = subprocess.run([program, "check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert 'use one that can: "embedded", "nats-jetstream", "redis-streams"' in done.stdout


class Writes:
    """A connection's transport: how many events are in each write."""

    def __init__(self, connection):
        self.events, self._transport = [], connection.transport
        connection.transport = self

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def write(self, data):
        if count := data.count(b"PUB vyked"):
            self.events.append(count)
        self._transport.write(data)


async def test_an_event_that_is_alone_is_written_before_its_turn_ends_and_company_shares_writes(shared, open_bus, env):
    bus = open_bus(shared.url)
    await bus.publish(event(), deadline=env.clock.now() + 5)
    writes = Writes(bus._outbox._line().client)

    async def published(count):
        writes.events.clear()
        waiting = [bus.publish(event(), deadline=env.clock.now() + 5) for _ in range(count)]
        at_once = list(writes.events)
        await asyncio.gather(*waiting)
        return at_once, writes.events

    assert await published(1) == ([1], [1])
    assert await published(20) == ([1], [1, 19])  # the first can't know
    assert await published(20) == ([], [20])
    assert await published(50) == (
        [BATCH],
        [BATCH, 50 - BATCH],
    )  # while the others are published the server has something to do
    assert await published(1) == ([], [1])  # nor can the first who is alone again
    assert await published(1) == ([1], [1])
