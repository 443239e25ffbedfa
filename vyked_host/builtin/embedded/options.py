"""Options of the embedded registry and bus."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MIB = 1 << 20
_PORT = r"([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
PLACE = rf"^(none|(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?):{_PORT})$"
"""``HOST:PORT``, ``[::1]:PORT`` or ``none``."""


class RegistryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[registry.embedded]``."""

    address: Annotated[
        Annotated[str, Meta(pattern=PLACE, description='"HOST:PORT", or "none"')] | None,
        Meta(
            description='where the hosts of a mesh meet; "none": this process alone; default: 127.0.0.1:4500, or when another '
            "mesh is there a port that follows from the mesh's name"
        ),
    ] = None


class BusOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[pubsub.embedded]``."""

    address: (
        Annotated[
            str,
            Meta(
                pattern=PLACE,
                description='"HOST:PORT" where the hosts of a mesh meet for events, or "none": events stay inside this process; '
                "default: as for the registry",
            ),
        ]
        | None
    ) = None
    path: Annotated[
        str | None,
        Meta(
            description="file in which events wait for @xsubscribe, so that they outlive the process; relative to vyked.toml",
        ),
    ] = None
    keep: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(
            description="seconds for which everything that is published is kept in that file, for replay: at most a million events; "
            "default: it is not"
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

    def __post_init__(self) -> None:
        if self.keep is not None and self.path is None:
            raise ValueError("keep says how long events stay in a file: it needs path")
