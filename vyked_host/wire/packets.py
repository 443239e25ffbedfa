"""The header every packet starts with, the kinds of packet, and who may send which one when.

The tables are data: tests walk them, docs/wire-protocol.md shows them, and :mod:`connection` obeys them. Kinds and flags are
plain integers in the hot path; :class:`PacketKind` is for people.
"""

from __future__ import annotations

import struct
from enum import Enum, IntEnum
from typing import Any, Final

PROTOCOL_VERSION: Final = 1
"""What this implementation speaks; both ends agree on a version in the hello."""

HEADER: Final = struct.Struct("<IIHHBBBBI")
"""length of the payload, call id, endpoint, caller, kind, flags, attempt, reserved (0), value."""

HEADER_BYTES: Final = HEADER.size

META: Final = 1
"""Flag of a REQUEST: its payload starts with a u16 length and that many bytes of JSON, see :mod:`metadata`."""

PARTED: Final = 2
"""Flag of a REQUEST, RESPONSE or ITEM: its payload is the end of one that came before it in PIECEs, see :mod:`pieces`."""

LARGEST: Final = 0xFFFF_FFFF
"""The largest length, call id and value that a header can carry."""


class PacketKind(IntEnum):
    """What a packet is for."""

    HELLO = 1
    WELCOME = 2
    REQUEST = 3
    RESPONSE = 4
    FAULT = 5
    CANCEL = 6
    ITEM = 7
    END = 8
    CREDIT = 9
    PING = 10
    PONG = 11
    GOAWAY = 12
    SURFACE = 13
    REJECT = 14
    CHALLENGE = 15
    PROOF = 16
    PIECE = 17


BROKEN: Final = 0
"""Kind of the last packet of a connection whose peer broke the rules; never on the wire. Its body is the error."""

HELLO: Final = int(PacketKind.HELLO)
WELCOME: Final = int(PacketKind.WELCOME)
REQUEST: Final = int(PacketKind.REQUEST)
RESPONSE: Final = int(PacketKind.RESPONSE)
FAULT: Final = int(PacketKind.FAULT)
CANCEL: Final = int(PacketKind.CANCEL)
ITEM: Final = int(PacketKind.ITEM)
END: Final = int(PacketKind.END)
CREDIT: Final = int(PacketKind.CREDIT)
PING: Final = int(PacketKind.PING)
PONG: Final = int(PacketKind.PONG)
GOAWAY: Final = int(PacketKind.GOAWAY)
SURFACE: Final = int(PacketKind.SURFACE)
REJECT: Final = int(PacketKind.REJECT)
CHALLENGE: Final = int(PacketKind.CHALLENGE)
PROOF: Final = int(PacketKind.PROOF)
PIECE: Final = int(PacketKind.PIECE)

PAIRED: Final = struct.Struct("<IIHHHHI")
"""The same header with two pairs of bytes as one number each: kind with the flags above it, attempt with the reserved byte."""
BESIDE: Final = REQUEST | META << 8
"""Kind and flags of a REQUEST with a meta block, as such a number."""
pack_request = PAIRED.pack
"""The header of a REQUEST with nothing beside it, for who sends many: length, call id, endpoint, caller, kind, attempt, remaining ms."""
pack_answer = struct.Struct("<II12s").pack
"""The header of a RESPONSE, likewise: length, call id, ANSWER."""
ANSWER: Final = HEADER.pack(0, 0, 0, 0, RESPONSE, 0, 0, 0, 0)[8:]

Packet = tuple[int, int, int, int, int, int, Any, Any]
"""(kind, call id, endpoint, caller, attempt, value, meta, body). A plain tuple: one is made per message. `meta` is a
:class:`metadata.CallMeta` or None; `body` is bytes for REQUEST, RESPONSE and ITEM, the decoded Struct for the control kinds,
an errors.RemoteProtocolError for BROKEN, and None for kinds without a payload, and for a PIECE, which the connection keeps."""


class Role(Enum):
    """Which end of a connection this is: the client opened it and sends requests."""

    CLIENT = "client"
    SERVER = "server"


