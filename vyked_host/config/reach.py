"""Do events get as far as calls do? The embedded bus meets at this machine unless it is told where; a registry in a server finds hosts
wherever they are."""

from __future__ import annotations

from collections.abc import Iterable

from ..model.description import ServiceDescription
from ..model.settings import Settings

EMBEDDED = "embedded"
AT_HOME = frozenset({EMBEDDED, "static"})
"""Registries that know no more than this file says: where they meet, or who is there."""
REMEDY = (
    'choose a bus that these hosts share, such as [pubsub] use = "redis-streams" or "nats-jetstream"; where one machine is meant, say '
    'so: [pubsub.embedded] address = "127.0.0.1:4500"'
)


def shortfall(settings: Settings, services: Iterable[ServiceDescription]) -> str:
    """What events of these services can't do that their calls can, in words; "" when there is nothing."""
    registry = settings.registry.use.rpartition(":")[2]
    if registry in AT_HOME or settings.pubsub.use.rpartition(":")[2] != EMBEDDED:
        return ""
    is_told_where = getattr(settings.pubsub.options, "address", None) is not None
    if is_told_where or not any(each.events or each.subscriptions or each.enqueues for each in services):
        return ""
    return f"the registry {registry!r} finds hosts on any machine, and events of the bus {EMBEDDED!r} reach only those on this one"
