"""The suites that every distribution and every serializer has to pass."""

import pytest
from vyked_cbor.plugin import vyked_serializers

from vyked_host.contracts import Provider, Serializer
from vyked_host.testing import PluginConformance, SerializerConformance


class TestCbor(SerializerConformance):
    @pytest.fixture
    def provider(self) -> Provider[Serializer]:
        (provider,) = vyked_serializers()
        return provider


class TestPackaging(PluginConformance):
    @pytest.fixture
    def distribution(self) -> str:
        return "vyked-cbor"
