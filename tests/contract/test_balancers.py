"""The kit over random, round_robin and hash."""

import pytest

from vyked_host.builtin.balancers.provider import vyked_balancers
from vyked_host.testing import BalancerConformance


class TestRandom(BalancerConformance):
    @pytest.fixture
    def provider(self):
        return next(each for each in vyked_balancers() if each.name == "random")


class TestRoundRobin(BalancerConformance):
    @pytest.fixture
    def provider(self):
        return next(each for each in vyked_balancers() if each.name == "round_robin")


class TestHash(BalancerConformance):
    affine = True

    @pytest.fixture
    def provider(self):
        return next(each for each in vyked_balancers() if each.name == "hash")
