"""Where each parameter of a route comes from: decided once, when the route is made.

A name in the path template is taken from the path; a marker (`Query`, `Header`, `Cookie`, `Body`) decides; what is left comes
from the query for GET, HEAD, DELETE, OPTIONS and TRACE, and where the body is a stream; else it is a field of the body.
One place each, never "here or there".
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from ...contracts import EndpointDescription, HttpBinding
from ...errors import UsageError
from ...model.http import Body, Cookie, Header, Query

Place = Literal["path", "query", "header", "cookie", "field", "body"]
WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
_TEMPLATE = re.compile(r"\{([^{}:]+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")
_SEVERAL = (list, tuple, set, frozenset)


class Source(NamedTuple):
    """One parameter: its name, where it comes from, under which key, whether it may be repeated."""

    name: str
    place: Place
    key: str
    several: bool
    field: Any  # msgspec.structs.FieldInfo

    @property
    def where(self) -> str:
        """How people are told of it."""
        if self.place == "field":
            return f"body field {self.key!r}"
        return "the body" if self.place == "body" else f"{self.place} parameter {self.key!r}"


def sources(endpoint: EndpointDescription, binding: HttpBinding) -> tuple[Source, ...]:
    """The sources of the parameters of `endpoint` on one route, in order. Raises UsageError for a route that can't work."""
    if endpoint.arguments is None:
        return ()
    fields = msgspec.structs.fields(endpoint.arguments)
    in_path = frozenset(path_names(binding.path))
    missing = in_path - {field.name for field in fields}
    if missing:
        raise UsageError(
            f"{endpoint.path}: the path {binding.path!r} names {', '.join(sorted(missing))}, but the method has no such parameter"
        )
    in_query = binding.method in WITHOUT_BODY or endpoint.kind.streams_in
    found = tuple(_source(field, in_path, "query" if in_query else "field") for field in fields)
    _check_body(endpoint, binding, found, in_query)
    return found


def path_names(path: str) -> Iterable[str]:
    """The names in a path template: ``/users/{name}`` and ``/files/{tail:.*}``."""
    return _TEMPLATE.findall(path)


def _source(field: Any, in_path: frozenset[str], otherwise: Place) -> Source:
    marker = _marker(field.type)
    several = _is_several(field.type)
    if field.name in in_path:
        return Source(field.name, "path", field.name, False, field)
    match marker:
        case Query(name=name):
            return Source(field.name, "query", name or field.encode_name, several, field)
        case Header(name=name):
            return Source(field.name, "header", name or field.name.replace("_", "-"), several, field)
        case Cookie(name=name):
            return Source(field.name, "cookie", name or field.name, False, field)
        case Body():
            return Source(field.name, "body", field.name, False, field)
    return Source(field.name, otherwise, field.encode_name, several and otherwise == "query", field)


def _marker(shape: Any) -> Any:
    extras = get_args(shape)[1:] if get_origin(shape) is Annotated else ()
    return next((extra for extra in extras if isinstance(extra, Query | Header | Cookie | Body)), None)


def _is_several(shape: Any) -> bool:
    origin = get_origin(shape)
    if origin is Annotated:
        return _is_several(get_args(shape)[0])
    if origin in (typing.Union, types.UnionType):
        return any(_is_several(each) for each in get_args(shape))
    return (origin or shape) in _SEVERAL


def _check_body(endpoint: EndpointDescription, binding: HttpBinding, found: tuple[Source, ...], no_body: bool) -> None:
    whole = [source.name for source in found if source.place == "body"]
    fields = [source.name for source in found if source.place == "field"]
    route = f"{endpoint.path} ({binding.method} {binding.path})"
    if whole and no_body:
        raise UsageError(f"{route}: {whole[0]!r} is Body(), but such a request has no body to read")
    if len(whole) > 1 or (whole and fields):
        raise UsageError(
            f"{route}: {whole[0]!r} is the whole body, so {', '.join(whole[1:] + fields)} can't be in it; mark it Query() or Header()"
        )
