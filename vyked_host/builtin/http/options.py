"""``[transports.http]``: what may be set, with defaults."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

DEFAULT_PORT = 4501
NAME = r"^(\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)$"
"""A name of a host without scheme and port; ".shop.example" stands for all below it, "*" for any."""


class Cors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pages of other origins may use these routes from a browser."""

    origins: Annotated[
        tuple[str, ...],
        Meta(description='such as "https://shop.example"; "*" allows every origin, but never credentials'),
    ] = ()
    headers: Annotated[tuple[str, ...], Meta(description="request headers that a page may set")] = (
        "Accept",
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "Vyked-Timeout-Ms",
    )
    expose: Annotated[tuple[str, ...], Meta(description="response headers that a page may read")] = ("Retry-After",)
    credentials: Annotated[bool, Meta(description="pages may send cookies")] = False
    max_age: Annotated[int, Meta(ge=0, description="seconds that a browser may remember a preflight")] = 600


class Sockets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one WebSocket may do."""

    messages: Annotated[
        Annotated[int, Meta(ge=1)] | Literal["none"],
        Meta(description="messages a second that a peer may send, on average over 10 s; pings and fragments count"),
    ] = 100
    grace: Annotated[
        float, Meta(ge=0, description="seconds that a handler may go on after its socket was closed by the peer")
    ] = 5.0


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the HTTP transport."""

    host: Annotated[str, Meta(description="anything but loopback needs [security]")] = "127.0.0.1"
    port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | None,
        Meta(description="absent: 4501, or a free port when taken; 0: a free one"),
    ] = None
    advertise: Annotated[str | None, Meta(description='HOST:PORT that others dial, such as "10.0.0.7:4501"')] = None
    hosts: Annotated[
        tuple[
            Annotated[
                str,
                Meta(
                    pattern=NAME,
                    description='a name without scheme and port, "." in front of one for those below it, or "*"',
                ),
            ],
            ...,
        ]
        | None,
        Meta(
            description='names that requests may ask for, such as "shop.example" or ".shop.example"; "*": any. Absent: on a loopback '
            "bind `host` and `advertise`, else any. Addresses and localhost always are"
        ),
    ] = None
    cors: Annotated[Cors, Meta(description="pages of other origins")] = Cors()
    websocket: Annotated[Sockets, Meta(description="bounds of each WebSocket")] = Sockets()
    allow_cross_domain: Annotated[bool, Meta(description='the same as cors.origins = ["*"], as Vyked 2.x had it')] = (
        False
    )
    serializer: Annotated[str, Meta(description="what this host encodes its own calls with")] = "json"
    client_certificates: Annotated[
        Literal["none", "optional", "required"],
        Meta(
            description="where [security.tls] is set: optional lets browsers use routes, and hosts of the mesh prove "
            "themselves; none: they prove the secret; required: nobody without one connects"
        ),
    ] = "optional"
    pool: Annotated[int, Meta(ge=1, description="connections kept to one node")] = 32

    def allowed_origins(self) -> frozenset[str]:
        """Every origin that may read answers; ``*`` stands for all."""
        return frozenset({*self.cors.origins, *(["*"] if self.allow_cross_domain else [])})
