"""Options of what is kept at, or goes over, a Redis server."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MIB = 1 << 20
HIDDEN = "***"


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[pubsub.redis-streams]``."""

    url: Annotated[str, Meta(description="as in [pubsub.redis]")] = "redis://127.0.0.1:6379/0"
    prefix: Annotated[
        str, Meta(pattern=r"^[!-~]{1,64}$", description="first part of every key, before the mesh's name")
    ] = "vyked"
    outbox: Annotated[
        int, Meta(ge=2 * MIB, description="bytes of events that wait for the server; full: publishing is refused")
    ] = 8 * MIB
    queue: Annotated[
        int, Meta(ge=1, description="events that wait for one @subscribe handler; full: the oldest goes")
    ] = 1024
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
        Meta(
            ge=0,
            description="seconds for which an id that a publisher gave is known: published again, the event goes to nobody",
        ),
    ] = 600.0

    durability: Annotated[
        Literal["process", "disk"],
        Meta(description='"disk": a server that does not log its commands (appendonly yes) is refused at start'),
    ] = "process"

    def __repr__(self) -> str:
        shown = f"prefix={self.prefix!r}, outbox={self.outbox}, queue={self.queue}, ack_wait={self.ack_wait}, keep={self.keep}, durability={self.durability!r}, dedupe={self.dedupe}"
        return f"StreamOptions(url={HIDDEN!r}, {shown})"


class BusOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[pubsub.redis]``."""

    url: Annotated[
        str,
        Meta(
            description="redis://, rediss:// (TLS) or unix:// address of the server, with user, password and database: "
            "rediss://USER:PASSWORD@HOST:6379/0, or of several: redis+sentinel://HOST:26379,HOST:26379/MASTER, "
            'redis+cluster://HOST:6379,HOST:6379; better "${REDIS_URL}" than a password in this file'
        ),
    ] = "redis://127.0.0.1:6379/0"
    prefix: Annotated[
        str, Meta(pattern=r"^[!-~]{1,64}$", description="first part of every channel, before the mesh's name")
    ] = "vyked"
    outbox: Annotated[
        int, Meta(ge=2 * MIB, description="bytes of events that wait for the server; full: publishing is refused")
    ] = 8 * MIB
    queue: Annotated[
        int, Meta(ge=1, description="events that wait for one @subscribe handler; full: the oldest goes")
    ] = 1024

    def __repr__(self) -> str:
        # the url may hold a password, and whoever prints options should not have to know
        return f"BusOptions(url={HIDDEN!r}, prefix={self.prefix!r}, outbox={self.outbox}, queue={self.queue})"


class ResultOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[results.redis]``."""

    url: Annotated[str, Meta(description="as in [pubsub.redis]")] = "redis://127.0.0.1:6379/0"
    prefix: Annotated[
        str, Meta(pattern=r"^[!-~]{1,64}$", description="first part of every key, before the mesh's name")
    ] = "vyked"
    keep: Annotated[float, Meta(gt=0, description="seconds for which a result is given again under its key")] = 86_400.0

    def __repr__(self) -> str:
        return f"ResultOptions(url={HIDDEN!r}, prefix={self.prefix!r}, keep={self.keep})"


class RegistryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[registry.redis]``."""

    url: Annotated[str, Meta(description="as in [pubsub.redis]")] = "redis://127.0.0.1:6379/0"
    prefix: Annotated[
        str, Meta(pattern=r"^[!-~]{1,64}$", description="first part of every key and channel, before the mesh's name")
    ] = "vyked"

    def __repr__(self) -> str:
        return f"RegistryOptions(url={HIDDEN!r}, prefix={self.prefix!r})"
