"""Options: what every part needs to reach the servers, and what each adds."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MIB = 1 << 20
ENVELOPE_BYTES = 64 << 10
"""Room for what stands in an envelope beside the body: headers, key, names."""
LARGEST = MIB - ENVELOPE_BYTES
"""Bytes of a body: with its envelope it fits into the 1 MiB that a server takes by default (max_payload)."""
HIDDEN = "***"


class ServerOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the servers are reached."""

    url: Annotated[
        str,
        Meta(
            description="nats:// or tls:// addresses of the servers, with commas between: nats://USER:PASSWORD@HOST:4222 "
            'or nats://TOKEN@HOST; better "${NATS_URL}" than a password in this file'
        ),
    ] = "nats://127.0.0.1:4222"
    credentials: Annotated[str, Meta(description="path of a .creds file, for servers that use JWT and NKeys")] = ""
    ca: Annotated[
        str, Meta(description="path of the authorities that servers are checked against; empty: the system's")
    ] = ""
    certificate: Annotated[
        str, Meta(description="path of this host's certificate, for servers that ask for one (verify = true)")
    ] = ""
    key: Annotated[str, Meta(description="path of the key to that certificate")] = ""
    prefix: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="first part of every subject, before the mesh's name")
    ] = "vyked"

    micro: Annotated[
        bool, Meta(description="answer NATS tools that ask for micro services ($SRV.PING, INFO, STATS)")
    ] = True

    def __repr__(self) -> str:
        # the url may hold a password, and whoever prints options should not have to know
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "url")
        return f"{type(self).__name__}(url={HIDDEN!r}, {', '.join(shown)})"


class BusOptions(ServerOptions, frozen=True, forbid_unknown_fields=True):
    """``[pubsub.nats]``."""

    outbox: Annotated[
        int, Meta(ge=2 * MIB, description="bytes of events that wait for the server; full: publishing is refused")
    ] = 8 * MIB
    queue: Annotated[
        int, Meta(ge=1, description="events that wait for one @subscribe handler; full: the oldest goes")
    ] = 1024

    def __repr__(self) -> str:
        return super().__repr__()


class JetStreamOptions(BusOptions, frozen=True, forbid_unknown_fields=True):
    """``[pubsub.nats-jetstream]``."""

    ack_wait: Annotated[
        float,
        Meta(
            gt=0,
            description="seconds until an event that was not settled goes to another instance; [timing] scale applies",
        ),
    ] = 30.0
    keep: Annotated[
        float,
        Meta(
            gt=0,
            description="seconds for which events are kept that every group has handled, for replay and for hosts that come back",
        ),
    ] = 60.0
    dedupe: Annotated[
        float,
        Meta(gt=0, description="seconds in which an event that is published again under its id goes out once"),
    ] = 120.0
    replicas: Annotated[
        int, Meta(ge=1, le=5, description="servers of a cluster that keep each event; when the streams are made")
    ] = 1
    max_bytes: Annotated[
        int,
        Meta(ge=MIB, description="bytes of all events that are kept; full: publishing is refused; when they are made"),
    ] = 1024 * MIB

    def __repr__(self) -> str:
        return super().__repr__()


class RegistryOptions(ServerOptions, frozen=True, forbid_unknown_fields=True):
    """``[registry.nats]``."""

    replicas: Annotated[
        int, Meta(ge=1, le=5, description="servers of a cluster that keep the registry; when it is made")
    ] = 1

    def __repr__(self) -> str:
        return super().__repr__()


class TransportOptions(ServerOptions, frozen=True, forbid_unknown_fields=True):
    """``[transports.nats]``."""

    serializer: Annotated[
        str, Meta(min_length=1, description="msgpack, json or an installed one; what this host offers first")
    ] = "msgpack"

    def __repr__(self) -> str:
        return super().__repr__()
