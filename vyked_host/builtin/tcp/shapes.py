"""What a REQUEST may do at each endpoint index, as small integers: 0 is the common case, and all the hot path asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ...contracts import EndpointDescription, Surface
from ...wire.table import callable_here

UNARY: Final = 0
OUT: Final = 1
"""The answer is a stream."""
IN: Final = 2
"""One argument is a stream."""
STREAM: Final = OUT | IN
CONTROL: Final = 4
"""Of the control lane: never shed, answered while draining."""
MISSING: Final = 8
"""Nothing there, or nothing that this protocol can call."""


def shape(endpoint: EndpointDescription | None) -> int:
    """The shape of one endpoint."""
    if endpoint is None or not callable_here(endpoint):
        return MISSING
    streams = (OUT if endpoint.kind.streams_out else 0) | (IN if endpoint.kind.streams_in else 0)
    return streams | (CONTROL if endpoint.lane == "control" else 0)


def shapes(surface: Surface) -> list[int]:
    """The shapes of all indexes."""
    return [shape(endpoint) for endpoint in surface.endpoints]


def plain(found: Iterable[int]) -> frozenset[int]:
    """Of all indexes, by their shapes: those about which nothing is out of the ordinary."""
    return frozenset(index for index, each in enumerate(found) if not each)
