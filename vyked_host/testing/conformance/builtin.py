"""What the kit has to be told of the back ends that ship: entry points of ``vyked_host.conformance``, as for anybody's."""

from __future__ import annotations

import pytest

from .balancers import BalancerConformance
from .company import Company
from .registries import RegistryConformance
from .results import ResultStoreConformance
from .transports import TransportConformance


class HubFaults:
    """`Faults` of a registry that is at the hub: `kill` is the end of its holder, after which another begins with nothing."""

    def __init__(self, nodes: Company) -> None:
        self._nodes = nodes

    async def cut(self) -> None:
        """Its server is one of the nodes, which is there for itself."""
        pytest.skip("one of the nodes keeps this registry: it can die, but not be away from all of them")

    pause = cut

    async def kill(self) -> None:
        """The term ends."""
        await self._nodes.hub.end()

    async def restore(self) -> None:
        """The next begins by itself."""


class EmbeddedRegistry(RegistryConformance):
    """It is at the hub, which the kit can take away."""

    @pytest.fixture
    def faults(self, nodes: Company) -> HubFaults:
        """What can be done to the hub."""
        return HubFaults(nodes)


class Hash(BalancerConformance):
    """The same entity goes to the same instance."""

    affine = True


class Local(TransportConformance):
    """Calls within one process."""

    unfit = "it has no other end: who calls and who is called are one node"


class RedisRegistry(RegistryConformance):
    """Times are real: it speaks to a server."""

    virtual_time, examples, steps = False, 4, 12


class SharedResults(ResultStoreConformance):
    """Whoever has the same options has the same results."""

    shared = True


class Static(RegistryConformance):
    """Addresses out of vyked.toml."""

    unfit = "nodes don't announce themselves to it: it knows the addresses that the file gives"
