"""The suite that every distribution has to pass."""

import pytest

from vyked_host.testing import PluginConformance


class TestPackaging(PluginConformance):
    @pytest.fixture
    def distribution(self) -> str:
        return "vyked-prometheus"
