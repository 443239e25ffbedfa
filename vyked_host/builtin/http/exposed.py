"""One endpoint as this transport exposes it: its index and its codecs for every serializer, bound once; raw endpoints need none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...contracts import Codec, EndpointDescription, Kind, Serializer


class Exposed:
    """An endpoint, and what encodes and decodes for it. `inbound` is empty unless the request is a stream."""

    __slots__ = ("arguments", "endpoint", "inbound", "index", "results")

    def __init__(self, index: int, endpoint: EndpointDescription, serializers: Mapping[str, Serializer]) -> None:
        self.index, self.endpoint = index, endpoint
        typed = {} if endpoint.kind in (Kind.HTTP, Kind.WEBSOCKET) else serializers
        self.arguments = codecs_of(endpoint.arguments, typed)
        self.results = codecs_of(endpoint.result, typed)
        self.inbound = codecs_of(endpoint.inbound, serializers) if endpoint.kind.streams_in else {}


def codecs_of(shape: Any, serializers: Mapping[str, Serializer]) -> dict[str, Codec]:
    """Serializer name -> codec of `shape`."""
    return {name: serializer.codec(shape) for name, serializer in serializers.items()}
