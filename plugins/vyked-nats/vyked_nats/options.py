"""Options of the bus over NATS."""

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


class BusOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[pubsub.nats]``."""

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
    prefix: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="first part of every subject, before the mesh's name")
    ] = "vyked"
    outbox: Annotated[
        int, Meta(ge=2 * MIB, description="bytes of events that wait for the server; full: publishing is refused")
    ] = 8 * MIB
    queue: Annotated[
        int, Meta(ge=1, description="events that wait for one @subscribe handler; full: the oldest goes")
    ] = 1024

    def __repr__(self) -> str:
        # the url may hold a password, and whoever prints options should not have to know
        shown = f"credentials={self.credentials!r}, prefix={self.prefix!r}, outbox={self.outbox}, queue={self.queue}"
        return f"BusOptions(url={HIDDEN!r}, {shown})"
