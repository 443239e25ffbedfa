"""What service and plugin authors test with. Shipped, and never imported by a running host.

`running(...)` runs services against each other; the `...Conformance` classes are suites to inherit from: an author writes
one fixture, `provider`. `eventually`, `environment` and `leaks` serve other tests of plugins. Needs the extra
``vyked-host[testing]``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conformance.balancers import BalancerConformance as BalancerConformance
    from .conformance.cases import needs as needs
    from .conformance.cases import since as since
    from .conformance.faulted import Faults as Faults
    from .conformance.faulted import Peek as Peek
    from .conformance.faulted import ServerFaults as ServerFaults
    from .conformance.faulted import UnderFaults as UnderFaults
    from .conformance.middlewares import MiddlewareConformance as MiddlewareConformance
    from .conformance.plugins import PluginConformance as PluginConformance
    from .conformance.pubsub import PubSubConformance as PubSubConformance
    from .conformance.registries import RegistryConformance as RegistryConformance
    from .conformance.registry_faults import RegistryPeek as RegistryPeek
    from .conformance.registry_faults import RegistryUnderFaults as RegistryUnderFaults
    from .conformance.results import ResultStoreConformance as ResultStoreConformance
    from .conformance.serializers import SerializerConformance as SerializerConformance
    from .conformance.transports import TransportConformance as TransportConformance
    from .leftovers import leaks as leaks
    from .memory_net import MemoryNet as MemoryNet
    from .mesh import Mesh as Mesh
    from .mesh import running as running
    from .proxy import Proxy as Proxy
    from .surroundings import environment as environment
    from .waiting import eventually as eventually

_HOME = {
    "BalancerConformance": "conformance.balancers",
    "Faults": "conformance.faulted",
    "MemoryNet": "memory_net",
    "Mesh": "mesh",
    "MiddlewareConformance": "conformance.middlewares",
    "Peek": "conformance.faulted",
    "PluginConformance": "conformance.plugins",
    "Proxy": "proxy",
    "PubSubConformance": "conformance.pubsub",
    "RegistryConformance": "conformance.registries",
    "RegistryPeek": "conformance.registry_faults",
    "RegistryUnderFaults": "conformance.registry_faults",
    "ResultStoreConformance": "conformance.results",
    "SerializerConformance": "conformance.serializers",
    "ServerFaults": "conformance.faulted",
    "TransportConformance": "conformance.transports",
    "UnderFaults": "conformance.faulted",
    "environment": "surroundings",
    "eventually": "waiting",
    "leaks": "leftovers",
    "needs": "conformance.cases",
    "running": "mesh",
    "since": "conformance.cases",
}

__all__ = [
    "BalancerConformance", "Faults", "MemoryNet", "Mesh", "MiddlewareConformance", "Peek", "PluginConformance", "Proxy", "PubSubConformance",
    "RegistryConformance", "RegistryPeek", "RegistryUnderFaults", "ResultStoreConformance", "SerializerConformance", "ServerFaults", "TransportConformance", "UnderFaults", "environment",
    "eventually", "leaks", "needs", "running", "since",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
