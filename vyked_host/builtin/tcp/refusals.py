"""Why a call or a connection did not come about, as the caller hears it."""

from __future__ import annotations

from ...contracts import Code, Fault
from ...errors import NotSupported, PermissionDenied, Unauthenticated, Unavailable, VykedError
from ...wire.hello import Reject


def not_sent(code: Code, message: str) -> Fault:
    """A call that no byte was sent of."""
    return Fault(code=code, message=message, executed="not_sent")


def refused(reject: Reject, peer: str) -> VykedError:
    """A REJECT: NotSupported where the two have nothing in common, Unauthenticated or PermissionDenied where this host is not
    let in, else Unavailable - another node may do."""
    text = f"{peer} refused the connection: {reject.message}"
    if reject.reason in ("version", "serializer"):
        return NotSupported(text)
    if reject.reason == "secret":
        return Unauthenticated(text, executed="not_sent")
    if reject.reason == "identity":
        return PermissionDenied(text, executed="not_sent")
    return Unavailable(text, executed="not_sent")
