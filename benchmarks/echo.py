"""What every peer echoes: one typed row, 95 bytes as compact JSON."""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True):
    """A small, typical payload: each peer decodes it into this Struct and encodes it again, on both sides."""

    user_name: str
    n: int
    tags: list[str]
    f: float


ROW = Row("alice.liddell@home.example.org", 123456, ["red", "green", "blue"], 1.5)

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Row).decode
"""The codec of the peers that bring none of their own."""
