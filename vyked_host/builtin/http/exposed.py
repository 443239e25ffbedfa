"""One endpoint as this transport exposes it: its index and its codecs for every serializer, bound once; raw endpoints need none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...contracts import Codec, EndpointDescription, Kind, Serializer

DEFAULT_TIMEOUT_S = 10.0
LONGEST_S = 600.0


class Exposed:
    """An endpoint, and what encodes and decodes for it. `inbound` is empty unless the request is a stream."""

    __slots__ = ("arguments", "endpoint", "inbound", "index", "results", "timeout_s")

    def __init__(self, index: int, endpoint: EndpointDescription, serializers: Mapping[str, Serializer]) -> None:
        self.index, self.endpoint = index, endpoint
        self.timeout_s = longest(endpoint)
        typed = {} if endpoint.kind in (Kind.HTTP, Kind.WEBSOCKET) else serializers
        self.arguments = codecs_of(endpoint.arguments, typed)
        self.results = codecs_of(endpoint.result, typed)
        self.inbound = codecs_of(endpoint.inbound, serializers) if endpoint.kind.streams_in else {}


def longest(endpoint: EndpointDescription) -> float:
    """Seconds that a call may take whose caller says nothing of it."""
    streams = endpoint.kind.streams_out or endpoint.kind.streams_in
    return endpoint.timeout_s or (LONGEST_S if streams else DEFAULT_TIMEOUT_S)


def codecs_of(shape: Any, serializers: Mapping[str, Serializer]) -> dict[str, Codec]:
    """Serializer name -> codec of `shape`."""
    return {name: serializer.codec(shape) for name, serializer in serializers.items()}
