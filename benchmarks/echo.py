"""What every peer echoes, and under which circumstances."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec


class Row(msgspec.Struct, frozen=True):
    """A small, typical payload: each peer decodes it into this Struct and encodes it again, on both sides."""

    user_name: str
    n: int
    tags: list[str]
    f: float


ROW = Row("alice.liddell@home.example.org", 123456, ["red", "green", "blue"], 1.5)

Name = Literal["small", "k1", "k64", "64K"]
Handler = Literal["plain", "suspends"]
Loop = Literal["uvloop", "asyncio"]


class Payload(NamedTuple):
    """A value, its type, and the method of our own service that echoes it."""

    value: Any
    kind: Any
    method: str


PAYLOADS: dict[str, Payload] = {
    "small": Payload(ROW, Row, "row"),
    "k1": Payload([ROW] * 10, list[Row], "rows"),
    "k64": Payload([ROW] * 700, list[Row], "rows"),
    "64K": Payload("x" * 65536, str, "text"),
}
"""small: 95 bytes as compact JSON; k1: ten of those rows; k64: 700 of them; 64K: one string of 64 KiB."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The circumstances: the same for server and client of every peer. `variant` is one of `peers.variants`, of ours only."""

    payload: Name = "small"
    handler: Handler = "plain"
    connections: int = 1
    loop: Loop = "uvloop"
    variant: str = "all on"


SMALL = Case()
"""What is meant where nothing else is said."""


class Codec:
    """The codec of the peers that bring none of their own: msgpack, typed on both sides."""

    def __init__(self, case: Case) -> None:
        self.payload = PAYLOADS[case.payload]
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.msgpack.Decoder(self.payload.kind).decode
