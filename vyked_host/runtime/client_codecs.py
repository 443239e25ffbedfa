"""What a client encodes and decodes: one endpoint under one serializer, bound when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..model.description import EndpointDescription, Kind
from .codecs import AS_IS, Codecs


class ClientCodecs:
    """Encode arguments, decode results, encode stream items: under one serializer."""

    __slots__ = ("decode", "encode", "encode_item")

    def __init__(self, endpoint: EndpointDescription, codecs: Codecs, name: str) -> None:
        if endpoint.kind in (Kind.HTTP, Kind.WEBSOCKET):
            self.encode: Callable[[Any], Any] = _request
            self.decode: Callable[[Any], Any] = AS_IS.decode
            self.encode_item: Callable[[Any], Any] = AS_IS.encode
            return
        inbound = endpoint.inbound if endpoint.kind.streams_in else Any
        if name == "object":
            self.encode = codecs.handed_over(endpoint.arguments).encode
            self.decode = codecs.answered(endpoint.result).encode
            self.encode_item = codecs.answered(inbound).encode
        else:
            self.encode = codecs.bind(endpoint.arguments, name).encode
            self.decode = codecs.bind(endpoint.result, name).decode
            self.encode_item = codecs.bind(inbound, name).encode


def _request(arguments: Any) -> Any:
    """A raw request as a mapping, whoever described it."""
    return msgspec.structs.asdict(arguments) if isinstance(arguments, msgspec.Struct) else arguments
