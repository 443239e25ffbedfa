"""The kit over our own distribution."""

import pytest

from vyked_host.testing import PluginConformance


class TestVykedHost(PluginConformance):
    @pytest.fixture
    def distribution(self):
        return "vyked-host"
