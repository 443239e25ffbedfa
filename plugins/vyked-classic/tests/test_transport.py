"""The transport: the kit's cases that the old wire can carry, and what old peers say to it and hear from it."""

import asyncio
import json

import msgspec
import pytest
from old_peer import Wire
from vyked_classic.address import OldAddress, read
from vyked_classic.options import TransportOptions
from vyked_classic.plugin import Plugin

from vyked_host import CallNotSupported, NotSupported
from vyked_host.contracts import Fault, Provider, TimingTable, Transport
from vyked_host.testing import TransportConformance, environment, eventually
from vyked_host.testing.conformance.bench import ECHO, FAIL, HANG, LATER, NUMBERS, SURFACE, Caller, Service, Text


def provider_of():
    (provider,) = Plugin().vyked_transports()
    return provider


class TestClassic(TransportConformance):
    @pytest.fixture
    def provider(self) -> Provider[Transport]:
        return provider_of()

    @pytest.fixture
    def options(self) -> TransportOptions:
        return TransportOptions(port=0)

    async def test_what_belongs_to_a_call_arrives(self, caller, service, env):
        """The entity does; the wire has no place for the others."""
        outcome, _ = caller.start(ECHO, Text("a"), within=7.0)
        await eventually(lambda: outcome.ended)
        (call,) = service.seen
        assert (call.entity, call.idempotency_key, call.attempt) == ("ada", None, 1)
        assert call.peer is not None

    async def test_the_endpoint_that_is_not_there_is_named(self, caller):
        """By its answer: there is no greeting that could name what exists."""
        outcome, _ = caller.start(msgspec.structs.replace(ECHO, name="nowhere"), Text("a"))
        await eventually(lambda: outcome.ended)
        assert outcome.fault.code == "NOT_FOUND"
        assert "bench.nowhere does not exist; bench has: echo" in outcome.fault.message
        with pytest.raises(CallNotSupported):
            caller.channel.endpoint(NUMBERS)

    async def test_what_is_not_declared_is_refused(self, caller):
        """Before it is called: no index is given for what the wire can't carry."""
        with pytest.raises(CallNotSupported):
            caller.channel.endpoint(NUMBERS)

    async def test_what_runs_when_the_channel_is_closed_ends_unknown(self, caller, service):
        """For the caller. The handler goes on, as it did: who calls may leave."""
        outcome, _ = caller.start(HANG, Text(""))
        await eventually(lambda: service.running == 1)
        await caller.channel.aclose()
        await caller.channel.aclose()
        await eventually(lambda: outcome.ended)
        assert outcome.fault.executed == "unknown"
        assert service.running == 1

    async def test_another_mesh_is_not_talked_to(self, listener):
        """The old wire knows no meshes."""
        assert read(listener.addresses[0].uri).port


@pytest.fixture
async def env():
    async with environment(timing=TimingTable(ping=0.2, pong=0.2, dial=1.5)) as env:
        yield env


@pytest.fixture
async def listener(env):
    listener = await provider_of().build(TransportOptions(port=0), env).serve(Service(env), SURFACE)
    yield listener
    await listener.aclose()


class Old:
    """An old consumer's connection."""

    def __init__(self, wire, heard):
        self.wire, self.heard = wire, heard

    def request(self, endpoint, id="00000001", name="bench", version="1", key="name", **payload):
        self.wire.send({
            "pid": "p", "app": "shop", key: name, "version": version, "entity": None, "endpoint": endpoint, "type": "request",
            "payload": {**payload, "request_id": id}, "from": "f", "to": "t",
        })  # fmt: skip

    async def answer(self, id="00000001"):
        def found():
            return [each for each in self.heard if each.get("payload", {}).get("request_id") == id]

        await eventually(found)
        (answer,) = found()
        assert (answer["type"], answer["to"], answer["entity"]) == ("response", "f", None)
        return answer["payload"]


