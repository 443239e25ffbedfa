"""Options of what this plugin offers: the tables of vyked.toml."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65535)]
Bytes = Annotated[int, Meta(ge=1024)]
DEFAULT_PORT = 4503


class TransportOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[transports.classic]``."""

    host: Annotated[str, Meta(description="address to listen at")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port to listen at; 0: a free one")] = DEFAULT_PORT
    advertise: Annotated[
        str | None, Meta(description="HOST or HOST:PORT that others dial, where it is not the one listened at")
    ] = None
    packet: Annotated[Bytes, Meta(description="bytes of one packet that is read")] = 1 << 20
    registry: Annotated[
        str | None,
        Meta(
            description="HOST:PORT where old processes register, such as 127.0.0.1:4500; absent: they don't register here"
        ),
    ] = None
    registry_cert: Annotated[str | None, Meta(description="path of a certificate for it, PEM; absent: no TLS")] = None
    registry_key: Annotated[str | None, Meta(description="path of its key, PEM")] = None
    trust_host: Annotated[
        bool, Meta(description="take the address that an old process says it has, instead of the one it connects from")
    ] = False
    redis: Annotated[
        str | None,
        Meta(
            description='redis:// address where old processes publish; absent: events stay apart; better "${REDIS_URL}"'
        ),
    ] = None
    dialect: Annotated[
        Literal["N", "S"],
        Meta(
            description="how to speak to peers that have not spoken yet: N (last development version), S (release 2.1.91)"
        ),
    ] = "N"


class RegistryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[registry.classic]``: this host as one of the services of an old registry."""

    host: Annotated[str, Meta(description="address of the registry")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="port of the registry")] = 4500
    dialect: Annotated[
        Literal["N", "S"], Meta(description="of the registry: N (last development version), S (release 2.1.91)")
    ] = "N"
    versions: Annotated[
        dict[str, str],
        Meta(
            description="service = its version as it stands on the wire, where that is not the shortest form (1 for 1.0.0)"
        ),
    ] = {}
    kinds: Annotated[
        dict[str, list[Literal["tcp", "http"]]],
        Meta(
            description="service = as what it registers; default: tcp where this host has [transports.classic], else http"
        ),
    ] = {}
    packet: Annotated[Bytes, Meta(description="bytes of one packet that is read")] = 1 << 20


class BusOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[pubsub.classic]``."""

    url: Annotated[
        str, Meta(description='redis:// address of the server; better "${REDIS_URL}" where it has a password')
    ] = "redis://127.0.0.1:6379"
    outbox: Annotated[
        int, Meta(ge=1 << 16, description="bytes of events that wait for the server; full: publishing is refused")
    ] = 8 << 20
    queue: Annotated[int, Meta(ge=1, description="events that wait for one handler; full: the oldest goes")] = 1024

    def __repr__(self) -> str:
        # the url may hold a password
        return f"BusOptions(url='***', outbox={self.outbox}, queue={self.queue})"
