"""Options of the embedded registry and bus."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MIB = 1 << 20


class RegistryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[registry.embedded]``."""

    address: Annotated[
        str,
        Meta(
            description="where hosts of one mesh on this machine will meet; this release keeps the registry inside the "
            "process and opens no port"
        ),
    ] = "127.0.0.1:4500"


class BusOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[pubsub.embedded]``."""

    address: Annotated[
        str | None,
        Meta(
            description="HOST:PORT where the hosts of one mesh meet, the same for all of them; default: where the registry is; "
            '"none": events stay inside this process'
        ),
    ] = None
    path: Annotated[
        str | None,
        Meta(
            description="file in which events wait for @xsubscribe, so that they outlive the process; relative to vyked.toml",
        ),
    ] = None
    memory: Annotated[
        int, Meta(ge=8 * MIB, description="bytes for all events that wait for @xsubscribe; full: publishing waits")
    ] = 64 * MIB
    queue: Annotated[
        int, Meta(ge=1, description="events that wait for one @subscribe handler; full: the oldest goes")
    ] = 1024
    ack_wait: Annotated[
        float, Meta(gt=0, description="seconds until an event that was not settled is delivered again")
    ] = 30.0
