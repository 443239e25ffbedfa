"""The suites that every distribution and every bus has to pass, against a real server."""

import pytest
from vyked_nats.options import BusOptions
from vyked_nats.plugin import vyked_pubsub_backends

from vyked_host.contracts import Provider, PubSub
from vyked_host.testing import PluginConformance, PubSubConformance


class TestNats(PubSubConformance):
    @pytest.fixture
    def provider(self) -> Provider[PubSub]:
        (provider,) = vyked_pubsub_backends()
        return provider

    @pytest.fixture
    def options(self, shared) -> BusOptions:
        return BusOptions(url=shared.url)


class TestPackaging(PluginConformance):
    @pytest.fixture
    def distribution(self) -> str:
        return "vyked-nats"