class State(Enum):
    """How far a connection is."""

    FRESH = "fresh"  # nothing was said
    GREETED = "greeted"  # HELLO is under way or being judged
    CHALLENGED = "challenged"  # the server wants proof of the mesh secret
    PROVEN = "proven"  # PROOF is under way or being judged
    OPEN = "open"
    CLOSED = "closed"  # rejected, or the peer broke the rules


_BOTH = frozenset({ITEM, CREDIT, PING, PONG, GOAWAY, PIECE})

SENDS: Final[dict[tuple[Role, State], frozenset[int]]] = {
    (Role.CLIENT, State.FRESH): frozenset({HELLO}),
    (Role.CLIENT, State.GREETED): frozenset({GOAWAY}),
    (Role.CLIENT, State.CHALLENGED): frozenset({PROOF, GOAWAY}),
    (Role.CLIENT, State.PROVEN): frozenset({GOAWAY}),
    (Role.CLIENT, State.OPEN): _BOTH | {REQUEST, CANCEL, END},
    (Role.CLIENT, State.CLOSED): frozenset(),
    (Role.SERVER, State.FRESH): frozenset({REJECT, GOAWAY}),
    (Role.SERVER, State.GREETED): frozenset({WELCOME, CHALLENGE, REJECT, GOAWAY}),
    (Role.SERVER, State.CHALLENGED): frozenset({REJECT, GOAWAY}),
    (Role.SERVER, State.PROVEN): frozenset({WELCOME, REJECT, GOAWAY}),
    (Role.SERVER, State.OPEN): _BOTH | {RESPONSE, FAULT, SURFACE},
    (Role.SERVER, State.CLOSED): frozenset(),
}
"""(role, state) -> the kinds that this end may send."""

RECEIVES: Final[dict[tuple[Role, State], frozenset[int]]] = {
    # a server may turn a client away before it has seen the HELLO
    (Role.CLIENT, State.FRESH): frozenset({REJECT, GOAWAY}),
    (Role.CLIENT, State.GREETED): frozenset({WELCOME, CHALLENGE, REJECT, GOAWAY}),
    (Role.CLIENT, State.CHALLENGED): frozenset({REJECT, GOAWAY}),
    (Role.CLIENT, State.PROVEN): frozenset({WELCOME, REJECT, GOAWAY}),
    (Role.CLIENT, State.OPEN): SENDS[Role.SERVER, State.OPEN],
    (Role.CLIENT, State.CLOSED): frozenset(),
    (Role.SERVER, State.FRESH): frozenset({HELLO}),
    (Role.SERVER, State.GREETED): frozenset({GOAWAY}),
    (Role.SERVER, State.CHALLENGED): frozenset({PROOF, GOAWAY}),
    (Role.SERVER, State.PROVEN): frozenset({GOAWAY}),
    (Role.SERVER, State.OPEN): SENDS[Role.CLIENT, State.OPEN],
    (Role.SERVER, State.CLOSED): frozenset(),
}
"""(role, state) -> the kinds that this end accepts; anything else breaks the connection."""

NEXT: Final[dict[tuple[State, int], State]] = {
    (State.FRESH, HELLO): State.GREETED,
    (State.FRESH, REJECT): State.CLOSED,
    (State.GREETED, WELCOME): State.OPEN,
    (State.GREETED, REJECT): State.CLOSED,
    (State.GREETED, CHALLENGE): State.CHALLENGED,
    (State.CHALLENGED, PROOF): State.PROVEN,
    (State.CHALLENGED, REJECT): State.CLOSED,
    (State.PROVEN, WELCOME): State.OPEN,
    (State.PROVEN, REJECT): State.CLOSED,
}
"""(state, kind sent or received) -> the next state; every other legal kind leaves the state as it is."""

HOT: Final = frozenset({REQUEST, RESPONSE, ITEM})
"""Kinds whose payload is an opaque body: no look inside is needed."""

BARE: Final = frozenset({CANCEL, END, CREDIT, PING, PONG})
"""Kinds that have no payload at all."""


def kind_name(kind: int) -> str:
    """``REQUEST``, or ``kind 77`` for what nobody knows."""
    return PacketKind(kind).name if kind in _KNOWN else f"kind {kind}"


_KNOWN = frozenset(PacketKind)
