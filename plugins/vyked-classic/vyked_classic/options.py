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
    dialect: Annotated[
        Literal["N", "S"],
        Meta(
            description="how to speak to peers that have not spoken yet: N (last development version), S (release 2.1.91)"
        ),
    ] = "N"
