"""``[transports.tcp]``: what may be set, with defaults."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

DEFAULT_PORT = 4502


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the TCP transport."""

    host: Annotated[str, Meta(min_length=1, description="anything but loopback needs [security]")] = "127.0.0.1"
    port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | None,
        Meta(description="absent: 4502, or a free port when that is taken; 0: a free one"),
    ] = None
    advertise: Annotated[
        Annotated[str, Meta(pattern=r"^(\[[0-9A-Fa-f:.%]+\]|[^:/\s]+)(:[0-9]{1,5})?$")] | None,
        Meta(description='HOST[:PORT] that others dial, such as "10.0.0.7:4502"; default: what is bound'),
    ] = None
    unix: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="folder, relative to vyked.toml, where it also listens on a Unix socket of its own: hosts on this machine call "
            "over that; absent: over TCP as all others"
        ),
    ] = None
    serializer: Annotated[
        str, Meta(min_length=1, description="msgpack, json or an installed one; what this host offers first")
    ] = "msgpack"
