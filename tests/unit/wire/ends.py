"""Two ends of a connection without a socket."""

from __future__ import annotations

from vyked_host.model.description import EndpointDescription, Kind, Surface
from vyked_host.model.settings import LimitsTable
from vyked_host.wire.connection import Connection
from vyked_host.wire.hello import Hello, Host, WireLimits
from vyked_host.wire.packets import HEADER, Role

HOST = Host(mesh="demo", node="a1", serializers=("msgpack", "json"), limits=WireLimits(in_flight=100))
HELLO = Hello(versions=(1,), mesh="demo", node="b2", serializers=("json",), callers=("accounts/1.0.0",))
SURFACE = Surface(
    revision=7,
    endpoints=(
        EndpointDescription(service="lab", version="1.0.0", name="echo", kind=Kind.UNARY, idempotent=True),
        None,
        EndpointDescription(service="lab", version="1.0.0", name="count", kind=Kind.SERVER_STREAM),
        EndpointDescription(service="lab", version="1.0.0", name="page", kind=Kind.HTTP),
    ),
)


def client(limits: LimitsTable | None = None) -> Connection:
    return Connection(Role.CLIENT, limits or LimitsTable())


def server(limits: LimitsTable | None = None) -> Connection:
    return Connection(Role.SERVER, limits or LimitsTable())


def opened(limits: LimitsTable | None = None) -> tuple[Connection, Connection]:
    """(client, server), introduced to each other."""
    one, other = client(limits), server(limits)
    other.receive(one.hello(HELLO))
    one.receive(other.welcome(HOST.welcome("json", SURFACE)))
    return one, other


def header(kind: int, length: int = 0, *, call_id: int = 0, flags: int = 0, reserved: int = 0, value: int = 0) -> bytes:
    """A header as anybody could send it."""
    return HEADER.pack(length, call_id, 0, 0, kind, flags, 1, reserved, value)
