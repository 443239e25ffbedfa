"""``/-/surface``: what a node exposes, as JSON, so that others can dial it; and the same read back."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ...contracts import DeclaredError, EndpointDescription, Kind, Surface
from ...model.version import PATTERN

PROTOCOL = 1
_KINDS = frozenset(kind.value for kind in Kind)


class EndpointEntry(msgspec.Struct, omit_defaults=True):
    """One endpoint; types stay at home."""

    service: str
    version: Annotated[str, Meta(pattern=PATTERN)]
    name: str
    kind: int
    idempotent: bool = False
    timeout_s: float | None = None
    raises: tuple[tuple[str, int], ...] = ()
    deprecated: bool = False
    replacement: str = ""
    stream_parameter: str = ""
    results: str = ""


class Directory(msgspec.Struct):
    """What a dialler has to know of a node."""

    protocol: int
    node_id: str
    mesh: str
    revision: int
    serializers: tuple[str, ...]
    endpoints: tuple[EndpointEntry | None, ...]


def encode(surface: Surface, node_id: str, mesh: str, serializers: tuple[str, ...]) -> bytes:
    """The directory of `surface` as JSON."""
    entries = tuple(None if each is None else _entry(each) for each in surface.endpoints)
    return msgspec.json.encode(Directory(PROTOCOL, node_id, mesh, surface.revision, serializers, entries))


def foreign(node_id: str, mesh: str) -> Directory:
    """Of an HTTP server that is no host: nothing is known of it, and it takes requests to its routes only."""
    return Directory(PROTOCOL, node_id, mesh, 0, ("json",), ())


_decode = msgspec.json.Decoder(Directory).decode


def decode(body: bytes) -> Directory:
    """The directory in `body`. Raises ValueError when it is none."""
    try:
        return _decode(body)
    except RecursionError:
        raise ValueError("its surface is nested too deeply") from None


def surface_of(directory: Directory) -> Surface:
    """The surface that a directory describes, without types. Endpoints of a kind that is not known here are left out."""
    endpoints = tuple(None if each is None else _description(each) for each in directory.endpoints)
    return Surface(revision=directory.revision, endpoints=endpoints)


def _entry(endpoint: EndpointDescription) -> EndpointEntry:
    return EndpointEntry(
        service=endpoint.service,
        version=endpoint.version,
        name=endpoint.name,
        kind=endpoint.kind.value,
        idempotent=endpoint.idempotent,
        timeout_s=endpoint.timeout_s,
        raises=tuple((each.code, each.status) for each in endpoint.raises),
        deprecated=endpoint.deprecated,
        replacement=endpoint.replacement,
        stream_parameter=endpoint.stream_parameter,
        results=endpoint.results,
    )


def _description(entry: EndpointEntry) -> EndpointDescription | None:
    if entry.kind not in _KINDS:
        return None
    fields: dict[str, Any] = msgspec.structs.asdict(entry)
    fields["kind"] = Kind(entry.kind)
    fields["raises"] = tuple(DeclaredError(code=code, status=status) for code, status in entry.raises)
    return EndpointDescription(**fields, keyed=bool(entry.results))
