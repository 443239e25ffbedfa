"""N2 of the bus: the server comes back with a store that lost its end, as after a power failure or from a copy. Real files: the server is
killed, its folder is what it was before. What is published then gets the places of what was lost."""

import asyncio
import os

import pytest
from msgspec.structs import replace
from vyked_nats.jetstream.bus import JetStreamBus
from vyked_nats.options import JetStreamOptions

from vyked_host import Unavailable
from vyked_host.contracts import TimingTable, Verdict
from vyked_host.testing import environment, eventually, leaks
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to
from vyked_host.testing.waiting import comes_to

WAIT_S = 30.0
"""Of a machine that does much else, for what comes after all."""
SAYS = "has lost its end"


def hold(_delivery):
    """The handler goes on for ever."""


class Host:
    """One host, and its bus."""

    def __init__(self, url, env, **options):
        self.env = env
        self.bus = JetStreamBus(JetStreamOptions(url=url, **{"ack_wait": 60.0, **options}), env)

    async def publish(self, within=WAIT_S, *, as_id="", **more):
        sent = event(**more)
        if as_id:
            sent = replace(sent, id=as_id)
        await self.bus.publish(sent, deadline=self.env.clock.now() + within)
        return sent.id

    async def gone(self):
        """It has no connection."""
        await eventually(lambda: self.bus._listening.line is None and self.bus._publishing.line is None)

    async def stored(self):
        return (await self.bus.api.ask(f"STREAM.INFO.{self.bus.names.events}"))["state"]


@pytest.fixture
async def env():
    """Patient beyond what is put to the test: a server takes its time to begin on a machine that does much else."""
    async with leaks(), environment(timing=TimingTable(ping=0.4, pong=1.0, dial=WAIT_S)) as env:
        yield env


@pytest.fixture
async def host(server, env):
    host = Host(server.url, env)
    yield host
    await host.bus.aclose()


class Meanwhile:
    """Another host, at the server while nobody else finds it there."""

    def __init__(self, server, env, **options):
        self._server, self._env, self._options = server, env, options

    async def __aenter__(self):
        self.host = Host(self._server.start_elsewhere(), self._env, **self._options)
        return self.host

    async def __aexit__(self, *_):
        await self.host.bus.aclose()
        self._server.kill()


async def before_the_end(server, host):
    """What its store is now, for `put_back`."""
    server.kill()
    await host.gone()
    copy = server.keep()
    server.start()
    return copy


async def loses_its_end(server, host, copy):
    server.kill()
    server.put_back(copy)
    await host.gone()


# ---- who reads -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("others", [0, 5], ids=["first", "late"])
async def test_a_follower_beyond_the_end_gets_what_comes_there_and_is_told_of_a_gap(server, host, env, caplog, others):
    """Also where others had published as much as was lost before this host was back."""
    inbox = Inbox()
    await host.bus.subscribe(to(None, "m"), inbox)
    sent = [await host.publish()]
    await eventually(lambda: inbox.ids == sent)
    copy = await before_the_end(server, host)
    sent += [await host.publish() for _ in range(3)]
    await eventually(lambda: inbox.ids == sent, WAIT_S)
    await loses_its_end(server, host, copy)
    if others:
        async with Meanwhile(server, env) as other:
            sent += [await other.publish() for _ in range(others)]
    server.start()
    sent += [await host.publish() for _ in range(3)]
    await eventually(lambda: inbox.ids == sent, WAIT_S)
    assert [each.gap for each in inbox.deliveries[4:]] == [-1] + [0] * (len(sent) - 5)
    assert caplog.text.count(SAYS) == 1


async def test_a_follower_that_never_got_an_event_is_not_beyond_the_end_either(server, host, env):
    inbox = Inbox()
    copy = await before_the_end(server, host)
    other_topic = [await host.publish(name="sold") for _ in range(3)]
    await host.bus.subscribe(to(None, "m"), inbox)
    await loses_its_end(server, host, copy)
    async with Meanwhile(server, env) as other:
        sent = [await other.publish() for _ in range(len(other_topic) + 1)]
    server.start()
    sent.append(await host.publish())
    await eventually(lambda: inbox.ids == sent, WAIT_S)


async def test_a_server_that_comes_back_with_all_it_had_is_not_said_to_have_lost_anything(server, host, caplog):
    inbox, group = Inbox(), Inbox()
    await host.bus.subscribe(to(None, "m"), inbox)
    await host.bus.subscribe(to("g", "m"), group)
    sent = [await host.publish() for _ in range(3)]
    await before_the_end(server, host)
    sent += [await host.publish() for _ in range(3)]
    # an ack that was not written down yet dies with the server
    await eventually(lambda: inbox.ids == sent and set(group.ids) == set(sent), WAIT_S)
    assert {each.gap for each in inbox.deliveries} == {0}
    assert SAYS not in caplog.text


async def test_a_file_that_was_cut_off_costs_its_end_and_nothing_else(server, host, caplog):
    """As a disk may leave it: in the middle of an event."""
    inbox, group = Inbox(), Inbox()
    await host.bus.subscribe(to(None, "m"), inbox)
    await host.bus.subscribe(to("g", "m"), group)
    sent = [await host.publish(body=b"x" * 1000) for _ in range(5)]
    await eventually(lambda: inbox.ids == sent and set(group.ids) == set(sent), WAIT_S)
    server.kill()
    await host.gone()
    (block,) = (server.store / "jetstream" / "$G" / "streams" / host.bus.names.events / "msgs").glob("*.blk")
    os.truncate(block, block.stat().st_size - 1500)  # the last event, and half of the one before
    server.start()
    sent += [await host.publish() for _ in range(5)]
    assert (await host.stored())["last_seq"] == 8
    await eventually(lambda: inbox.ids == sent and set(group.ids) == set(sent), WAIT_S)
    assert inbox.deliveries[5].gap == -1
    assert caplog.text.count(SAYS) == 1


