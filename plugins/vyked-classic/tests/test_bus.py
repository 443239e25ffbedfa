"""The bus over the channels of Vyked 2.x, against a real server: what old programs publish and hear.

The kit's own suite is not for it: an event is its payload here, without an id or headers that could come back."""

import asyncio
import json

import pytest
import redis.asyncio
from vyked_classic.events.channels import Channel, channel, pattern
from vyked_classic.options import BusOptions
from vyked_classic.plugin import Plugin

from vyked_host import ConfigError, NotSupported, StartError, Unavailable
from vyked_host.contracts import Event, Subscription, TimingTable, Verdict
from vyked_host.testing import environment, eventually

TIMING = TimingTable(ping=0.4, pong=3.0, dial=2.0)


@pytest.fixture
async def env():
    async with environment(timing=TIMING) as env:
        yield env


@pytest.fixture
async def bus(env, redis):
    bus = Plugin()._bus(BusOptions(url=redis.url), env)
    yield bus
    await bus.aclose()


@pytest.fixture
async def old(redis):
    async with redis_client(redis) as client:
        yield client


def redis_client(server):
    return redis.asyncio.Redis(port=server.port)


def event(name="ticked", body=b'{"who":"gr\xc3\xbc\xc3\x9f"}', version="1.0.0"):
    return Event(
        id="1", service="echo", version=version, name=name, source="n", body=body, content_type="application/json"
    )


class Inbox:
    def __init__(self):
        self.events, self.gaps = [], []

    def __call__(self, delivery):
        self.events.append(delivery.event)
        self.gaps.append(delivery.gap)
        delivery.settle(ACK)


ACK = Verdict(action="ack")


def to(group=None, service="echo", major=1, name="ticked", **more):
    return Subscription(service=service, major=major, name=name, group=group, member="m", **more)


async def test_an_old_subscriber_hears_what_is_published_in_ascii_on_the_channel_it_knows(bus, old, env):
    async with old.pubsub() as heard:
        await heard.subscribe("echo/1/ticked")
        await heard.get_message(timeout=5)
        await bus.publish(event(), deadline=env.clock.now() + 5)
        message = await heard.get_message(timeout=5)
    assert message["data"].isascii()
    assert json.loads(message["data"]) == {"who": "grüß"}


async def test_what_an_old_publisher_says_comes_to_those_of_its_major_version(bus, old):
    one, two = Inbox(), Inbox()
    await bus.subscribe(to(), one)
    await bus.subscribe(to(major=2), two)
    for version in ("1", "1.7", "2.0", "nonsense"):
        await old.publish(f"echo/{version}/ticked", json.dumps({"v": version}))
    await old.publish("echo/1/ticked/97ea30ea", '{"v": "for one"}')
    await old.publish("echo/1/x/ticked", '{"v": "another"}')
    await eventually(lambda: two.events)
    assert [(each.version, json.loads(each.body)["v"]) for each in one.events] == [("1.0.0", "1"), ("1.7.0", "1.7")]
    assert [each.version for each in two.events] == ["2.0.0"]


async def test_21_what_is_no_json_ends_nothing(bus, old):
    inbox = Inbox()
    await bus.subscribe(to(), inbox)
    await old.publish("echo/1/ticked", b"\xff{")
    await old.publish("echo/1/ticked", b"{}")
    await eventually(lambda: len(inbox.events) == 2)


async def test_a_group_without_a_registry_that_knows_it_is_refused(env, redis):
    bus = Plugin()._bus(BusOptions(url=redis.url), env)
    with pytest.raises(NotSupported, match=r'\[registry\] use = "classic"'):
        await bus.subscribe(to("bench@1"), Inbox())
    await bus.aclose()


async def test_a_server_that_is_away_is_told(env):
    bus = Plugin()._bus(BusOptions(url="redis://:secret@127.0.0.1:1/0"), env)
    with pytest.raises(StartError, match=r"127\.0\.0\.1:1.*start it") as caught:
        await bus.verify()
    assert "secret" not in str(caught.value) + repr(BusOptions(url="redis://:secret@h"))
    with pytest.raises(Unavailable, match="is away"):
        await bus.publish(event(), deadline=env.clock.now() + 0.3)
    with pytest.raises(Unavailable, match="can't be subscribed"):
        await bus.subscribe(to(), Inbox())
    await bus.aclose()


@pytest.mark.parametrize(
    "rest", [":{}@127.0.0.1:1/0", "127.0.0.1:1?password={}", ":a@{}@127.0.0.1:1", "127.0.0.1:1?password=a@{}"]
)
async def test_the_password_of_a_server_that_is_away_is_not_shown(env, rest):
    bus = Plugin()._bus(BusOptions(url=f"redis://{rest.format('hunter2')}"), env)
    with pytest.raises(StartError, match="start it") as caught:
        await bus.verify()
    assert "hunter2" not in str(caught.value)
    await bus.aclose()


@pytest.mark.parametrize("url", ["redis://me:hunter2@h:x", "redis://me:hunter2/a@h", "nope://me:hunter2@h"])
async def test_a_url_that_is_none_is_refused_without_its_password(env, url):
    bus = Plugin()._bus(BusOptions(url=url), env)
    with pytest.raises(ConfigError, match="percent-encoded") as caught:
        await bus.verify()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    await bus.aclose()


async def test_whom_the_server_does_not_let_in_is_told_of_the_password(env, redis):
    url = redis.url.replace("redis://", "redis://nobody:hunter2@")
    bus = Plugin()._bus(BusOptions(url=url), env)
    with pytest.raises(StartError, match=r"correct user and password in \[pubsub.classic\] url") as caught:
        await bus.verify()
    assert "start it" not in str(caught.value)
    await bus.aclose()


async def test_after_a_loss_handlers_are_told_that_they_missed_some(bus, old, env):
    inbox = Inbox()
    await bus.subscribe(to(), inbox)
    await old.client_kill_filter(_type="pubsub")
    async with asyncio.timeout(10):
        while not inbox.events:
            await old.publish("echo/1/ticked", "{}")
            await asyncio.sleep(0.02)
    assert inbox.gaps[0] == -1
    await bus.publish(event(), deadline=env.clock.now() + 5)


@pytest.mark.parametrize("text", ["a/1/e", "a/1/e/n"])
def test_channels_are_read_as_they_are_written(text):
    assert str(channel(text)) == text


@pytest.mark.parametrize("text", ["a", "a/1", "a//e", "a/1/e/n/x", ""])
def test_what_is_no_channel_is_none(text):
    assert channel(text) is None


def test_patterns_take_names_as_they_are():
    assert pattern("a*", "e?", "n") == "a\\*/*/e\\?/n"
    assert Channel("a", "beta", "e").major is None
