"""Who may call what: ``[services.X] allow``, and the control lane, which is for members of the mesh alone. Asked only of such
endpoints; others pay nothing for it."""

from __future__ import annotations

from ..contracts.trust import MEMBERSHIP
from ..errors import Code
from ..model.identity import allowed
from ..model.message import Call
from .routes import Route


def forbidden(route: Route, call: Call) -> tuple[Code, str] | None:
    """Why `call` may not be run at `route`, or None. Calls inside this process are its own: they have no peer."""
    if call.peer is None:
        return None
    if route.endpoint.lane == "control" and not call.peer.is_member:
        return "UNAUTHENTICATED", f"{route.endpoint.path} is for members of the mesh: {MEMBERSHIP}"
    if not route.allow:
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