# ---- what is said of what was lost ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("when", ["while it is away", "when it is back"])
async def test_what_is_said_of_a_lost_event_is_not_said_of_the_one_in_its_place(server, host, env, when):
    inbox = Inbox(hold)
    await host.bus.subscribe(to("g", "m", concurrency=1), inbox)
    copy = await before_the_end(server, host)
    lost = await host.publish()
    await eventually(lambda: inbox.ids == [lost], WAIT_S)
    await loses_its_end(server, host, copy)
    async with Meanwhile(server, env) as other:
        theirs = Inbox(hold)
        await other.bus.subscribe(to("g", "other", concurrency=1), theirs)
        sent = await other.publish()
        await eventually(lambda: theirs.ids == [sent], WAIT_S)
        assert theirs.deliveries[0].reply.split(".")[5:7] == inbox.deliveries[0].reply.split(".")[5:7]  # in its place
        await eventually(lambda: server.written_down == 1)
        server.kill()  # and this host with it: it does not give the event back
        await other.gone()
    if when == "while it is away":
        saying = inbox.deliveries[0].settle(ACK)
        server.start()
    else:
        server.start()
        await eventually(lambda: host.bus._settling._line is not None, WAIT_S)
        saying = inbox.deliveries[0].settle(ACK)
    with pytest.raises(Unavailable, match="has lost the event"):
        await asyncio.wait_for(saying, WAIT_S)
    groups = await host.bus.groups("shop", 1, "paid")
    assert groups[0][2] == 1  # it waits still, for whoever had it is gone


async def test_a_group_gets_all_that_is_there_and_nothing_twice_unsaid(server, host, env):
    inbox = Inbox()
    await host.bus.subscribe(to("g", "m"), inbox)
    sent = [await host.publish() for _ in range(3)]
    await eventually(lambda: inbox.ids == sent, WAIT_S)
    copy = await before_the_end(server, host)
    sent += [await host.publish() for _ in range(3)]
    await eventually(lambda: set(inbox.ids) == set(sent), WAIT_S)
    await loses_its_end(server, host, copy)
    async with Meanwhile(server, env) as other:
        sent += [await other.publish() for _ in range(5)]
    server.start()
    sent += [await host.publish() for _ in range(3)]
    await eventually(lambda: set(inbox.ids) == set(sent), WAIT_S)
    again = [each for at, each in enumerate(inbox.deliveries) if each.event.id in inbox.ids[:at]]
    assert all(each.count > 1 for each in again)


# ---- publishers ----------------------------------------------------------------------------------------------------------
async def test_what_was_lost_can_be_published_again_and_what_was_not_goes_out_once(server, host):
    await host.publish(as_id="kept")
    copy = await before_the_end(server, host)
    await host.publish(as_id="lost")
    await loses_its_end(server, host, copy)
    server.start()
    for name in ("kept", "lost", "kept", "lost"):
        await host.publish(as_id=name)
    assert (await host.stored())["messages"] == 2


@pytest.mark.parametrize("others", [0, 5], ids=["first", "late"])
async def test_a_host_that_only_publishes_notices_too(server, host, env, caplog, others):
    await host.publish()
    copy = await before_the_end(server, host)
    for _ in range(3):
        await host.publish()
    await loses_its_end(server, host, copy)
    if others:
        async with Meanwhile(server, env) as other:
            for _ in range(others):
                await other.publish()
    server.start()
    await host.publish()
    assert caplog.text.count(SAYS) == 1


# ---- dead letters, of which the server knows the place they had ----------------------------------------------------------
async def is_dead(host, event_id):
    """It becomes a dead letter. Others may be there: what was said of an event and not written down yet dies with the server."""

    async def is_among_them():
        return event_id in [found.id async for found, _, _ in host.bus.dead(to("g", "m"))]

    await comes_to(True, is_among_them, WAIT_S)


async def test_what_is_given_up_on_in_the_place_of_a_lost_event_is_a_dead_letter_too(server, host):
    """The stream of dead letters still has that of the lost one."""
    inbox = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
    await host.bus.subscribe(to("g", "m"), inbox)
    copy = await before_the_end(server, host)
    lost = await host.publish()
    await is_dead(host, lost)
    server.kill()
    server.put_back(copy, host.bus.names.events)
    await host.gone()
    server.start()
    sent = await host.publish()
    await is_dead(host, sent)
    await is_dead(host, lost)


async def test_a_dead_letter_in_the_place_of_a_lost_one_is_brought_back_too(server, host):
    """The stream of events still has what the lost one became."""
    inbox = Inbox(lambda _delivery: Verdict(action="reject", cause="poison"))
    await host.bus.subscribe(to("g", "m"), inbox)
    copy = await before_the_end(server, host)
    first = await host.publish()
    await is_dead(host, first)
    await host.bus.discard(first, replay=True)
    await eventually(lambda: inbox.ids.count(first) == 2, WAIT_S)
    await is_dead(host, first)
    server.stop()
    server.put_back(copy, host.bus.names.letters)
    await host.gone()
    server.start()
    second = await host.publish()
    await is_dead(host, second)
    await host.bus.discard(second, replay=True)
    await eventually(lambda: inbox.ids.count(second) == 2, WAIT_S)
