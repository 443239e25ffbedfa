"""NATS tools see our services: what nats-py's own micro client reads, beside a service of nats-py's own."""

import json

import nats
import nats.micro
import pytest
from nats.micro.service import ServiceInfo, ServicePing, ServiceStats
from vyked_nats.plugin import OURS

from vyked_host import Host, RemoteFailure, Service, api
from vyked_host.testing import eventually

FILE = """
[host]
mesh = "m"
[pubsub]
use = "{use}"
[pubsub.{use}]
url = "{url}"
[transports.tcp]
port = 0
"""


class Shop(Service, name="shop", version="1.2.3"):
    @api
    async def price(self, of: str) -> int:
        return len(of)

    @api
    async def fail(self) -> None:
        raise RuntimeError("no")


class Cart(Service, name="cart", version="2.0.0"):
    @api
    async def add(self) -> None: ...


@pytest.fixture
async def tool(shared):
    client = await nats.connect(shared.url)
    yield client
    await client.close()


@pytest.fixture
def ask(tool):
    """Every answer to a question."""

    async def ask(subject, count):
        inbox, found = tool.new_inbox(), []

        async def came(message):
            found.append(json.loads(message.data))

        heard = await tool.subscribe(inbox, cb=came)
        await tool.publish(subject, reply=inbox)
        await eventually(lambda: len(found) >= count)
        await tool.flush()
        await heard.unsubscribe()
        return sorted(found, key=lambda each: each["name"])

    return ask


@pytest.fixture(params=["nats", "nats-jetstream"])
async def host(request, shared, tool):
    text = FILE.format(use=request.param, url=shared.url)
    async with Host(Shop, Cart, text=text) as host:
        while True:  # the connection that answers is there a moment after the host
            try:
                await tool.request("$SRV.PING.shop", timeout=0.2)
                break
            except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
                continue
        yield host


async def test_everybody_who_is_there_answers_a_ping(host, ask, tool):
    theirs = await nats.micro.add_service(tool, name="theirs", version="0.1.0")
    pings = [ServicePing.from_dict(each) for each in await ask("$SRV.PING", 3)]
    assert [(each.name, each.version) for each in pings] == [("cart", "2.0.0"), ("shop", "1.2.3"), ("theirs", "0.1.0")]
    assert pings[1].metadata["vyked.node"] == host.node.record.node_id
    assert pings[1].metadata["vyked.addresses"].startswith("tcp://")
    await theirs.stop()


async def test_one_service_and_one_instance_can_be_asked(host, ask):
    (ping,) = await ask("$SRV.PING.shop", 1)
    (same,) = await ask(f"$SRV.PING.shop.{ping['id']}", 1)
    assert same == ping


async def test_info_names_the_endpoints(host, ask):
    (found,) = await ask("$SRV.INFO.shop", 1)
    info = ServiceInfo.from_dict(found)
    assert {each.name for each in info.endpoints} == {"price", "fail"}
    assert all(each.subject.startswith("vyked.m.call.shop.") for each in info.endpoints)


async def test_stats_count_calls_and_errors(host, ask):
    shop = host.client("shop")
    for _ in range(3):
        await shop.price(of="tea")
    with pytest.raises(RemoteFailure):
        await shop.fail()
    (found,) = await ask("$SRV.STATS.shop", 1)
    stats = {each.name: each for each in ServiceStats.from_dict(found).endpoints}
    assert (stats["price"].num_requests, stats["price"].num_errors) == (3, 0)
    assert (stats["fail"].num_requests, stats["fail"].num_errors) == (1, 1)
    assert stats["price"].processing_time > 0


async def test_what_is_no_question_is_not_answered(host, ask, tool):
    for subject in ("$SRV.PING.shop.x.y", "$SRV.NOTHING", "$SRV.PING.other"):
        with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
            await tool.request(subject, timeout=0.1)


async def test_a_host_may_keep_silent(shared, tool):
    text = FILE.format(use="nats", url=shared.url).replace("[transports", "micro = false\n[transports")
    async with Host(Shop, text=text) as host:
        assert type(host.node.pubsub).__module__.startswith(OURS)
        with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
            await tool.request("$SRV.PING.shop", timeout=0.2)
