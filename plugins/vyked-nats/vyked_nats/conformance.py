"""What the kit has to be told of these back ends: entry points of ``vyked_host.conformance``."""

from __future__ import annotations

from vyked_host.testing import PubSubConformance, RegistryConformance


class JetStream(PubSubConformance):
    """A mesh for each case: a server sets `max_bytes` aside for each, and has room for few of the default's."""

    settings = {"ack_wait": 1.0, "max_bytes": 64 << 20}
    ack_wait_s = 1.0


class NatsRegistry(RegistryConformance):
    """Times are real: it speaks to a server."""

    virtual_time, examples, steps = False, 4, 12
