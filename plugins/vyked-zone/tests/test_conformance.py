"""The suites that every distribution and every balancer has to pass."""

import pytest
from vyked_zone.plugin import Plugin

from vyked_host.contracts import Balancer, Provider
from vyked_host.testing import BalancerConformance, PluginConformance


class TestZone(BalancerConformance):
    @pytest.fixture
    def provider(self) -> Provider[Balancer]:
        (provider,) = Plugin().vyked_balancers()
        return provider


class TestPackaging(PluginConformance):
    @pytest.fixture
    def distribution(self) -> str:
        return "vyked-zone"
