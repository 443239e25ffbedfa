"""Why a call or a connection did not come about, as the caller hears it."""

from __future__ import annotations

from ...contracts import Code, Fault
from ...errors import NotSupported, PermissionDenied, Refused, Unauthenticated, Unavailable, VykedError
from ...wire.alerts import PLAIN, in_words
from ...wire.hello import Reject
from .sockets import cause


def not_sent(code: Code, message: str) -> Fault:
    """A call that no byte was sent of."""
    return Fault(code=code, message=message, executed="not_sent")


def refused(reject: Reject, peer: str) -> VykedError:
    """A REJECT: NotSupported where the two have nothing in common, Unauthenticated or PermissionDenied where this host is not
    let in, else Refused - another node may do."""
    text = f"{peer} refused the connection: {reject.message}"
    if reject.reason in ("version", "serializer"):
        return NotSupported(text)
    if reject.reason == "secret":
        return Unauthenticated(text, executed="not_sent")
    if reject.reason == "identity":
        return PermissionDenied(text, executed="not_sent")
    return Refused(text, reason=reject.reason)


def not_connected(uri: str, error: OSError, *, secure: bool) -> VykedError:
    """The dial failed: NotSupported where no TLS is spoken, Unauthenticated where a certificate was the reason, else Unavailable.
    `secure`: TLS was begun."""
    words = in_words(error)
    if words == PLAIN:
        return NotSupported(f"{uri}: {words}")
    if words:
        return Unauthenticated(f"{uri}: {words}", executed="not_sent")
    if secure and isinstance(error, (ConnectionResetError, ConnectionAbortedError)):
        why = "the connection was closed during the TLS handshake: no version of TLS in common, or none is spoken there"
        return Unavailable(f"{uri}: {why}", executed="not_sent")
    return Unavailable(f"{uri}: {cause(error)}", executed="not_sent")
