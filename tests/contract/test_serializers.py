"""The kit over json and msgpack."""

import pytest

from vyked_host.builtin.serializers.provider import vyked_serializers
from vyked_host.testing import SerializerConformance


class TestJson(SerializerConformance):
    @pytest.fixture
    def provider(self):
        return next(each for each in vyked_serializers() if each.name == "json")


class TestMsgpack(SerializerConformance):
    @pytest.fixture
    def provider(self):
        return next(each for each in vyked_serializers() if each.name == "msgpack")
