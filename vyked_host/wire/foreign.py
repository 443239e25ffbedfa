"""What else may arrive where a packet was expected, by its first bytes: whoever reads the log learns what to set."""

from __future__ import annotations

from typing import Final

from .packets import State

TLS: Final = frozenset({b"\x15\x03", b"\x16\x03"})
"""An alert or a handshake of any version, RFC 8446 5.1."""

_HTTP: Final = frozenset({b"GET", b"POST", b"HEAD", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PRI", b"CONNECT", b"HTTP/1.1"})  # fmt: skip


def unexpected(name: str, peer: str, state: State, header: bytes) -> str:
    """Why a packet called `name` of a `peer` is not legal in `state`."""
    if state is State.FRESH and header[:8].split(b" ")[0] in _HTTP:
        return "this is HTTP, and this port speaks the native protocol of vyked-host"
    if state in (State.FRESH, State.GREETED) and header[:2] in TLS:
        return "this is TLS, and it is not spoken here: set [security] tls at both ends"
    return f"{name} is not legal for a {peer} while the connection is {state.value}"