@pytest.fixture
async def old(listener):
    heard, at = [], read(listener.addresses[0].uri)
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(lambda: Wire(lambda packet, _: heard.append(packet)), at.host, at.port)
    yield Old(wire, heard)
    wire.transport.close()


@pytest.mark.parametrize("endpoint", ["echo", "later"])
async def test_an_old_consumer_is_answered(old, endpoint):
    old.request(endpoint, text="é\n}")
    assert await old.answer() == {"request_id": "00000001", "result": "é\n}"}


async def test_the_answer_is_in_the_dialect_and_with_the_delimiter_of_the_consumer(listener):
    at, heard = read(listener.addresses[0].uri), []
    _, wire = await asyncio.get_running_loop().create_connection(
        lambda: Wire(lambda packet, _: heard.append(packet), delimiter="!<^>!"), at.host, at.port
    )
    Old(wire, heard).request("echo", key="service", text="a")
    await eventually(lambda: heard)
    assert heard[0]["payload"]["result"] == "a"
    wire.transport.close()


async def test_names_are_lower_cased_and_compatible_versions_are_served(old):
    old.request("echo", "1", name="Bench", version="1.1", text="a")
    assert (await old.answer("1"))["result"] == "a"
    old.request("echo", "2", version="2", text="a")
    assert "bench 2 is not served here; there is 1.2.0" in (await old.answer("2"))["error"]
    old.request("echo", "3", version="nonsense", text="a")
    assert "is no version" in (await old.answer("3"))["error"]


async def test_25_what_does_not_exist_is_answered(old):
    old.request("nowhere", "1")
    assert (await old.answer("1"))["failed"] is True
    old.request("echo", "2", name="nobody")
    assert (await old.answer("2"))["error"] == "nobody is not served here"
    old.request("numbers", "3", count=1)
    assert "numbers does not exist" in (await old.answer("3"))["error"], "streams are not offered"


async def test_1_a_declared_error_is_an_error_without_failed(old):
    old.request("fail", text="a")
    answer = await old.answer()
    assert (answer["error"], "failed" in answer, answer["code"], answer["error_type"]) == (
        "declared",
        False,
        "APPLICATION",
        "broken",
    )


async def test_pings_are_answered_with_their_node_id(old):
    old.wire.send({"pid": "p", "type": "ping", "node_id": "n1"})
    await eventually(lambda: old.heard)
    assert (old.heard[0]["type"], old.heard[0]["node_id"]) == ("pong", "n1")


async def test_what_can_t_be_read_is_passed_over_and_at_last_cuts_the_connection(old):
    old.wire.transport.write(b'{"type": "request", "payload": 7},{"type": "nonsense"},')
    old.request("echo", text="a")
    assert (await old.answer())["result"] == "a"
    for _ in range(200):
        old.wire.transport.write(b"{]")
        await asyncio.sleep(0)
    await eventually(old.wire.transport.is_closing)


async def test_24_an_answer_that_comes_late_is_dropped(env, listener):
    channel = (
        await provider_of().build(TransportOptions(), env).dial(listener.addresses[0], deadline=env.clock.now() + 1)
    )
    outcome, running = Caller(channel, env).start(LATER, Text("a"))
    running.cancel(Fault(code="CANCELLED", message="enough", executed="unknown"))
    assert outcome.fault.message == "enough"
    again, _ = Caller(channel, env).start(LATER, Text("b"))
    await eventually(lambda: again.ended)
    assert (outcome.ended, channel.in_flight()) == (1, 0)
    await channel.aclose()


class Vendor:
    """An old vendor whose answers a test decides."""

    def __init__(self):
        self.requests, self.outcome, self.silent, self.pings = [], {"result": 1}, False, 0

    def served(self, packet, wire):
        if packet["type"] == "ping" and not self.silent:
            self.pings += 1
            wire.send({"pid": "p", "type": "pong", "node_id": packet["node_id"]})
        elif packet["type"] == "request":
            self.requests.append(packet)
            payload = {"request_id": packet["payload"]["request_id"], **self.outcome}
            wire.send(
                {"pid": "p", "to": packet["from"], "entity": packet["entity"], "type": "response", "payload": payload}
            )

    async def open(self):
        server = await asyncio.get_running_loop().create_server(
            lambda: Wire(lambda *said: self.served(*said)), "127.0.0.1", 0
        )
        self.server, self.port = server, server.sockets[0].getsockname()[1]
        return self

    @property
    def address(self):
        return OldAddress("127.0.0.1", self.port, "97ea30ea", "1").address()


