"""The suites that every distribution and every bus has to pass, against a real server."""

import pytest
from vyked_nats.conformance import JetStream, NatsRegistry
from vyked_nats.options import BusOptions, JetStreamOptions, RegistryOptions, TransportOptions
from vyked_nats.plugin import vyked_pubsub_backends, vyked_registries, vyked_transports

from vyked_host.contracts import Provider, PubSub, Registry, Transport
from vyked_host.testing import PluginConformance, PubSubConformance, TransportConformance


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


class TestRegistry(NatsRegistry):
    @pytest.fixture
    def provider(self) -> Provider[Registry]:
        (provider,) = vyked_registries()
        return provider

    @pytest.fixture
    def options(self, shared) -> RegistryOptions:
        return RegistryOptions(url=shared.url)


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
