"""Calls over subjects on bad days: processes and servers are killed, stand still, take little at once; and whole hosts without a port."""

import asyncio
import subprocess
import sys
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from caller import FILE, Shop
from server import NatsServer
from vyked_nats.options import TransportOptions
from vyked_nats.plugin import is_loopback, vyked_check_settings
from vyked_nats.transport.link import WINDOW, SubjectLink
from vyked_nats.transport.transport import NatsTransport

from vyked_host import Host, StartError, Unavailable
from vyked_host.testing import eventually
from vyked_host.testing.conformance.bench import ECHO, HANG, SURFACE, Caller, Service, Text

CALLER = Path(__file__).with_name("caller.py")


@pytest.fixture
async def linked(env):
    """A caller and a service on a server, each with a transport of its own."""
    opened = []

    async def linked(url):
        service = Service(env)
        listener = await NatsTransport(TransportOptions(url=url), env).serve(service, SURFACE)
        other = NatsTransport(TransportOptions(url=url), msgspec.structs.replace(env, node_id="other"))
        channel = await other.dial(listener.addresses[0], deadline=env.clock.now() + 5)
        opened.extend((channel, listener))
        return Caller(channel, env), service, listener

    yield linked
    for each in opened:
        await each.aclose()


@pytest.fixture
def begin():
    begun = []

    def begin(url):
        begun.append(subprocess.Popen([sys.executable, CALLER, url], stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()
        each.wait()
        each.stdout.close()


# ---- links ---------------------------------------------------------------------------------------------------------------
async def test_what_is_larger_than_a_message_travels_in_pieces(linked):
    server = NatsServer("max_payload: 4KB").start()
    try:
        caller, _, _ = await linked(server.url)
        large, small = caller.start(ECHO, Text("x" * 300_000))[0], caller.start(ECHO, Text("y"))[0]
        await eventually(lambda: large.ended and small.ended)
        assert caller.value(large.body, str) == "x" * 300_000
    finally:
        await caller.channel.aclose()
        server.close()


async def test_when_the_server_dies_what_runs_ends_unknown_and_the_channel_is_over(server, linked):
    caller, service, _ = await linked(server.url)
    outcome, _ = caller.start(HANG, Text(""))
    await eventually(lambda: service.running == 1)
    server.kill()
    await eventually(lambda: outcome.ended and service.running == 0)
    assert outcome.fault.executed == "unknown"
    assert caller.channel.retired.done()
    server.start()


async def test_when_it_is_back_the_same_address_can_be_dialled_again(server, linked, env):
    _, _, listener = await linked(server.url)
    server.kill()
    await eventually(lambda: listener.connections == 0)
    server.start()
    other = NatsTransport(TransportOptions(url=server.url), msgspec.structs.replace(env, node_id="again"))
    channel = None
    while channel is None:
        try:
            channel = await other.dial(listener.addresses[0], deadline=env.clock.now() + 5)
        except Unavailable as error:  # the listener is not back yet
            assert error.executed == "not_sent"  # noqa: PT017 - each refusal is looked at
    outcome, _ = Caller(channel, env).start(ECHO, Text("a"))
    await eventually(lambda: outcome.ended)
    assert outcome.fault is None
    await channel.aclose()


async def test_a_server_that_is_not_there_is_refused_at_start_with_the_remedy(env):
    with pytest.raises(StartError, match=r"start the server, correct \[transports.test\] url"):
        await NatsTransport(TransportOptions(url="nats://127.0.0.1:1"), env).serve(Service(env), SURFACE)


async def test_a_server_that_does_not_let_us_in_is_told_as_such(env):
    server = NatsServer("authorization { user: a, password: s3cret }").start()
    url = server.url.replace("//", "//a:wr0ng@")
    try:
        with pytest.raises(
            StartError, match=r"; correct user and password in \[transports\.test\] url, or cred"
        ) as told:
            await NatsTransport(TransportOptions(url=url), env).serve(Service(env), SURFACE)
        assert "start the server" not in str(told.value)
    finally:
        server.close()


class Sink(asyncio.Protocol):
    """Takes what comes."""

    def __init__(self):
        self.data, self.full, self.lost = bytearray(), [], []

    def data_received(self, data):
        self.data += data

    def pause_writing(self):
        self.full.append(True)

    def resume_writing(self):
        self.full.append(False)

    def connection_lost(self, exc):
        self.lost.append(exc)


def pair(chunk=1 << 20):
    """Two ends, and what is under way between them."""
    way = ([], [])
    links = tuple(SubjectLink(way[at].append, lambda: None, "peer", chunk) for at in (0, 1))
    sinks = tuple(Sink() for _ in links)
    for link, sink in zip(links, sinks, strict=True):
        link.start(sink)

    def carry():
        while way[0] or way[1]:
            for at in (0, 1):
                messages, way[at][:] = list(way[at]), []
                for each in messages:
                    links[1 - at].heard(each)

    return links, sinks, way, carry


async def test_any_bytes_come_whole_and_in_order():
    (one, _), (_, taken), _, carry = pair(chunk=1000)
    data = bytes(range(256)) * 8000
    for at in range(0, len(data), 70_001):
        one.write(data[at : at + 70_001])
    carry()
    assert taken.data == data


async def test_no_more_is_under_way_than_the_other_end_takes():
    (one, other), (writer, taken), way, carry = pair()
    other.pause_reading()
    one.write(b"x" * (3 * WINDOW))
    carry()
    assert not taken.data
    assert one.get_write_buffer_size() == 2 * WINDOW
    assert writer.full == [True]
    other.resume_reading()
    await eventually(lambda: carry() or len(taken.data) == 3 * WINDOW)
    assert writer.full == [True, False]
    assert not way[0]


async def test_a_message_that_is_missing_ends_the_link_at_both_ends():
    (one, _), sinks, way, carry = pair()
    one.write(b"a")
    way[0].clear()
    one.write(b"b")
    carry()
    await eventually(lambda: sinks[0].lost and sinks[1].lost)
    assert not sinks[1].data
    assert all(isinstance(each.lost[0], ConnectionResetError) for each in sinks)


async def test_a_link_that_is_closed_sends_what_it_has_first():
    (one, other), sinks, _, carry = pair()
    other.pause_reading()
    one.write(b"x" * (WINDOW + 10))
    one.close()
    carry()
    other.resume_reading()
    await eventually(lambda: carry() or sinks[1].lost)
    assert len(sinks[1].data) == WINDOW + 10
    assert sinks[0].lost == sinks[1].lost == [None]


# ---- whole hosts -----------------------------------------------------------------------------------------------------------
async def test_hosts_without_a_port_call_one_another_and_a_kill_costs_no_idempotent_call(shared, begin):
    hosts = [begin(shared.url) for _ in range(2)]
    names = {await asyncio.to_thread(each.stdout.readline) for each in hosts}
    assert len(names) == 2
    async with Host(text=FILE.format(url=shared.url)) as here:
        shop = here.client(Shop)  # by its class: a client by name knows nothing of what may run twice
        await eventually(lambda: len(here.node.directory.nodes) == 3, 60)
        hanging, hangs = [], asyncio.ensure_future(asyncio.to_thread(hosts[0].stdout.readline))
        while not hangs.done():  # it may not be connected yet
            hanging.append(asyncio.ensure_future(shop.hang.using(timeout=60)()))
            await asyncio.wait({hangs}, timeout=0.2)
        assert await shop.echo(text="a") == "a"
        hosts[0].kill()
        for at in range(50):
            assert await shop.echo(text=str(at)) == str(at)
        done, running = await asyncio.wait(hanging, timeout=10, return_when=asyncio.FIRST_EXCEPTION)
        assert done
        assert {each.exception().executed for each in done} <= {"unknown", "not_executed", "not_sent"}
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize("count", [1, 2])
async def test_calls_that_were_not_sent_wait_for_the_servers_and_for_their_node(server, begin, caplog, count):
    names = [(await asyncio.to_thread(begin(server.url).stdout.readline)).strip() for _ in range(count)]
    async with Host(text=FILE.format(url=server.url)) as here:
        shop = here.client(Shop)
        await eventually(lambda: len(here.node.directory.nodes) == 1 + count, 60)
        await shop.echo(text="a")
        server.kill()
        await eventually(lambda: "transport nats: no connection" in caplog.text)
        # more than a client may try again (a fifth, and 3 a second), fewer than one connection takes; half of them may not run twice
        calls = [asyncio.ensure_future(shop.note.using(timeout=60)(number=at)) for at in range(45)]
        calls += [asyncio.ensure_future(shop.echo.using(timeout=60)(text=str(at))) for at in range(45)]
        dials_s = 4 * here.node.settings.timing.dial  # an attempt ends with its dial, and there are three
        ended, _ = await asyncio.wait(calls, timeout=dials_s, return_when=asyncio.FIRST_COMPLETED)
        assert not ended
        server.start()
        await asyncio.gather(*calls)
        noted = await asyncio.gather(*(shop.notes.using(instance=name)() for name in names))
        assert sorted(chain.from_iterable(noted)) == list(range(45))


# ---- security ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "security", "faults"),
    [
        ("nats://127.0.0.1:4222", {}, 0),
        ("nats://a.example", {}, 1),
        ("nats://a.example", {"secret": "x" * 32}, 0),
        ("nats://a.example", {"insecure": True}, 0),
        ("nats://127.0.0.1,nats://a.example", {}, 1),
        ("nats://127.0.0.1", {"tls": {"cert": "c", "key": "k", "ca": "a"}}, 1),
    ],
)
def test_who_can_be_reached_by_strangers_has_to_mean_it(url, security, faults):
    settings = {"transports": {"far": {"use": "nats", "url": url}, "tcp": {}}, "security": security}
    assert len(list(vyked_check_settings(settings))) == faults


def test_a_registry_that_can_not_see_who_announces_says_so():
    settings = {"registry": {"use": "nats"}, "security": {"serve": {"shop": ["spiffe://m/shop"]}}}
    assert [where for where, _, _ in vyked_check_settings(settings)] == ["security.serve"]


def test_loopback_is_told_from_the_rest():
    assert is_loopback("nats://localhost:4222, tls://[::1]:4222")
    assert not is_loopback("nats://127.0.0.1.example")
