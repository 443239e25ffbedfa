"""How the payload of each kind of packet is read, and how large it may be where it is no message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from . import packets
from .faults import FAULT_BYTES, read_fault
from .hello import (
    TABLE_BYTES,
    read_challenge,
    read_goaway,
    read_hello,
    read_proof,
    read_reject,
    read_surface,
    read_welcome,
)

READ: Final[dict[int, Callable[[bytes], Any]]] = {
    packets.HELLO: read_hello,
    packets.CHALLENGE: read_challenge,
    packets.PROOF: read_proof,
    packets.WELCOME: read_welcome,
    packets.REJECT: read_reject,
    packets.SURFACE: read_surface,
    packets.GOAWAY: read_goaway,
    packets.FAULT: read_fault,
}
"""Kind -> what makes a Struct of its payload; raises RemoteProtocolError."""

CAPS: Final = {packets.WELCOME: TABLE_BYTES, packets.SURFACE: TABLE_BYTES, packets.FAULT: FAULT_BYTES,
               packets.REJECT: FAULT_BYTES, packets.GOAWAY: FAULT_BYTES, **dict.fromkeys(packets.BARE, 0)}  # fmt: skip
"""Kind -> the most bytes of its payload."""

ENDS_PIECES: Final = frozenset({packets.FAULT, packets.CANCEL, packets.END})
"""Kinds after which the rest of a payload of their call will not come."""

SIGNED: Final = frozenset({packets.HELLO, packets.CHALLENGE})
"""Kinds whose payload a proof of the mesh secret signs."""

STRANGERS: Final = frozenset({packets.HELLO, packets.CHALLENGE, packets.PROOF})
"""Kinds that somebody sends who has proven nothing yet: `[limits] hello` holds for them."""