@pytest.fixture
async def vendor():
    vendor = await Vendor().open()
    yield vendor
    vendor.server.close()


@pytest.fixture
async def caller(vendor, env):
    channel = await provider_of().build(TransportOptions(), env).dial(vendor.address, deadline=env.clock.now() + 1)
    yield Caller(channel, env)
    await channel.aclose()


async def ended(caller, endpoint=ECHO, text="grüß"):
    outcome, _ = caller.start(endpoint, Text(text))
    await eventually(lambda: outcome.ended)
    return outcome


async def test_an_old_vendor_is_asked_as_it_expects(vendor, caller):
    outcome = await ended(caller)
    assert json.loads(outcome.body) == 1
    (request,) = vendor.requests
    assert (request["name"], request["version"], request["endpoint"], request["to"]) == (
        "bench",
        "1",
        "echo",
        "97ea30ea",
    )
    assert (request["entity"], request["app"], request["payload"]["text"]) == ("ada", None, "grüß")


@pytest.mark.parametrize(
    ("outcome", "code", "told"),
    [
        ({"error": "boom 1", "failed": True}, "INTERNAL", "boom 1"),
        ({"error": "no such user"}, "APPLICATION", "no such user"),
        ({"error": "no such user", "failed": False}, "APPLICATION", "no such user"),
        ({"error": "", "failed": True}, "INTERNAL", "time limit"),
        ({"error": {"a": 1}, "failed": True}, "INTERNAL", '{"a": 1}'),
        ({}, "INTERNAL", "neither a result nor an error"),
    ],
)
async def test_what_an_old_vendor_answers_has_a_text_and_a_code(vendor, caller, outcome, code, told):
    vendor.outcome = outcome
    fault = (await ended(caller)).fault
    assert fault.code == code
    assert told in fault.message


async def test_a_deprecated_api_is_told_once(vendor, caller, caplog):
    vendor.outcome = {"result": 1, "old_api": "echo", "replacement_api": "shout"}
    await ended(caller)
    await ended(caller)
    assert [each.message for each in caplog.records if "Deprecated" in each.message] == [
        "Deprecated API: bench.echo, New API: shout"
    ]


async def test_11_calls_in_flight_fail_at_once_when_the_connection_is_lost(vendor, caller):
    vendor.served = lambda packet, wire: wire.transport.abort()
    outcome = await ended(caller, FAIL)
    assert (outcome.fault.code, outcome.fault.executed) == ("UNAVAILABLE", "unknown")
    assert caller.channel.retired.done()


async def test_a_vendor_that_does_not_answer_pings_is_given_up(vendor, caller):
    vendor.silent, vendor.served = True, lambda packet, wire: None
    outcome = await ended(caller)
    assert "has not answered" in outcome.fault.message


async def test_a_vendor_that_answers_pings_is_kept(vendor, caller):
    await eventually(lambda: vendor.pings == 4)
    assert not caller.channel.retired.done()


async def test_tens_of_kilobytes_of_anything_arrive(vendor, caller):
    vendor.outcome = {"result": ["x" * 1000] * 100}
    assert len(json.loads((await ended(caller)).body)) == 100


@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:1/n", "classic://127.0.0.1/n", "classic://127.0.0.1:1", "classic:n"])
def test_addresses_that_are_none_are_refused(uri):
    with pytest.raises(NotSupported, match="no address of the old wire"):
        read(uri)


def test_addresses_keep_whatever_ids_and_versions_are():
    at = OldAddress("::1", 4502, "a/b c", "1/2")
    assert read(at.address().uri) == at
