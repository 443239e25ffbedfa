"""The endpoint table: a Surface as rows of JSON, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from ..errors import LocalProtocolError
from ..model.description import EndpointDescription, Kind, Surface
from ..model.version import PATTERN

LARGEST_INDEX = 0xFFFF

_TYPED = {kind.value: kind for kind in (Kind.UNARY, Kind.SERVER_STREAM, Kind.CLIENT_STREAM, Kind.BOTH_WAYS)}


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row. `kind` is the number of a model.description.Kind, 1 to 4; `lane` is "normal" or "control"; `replacement` is what to
    call instead of what is deprecated, as its author wrote it; `results` names the store where what calls with an idempotency key gave is kept."""

    index: Annotated[int, Meta(ge=0, le=LARGEST_INDEX)]
    service: str
    version: Annotated[str, Meta(pattern=PATTERN)]
    name: str
    kind: int = 1
    idempotent: bool = False
    lane: str = "normal"
    deprecated: bool = False
    replacement: str = ""
    results: str = ""


def callable_here(endpoint: EndpointDescription | None) -> bool:
    """Can it be called over this protocol? Raw HTTP and WebSocket endpoints can't."""
    return endpoint is not None and endpoint.kind.value in _TYPED


def table(surface: Surface) -> tuple[Entry, ...]:
    """The rows for what can be called over this protocol. Raises LocalProtocolError beyond 65,536 endpoints."""
    if len(surface.endpoints) > LARGEST_INDEX + 1:
        raise LocalProtocolError(f"{len(surface.endpoints)} endpoints: the header has room for {LARGEST_INDEX + 1}")
    return tuple(
        _row(index, endpoint)
        for index, endpoint in enumerate(surface.endpoints)
        if endpoint is not None and callable_here(endpoint)
    )


def _row(index: int, endpoint: EndpointDescription) -> Entry:
    return Entry(
        index=index, service=endpoint.service, version=endpoint.version, name=endpoint.name,
        kind=endpoint.kind.value, idempotent=endpoint.idempotent, lane=endpoint.lane,
        deprecated=endpoint.deprecated, replacement=endpoint.replacement, results=endpoint.results,
    )  # fmt: skip


def surface(revision: int, entries: Iterable[Entry]) -> Surface:
    """The rows as a Surface again. Rows of a kind that is not known here are skipped."""
    found = {entry.index: _describe(entry) for entry in entries if entry.kind in _TYPED}
    endpoints = tuple(found.get(index) for index in range(max(found, default=-1) + 1))
    return Surface(revision=revision, endpoints=endpoints)


def _describe(entry: Entry) -> EndpointDescription:
    return EndpointDescription(
        service=entry.service, version=entry.version, name=entry.name, kind=_TYPED[entry.kind],
        idempotent=entry.idempotent, lane="control" if entry.lane == "control" else "normal",
        deprecated=entry.deprecated, replacement=entry.replacement, keyed=bool(entry.results), results=entry.results,
    )  # fmt: skip
