"""The kit over the embedded registry and bus."""

import pytest

from vyked_host.builtin.embedded import provider as embedded
from vyked_host.builtin.embedded.options import BusOptions
from vyked_host.testing import PubSubConformance, RegistryConformance


class TestEmbeddedRegistry(RegistryConformance):
    @pytest.fixture
    def provider(self):
        return embedded.vyked_registries()[0]


class TestEmbeddedBus(PubSubConformance):
    ack_wait_s = 0.2

    @pytest.fixture
    def provider(self):
        return embedded.vyked_pubsub_backends()[0]

    @pytest.fixture
    def options(self):
        return BusOptions(ack_wait=self.ack_wait_s)
