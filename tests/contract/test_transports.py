"""The kit over tcp and http."""

import pytest

from vyked_host.builtin.http.options import Options as HttpOptions
from vyked_host.builtin.http.provider import vyked_transports as http_transports
from vyked_host.builtin.tcp.options import Options as TcpOptions
from vyked_host.builtin.tcp.provider import vyked_transports as tcp_transports
from vyked_host.testing import TransportConformance


class TestTcp(TransportConformance):
    @pytest.fixture
    def provider(self):
        return tcp_transports()[0]

    @pytest.fixture
    def options(self):
        return TcpOptions(port=0)


class TestHttp(TransportConformance):
    @pytest.fixture
    def provider(self):
        return http_transports()[0]

    @pytest.fixture
    def options(self):
        return HttpOptions(port=0)
