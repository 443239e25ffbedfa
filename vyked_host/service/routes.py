"""What @get and the others say -> the routes of an endpoint, and the faults they can have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..model.description import EndpointDescription, HttpBinding, Kind
from .endpoints import Route
from .places import Place, of_member
from .shapes import Shape
from .sockets import SocketShape
from .subscriptions import WebSocketRoute

_VARIABLE = re.compile(r"\{([A-Za-z_]\w*)((?::(?:[^{}]|\{[^{}]*\})*)?)\}")


def bindings(name: str, routes: Sequence[Route], shape: Shape, place: Place) -> tuple[HttpBinding, ...]:
    """The routes of the endpoint `name`. Raises UsageError for a path that can't be."""
    found = [
        HttpBinding(method=route.method, path=path, required_params=route.required_params, status=route.status)
        for route in routes
        for path in route.paths or (f"/{name}",)
    ]
    for each in found:
        _check_path(each.path, place)
        if shape.kind is not Kind.HTTP and not shape.untyped:
            known = [each for each in (*shape.positional, *shape.keyword) if each != shape.stream_parameter]
            _check_variables(each.path, known, place)
        if not 100 <= each.status <= 599:
            raise place.fault(f"status={each.status} is no HTTP status", "give one from 200 to 599")
    return tuple(found)


def socket_bindings(sockets: Iterable[WebSocketRoute], shape: SocketShape, place: Place) -> tuple[HttpBinding, ...]:
    """The routes of a WebSocket. Raises UsageError for a path that can't be."""
    found = [
        HttpBinding(method="GET", path=path, required_params=socket.required_params, origins=socket.origins)
        for socket in sockets
        for path in socket.paths
    ]
    known = [each for each in (*shape.positional, *shape.keyword) if each != shape.parameter]
    for each in found:
        _check_path(each.path, place)
        if shape.parameter and not shape.per_message:
            _check_variables(each.path, known, place)
    return tuple(found)


def _check_path(path: str, place: Place) -> None:
    if not path.startswith("/"):
        raise place.fault(f"the path {path!r} is not absolute", f"write '/{path}'")
    rest = _VARIABLE.sub("", path)
    if "{" in rest or "}" in rest:
        raise place.fault(f"the path {path!r} has a brace that belongs to no variable", "write {name} or {name:regex}")


def _check_variables(path: str, known: Sequence[str], place: Place) -> None:
    for name, _pattern in _VARIABLE.findall(path):
        if name not in known:
            raise place.fault(
                f"the path {path!r} has {{{name}}}, which is no parameter", f"it has: {', '.join(known) or 'none'}"
            )


def normal(path: str) -> str:
    """`path` with its variables' names left out: two paths of the same normal form match the same requests."""
    return _VARIABLE.sub(lambda found: f"{{{found[2]}}}", path)


def check_duplicates(cls: type[object], endpoints: Iterable[EndpointDescription]) -> None:
    """Raises UsageError when two endpoints of a class have the same route."""
    seen: dict[tuple[str, str], str] = {}
    for endpoint in endpoints:
        for each in endpoint.http:
            first = seen.setdefault((each.method, normal(each.path)), endpoint.name)
            if first != endpoint.name:
                body = getattr(vars(cls).get(endpoint.name), "body", None)
                raise of_member(cls, endpoint.name, body).fault(
                    f"{each.method} {each.path} is already the route of {first}", "give one of them another path"
                )
