"""The suites that every distribution and every bus has to pass, against a real server."""

from contextlib import asynccontextmanager

import nats
import pytest
from nats.js.errors import NoKeysError
from vyked_nats.conformance import JetStream, NatsRegistry
from vyked_nats.options import BusOptions, JetStreamOptions, RegistryOptions, TransportOptions
from vyked_nats.plugin import vyked_pubsub_backends, vyked_registries, vyked_transports

from vyked_host.contracts import Provider, PubSub, Registry, Transport
from vyked_host.testing import (
    PluginConformance,
    Proxy,
    PubSubConformance,
    RegistryUnderFaults,
    ServerFaults,
    TransportConformance,
    UnderFaults,
)


class TestNats(PubSubConformance):
    @pytest.fixture
    def provider(self) -> Provider[PubSub]:
        provider, _ = vyked_pubsub_backends()
        return provider

    @pytest.fixture
    def options(self, shared) -> BusOptions:
        return BusOptions(url=shared.url)


class TestJetStream(JetStream):
    @pytest.fixture
    def provider(self) -> Provider[PubSub]:
        _, provider = vyked_pubsub_backends()
        return provider

    @pytest.fixture
    def options(self, shared) -> JetStreamOptions:
        return JetStreamOptions(url=shared.url, **self.settings)


class Stranger:
    """A connection of nats-py alone, to the server itself."""

    def __init__(self, server):
        self._url = server.url

    @staticmethod
    def subject(env, wanted, kind):
        return f"vyked.{env.namespace}.{kind}.{wanted.service}.{wanted.major}.{wanted.name}"


class Stream(Stranger):
    """Peek at what JetStream keeps."""

    async def waiting(self, env, wanted):
        client = await nats.connect(self._url)
        consumer = f"{wanted.service}@{wanted.major}+{wanted.name}+{wanted.group}"
        told = await client.jetstream().consumer_info(f"vyked+{env.namespace}+events", consumer)
        await client.close()
        return told.num_pending + told.num_ack_pending

    async def put(self, env, wanted, junk):
        client = await nats.connect(self._url)
        await client.jetstream().publish(self.subject(env, wanted, "kept"), junk)
        await client.close()


class Subjects(Stranger):
    """Core NATS keeps nothing."""

    async def put(self, env, wanted, junk):
        client = await nats.connect(self._url)
        await client.publish(self.subject(env, wanted, "event"), junk)
        await client.flush()
        await client.close()


class OverNats(UnderFaults):
    """A server for each case, behind a proxy."""

    @pytest.fixture
    async def way(self, server):
        async with Proxy(f"127.0.0.1:{server.port}") as way:
            yield way

    @pytest.fixture
    def faults(self, server, way):
        return ServerFaults(server, way)


class TestJetStreamUnderFaults(OverNats):
    @pytest.fixture
    def provider(self) -> Provider[PubSub]:
        _, provider = vyked_pubsub_backends()
        return provider

    @pytest.fixture
    def options(self, way) -> JetStreamOptions:
        return JetStreamOptions(url=f"nats://{way.address}", **JetStream.settings)

    @pytest.fixture
    def peek(self, server):
        return Stream(server)


class TestNatsUnderFaults(OverNats):
    @pytest.fixture
    def provider(self) -> Provider[PubSub]:
        provider, _ = vyked_pubsub_backends()
        return provider

    @pytest.fixture
    def options(self, way) -> BusOptions:
        return BusOptions(url=f"nats://{way.address}")

    @pytest.fixture
    def peek(self, server):
        return Subjects(server)


class TestRegistry(NatsRegistry):
    @pytest.fixture
    def provider(self) -> Provider[Registry]:
        (provider,) = vyked_registries()
        return provider

    @pytest.fixture
    def options(self, shared) -> RegistryOptions:
        return RegistryOptions(url=shared.url)


class Bucket(Stranger):
    """Peek at the bucket of a registry, with the key-value client of nats-py."""

    @asynccontextmanager
    async def _opened(self, mesh):
        client = await nats.connect(self._url)
        yield await client.jetstream().key_value(f"vyked_{mesh}_nodes")
        await client.close()

    async def nodes(self, mesh):
        async with self._opened(mesh) as bucket:
            try:
                keys = await bucket.keys()
            except NoKeysError:
                return set()
        return {key.removeprefix("life.") for key in keys if key.startswith("life.")}

    async def put(self, mesh, node_id, junk):
        async with self._opened(mesh) as bucket:
            await bucket.put(f"life.{node_id}", junk)
            await bucket.put(f"record.{node_id}.x", junk)


class TestRegistryUnderFaults(RegistryUnderFaults):
    way, faults = OverNats.way, OverNats.faults
    provider = TestRegistry.provider

    @pytest.fixture
    def options(self, way) -> RegistryOptions:
        return RegistryOptions(url=f"nats://{way.address}")

    @pytest.fixture
    def peek(self, server):
        return Bucket(server)


class TestTransport(TransportConformance):
    @pytest.fixture
    def provider(self) -> Provider[Transport]:
        (provider,) = vyked_transports()
        return provider

    @pytest.fixture
    def options(self, shared) -> TransportOptions:
        return TransportOptions(url=shared.url)


class TestPackaging(PluginConformance):
    @pytest.fixture
    def distribution(self) -> str:
        return "vyked-nats"
