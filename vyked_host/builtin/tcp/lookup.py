"""Finding an endpoint in what a node said it serves; not in the hot path, callers remember the index per channel."""

from __future__ import annotations

from ...contracts import EndpointDescription, Surface
from ...errors import NotFound
from ...model.version import compatible, parse


def find(surface: Surface, wanted: EndpointDescription, node_id: str) -> int:
    """The index of the highest compatible version of `wanted`. Raises NotFound naming what the node has instead."""
    found = [
        (parse(each.version).key(), index)
        for index, each in enumerate(surface.endpoints)
        if each is not None
        and (each.service, each.name) == (wanted.service, wanted.name)
        and compatible(each.version, wanted.version or None)
    ]
    if found:
        return max(found)[1]
    named = f"{wanted.path} {wanted.version}".rstrip()
    text = f"{named} does not exist at node {node_id}; {_instead(surface, wanted)}"
    raise NotFound(text, service=wanted.service, method=wanted.name, executed="not_executed")


def _instead(surface: Surface, wanted: EndpointDescription) -> str:
    served = [each for each in surface.endpoints if each is not None]
    same = [each for each in served if each.service == wanted.service]
    versions = sorted({each.version for each in same if each.name == wanted.name})
    if versions:
        return f"it has {wanted.path} in version {', '.join(versions)}"
    if same:
        return f"{wanted.service} has {_names(each.name for each in same)}"
    return f"it has the services {_names(each.service for each in served)}"


def _names(names: object) -> str:
    return ", ".join(sorted(set(names))) or "none"  # type: ignore[call-overload]
