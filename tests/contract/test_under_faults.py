"""The kit's cases for bad days, over the buses and the registry in a Redis server: a server for each, behind a proxy, and asked behind their backs."""

from __future__ import annotations

import pytest

from tests.faults.mesh import free_port
from tests.valkey import Valkey
from vyked_host.builtin.redis.options import BusOptions, RegistryOptions, StreamOptions
from vyked_host.builtin.redis.provider import vyked_pubsub_backends, vyked_registries
from vyked_host.testing import Proxy, RegistryUnderFaults, ServerFaults, UnderFaults

LOGS = ("appendonly yes", "appendfsync everysec")


def provider_of(name):
    return next(each for each in vyked_pubsub_backends() if each.name == name)


@pytest.fixture
def server(request):
    port = free_port()
    server = Valkey(f"port {port}", "bind 127.0.0.1", *getattr(request.cls, "LOGS", LOGS)).start()
    server.address = f"127.0.0.1:{port}"
    yield server
    server.close()


@pytest.fixture
async def way(server):
    async with Proxy(server.address) as proxy:
        yield proxy


class OverRedis(UnderFaults):
    @pytest.fixture
    def faults(self, server, way):
        return ServerFaults(server, way)


class Streams:
    """Peek at a stream."""

    def __init__(self, server):
        self._server = server

    @staticmethod
    def _stream(env, subscription):
        return f"vyked:{env.namespace}:{subscription.service}@{subscription.major}:{subscription.name}"

    async def waiting(self, env, subscription):
        told = self._server.ask("XPENDING", self._stream(env, subscription), str(subscription.group))
        return int(told.split(b"\r\n")[1][1:])

    async def put(self, env, subscription, junk):
        assert self._server.ask("XADD", self._stream(env, subscription), "*", "e", junk).startswith(b"$")


class Channels:
    """Peek at channels: nothing waits there."""

    def __init__(self, server):
        self._server = server

    async def put(self, env, subscription, junk):
        channel = f"vyked:{env.namespace}:{subscription.service}@{subscription.major}:{subscription.name}"
        assert self._server.ask("PUBLISH", channel, junk) == b":1\r\n"


class TestStreams(OverRedis):
    provider = pytest.fixture(lambda self: provider_of("redis-streams"))

    @pytest.fixture
    def options(self, way):
        return StreamOptions(url=f"redis://{way.address}/0", ack_wait=1.0)

    @pytest.fixture
    def peek(self, server):
        return Streams(server)


class TestPlain(OverRedis):
    provider = pytest.fixture(lambda self: provider_of("redis"))

    @pytest.fixture
    def options(self, way):
        return BusOptions(url=f"redis://{way.address}/0")

    @pytest.fixture
    def peek(self, server):
        return Channels(server)


class Hashes:
    """Peek at a registry."""

    def __init__(self, server):
        self._server = server

    @staticmethod
    def _key(mesh, part):
        return f"vyked:{{{mesh}}}:registry:{part}"

    async def nodes(self, mesh):
        told = self._server.ask("HKEYS", self._key(mesh, "records"))
        return {line.decode() for line in told.split(b"\r\n")[2::2]}

    async def put(self, mesh, node_id, junk):
        for part in ("lives", "records"):
            assert self._server.ask("HSET", self._key(mesh, part), node_id, junk) == b":1\r\n"


class TestRegistry(RegistryUnderFaults):
    provider = pytest.fixture(lambda self: vyked_registries()[0])

    @pytest.fixture
    def options(self, way):
        return RegistryOptions(url=f"redis://{way.address}/0")

    @pytest.fixture
    def faults(self, server, way):
        return ServerFaults(server, way)

    @pytest.fixture
    def peek(self, server):
        return Hashes(server)


class TestForgetfulRegistry(RegistryUnderFaults):
    """A server that knows nobody after its death."""

    LOGS = ("appendonly no",)
    provider, options, faults = TestRegistry.provider, TestRegistry.options, TestRegistry.faults

    async def test_nobody_is_gone_while_the_server_is_away_and_then_all_goes_on(self, faults, nodes):
        await super().test_nobody_is_gone_while_the_server_is_away_and_then_all_goes_on(faults, nodes, "kill")

    async def test_who_dies_while_the_server_is_away_is_found_out_when_it_is_back_and_nobody_else_is_gone(
        self, faults, nodes
    ):
        await super().test_who_dies_while_the_server_is_away_is_found_out_when_it_is_back_and_nobody_else_is_gone(
            faults, nodes, "kill"
        )

    peek = test_the_server_has_whom_was_announced_and_nobody_else = (
        test_what_is_no_record_is_nobody_and_ends_nothing
    ) = None
