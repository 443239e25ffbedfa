"""Who may call what: ``[services.X] allow``. Asked only where an endpoint has such a list; others pay nothing for it."""

from __future__ import annotations

from ..errors import Code
from ..model.identity import allowed
from ..model.message import Call
from .routes import Route


def forbidden(route: Route, call: Call) -> tuple[Code, str] | None:
    """Why `call` may not be run at `route`, or None. Calls inside this process are its own: they have no peer."""
    if not route.allow or call.peer is None:
        return None
    who, endpoint = call.peer.identity, route.endpoint
    if allowed(who, route.allow):
        return None
    if who is None:
        return (
            "UNAUTHENTICATED",
            f"{endpoint.path} is for callers with an identity ([services.{endpoint.service}] allow)",
        )
    return "PERMISSION_DENIED", f"{endpoint.path}: {who} may not call it ([services.{endpoint.service}] allow)"
