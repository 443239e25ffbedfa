"""What the kit has to be told of the back ends that ship: entry points of ``vyked_host.conformance``, as for anybody's."""

from __future__ import annotations

from .balancers import BalancerConformance
from .registries import RegistryConformance
from .results import ResultStoreConformance
from .transports import TransportConformance


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
