"""What travels: two lengths (u32, big endian), a letter as JSON, and a body in the serializer that was agreed on."""

import asyncio
import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from vyked_host.contracts import Fault

LENGTHS = struct.Struct(">II")
LARGEST_LETTER = 1 << 20


class Row(msgspec.Struct):
    index: int
    service: str
    version: str
    name: str
    kind: int
    idempotent: bool


class Hello(msgspec.Struct, tag=True):
    mesh: str
    node: str
    serializers: list[str]


class Welcome(msgspec.Struct, tag=True):
    node: str
    serializer: str


class Refused(msgspec.Struct, tag=True):
    why: str


class Table(msgspec.Struct, tag=True):
    revision: int
    rows: list[Row]


class Leaving(msgspec.Struct, tag=True):
    pass


class Request(msgspec.Struct, tag=True):
    id: int
    endpoint: int
    left_s: float
    attempt: int
    caller: str = ""
    entity: str | None = None
    key: str | None = None
    metadata: str | None = None


class Result(msgspec.Struct, tag=True):
    id: int


class Failed(msgspec.Struct, tag=True):
    id: int
    fault: Fault


class Cancel(msgspec.Struct, tag=True):
    id: int
    fault: Fault


class Item(msgspec.Struct, tag=True):
    id: int


class End(msgspec.Struct, tag=True):
    id: int


class Credit(msgspec.Struct, tag=True):
    id: int
    items: int


Letter = Hello | Welcome | Refused | Table | Leaving | Request | Result | Failed | Cancel | Item | End | Credit
_decode = msgspec.json.Decoder(Letter).decode


class Line(asyncio.Protocol):
    """One connection. `received` is told each letter, `lost` once why it is over."""

    def __init__(self, largest_body: int, received: Callable[[Any, bytes], None], lost: Callable[[str], None]) -> None:
        self._largest, self._received, self._lost = largest_body, received, lost
        self._waiting = bytearray()
        self._wire: asyncio.Transport | None = None
        self._why = "the connection was lost"
        self.gone = asyncio.Event()

    @property
    def peer(self) -> str:
        found = self._wire.get_extra_info("peername") if self._wire else None
        return "{}:{}".format(*found) if found else ""

    def connection_made(self, transport) -> None:
        self._wire = transport

    def connection_lost(self, exc) -> None:
        self._wire = None
        self._lost(self._why)
        self.gone.set()

    def pause_writing(self) -> None:
        self._wire.pause_reading()  # who does not read us is not read

    def resume_writing(self) -> None:
        self._wire.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        try:
            for letter, body in self._letters():
                self._received(letter, body)
        except ValueError as error:
            self.close(f"a letter that can't be read: {error}")

    def _letters(self) -> Iterator[tuple[Any, bytes]]:
        while len(self._waiting) >= LENGTHS.size:
            head, tail = LENGTHS.unpack_from(self._waiting)
            if head > LARGEST_LETTER or tail > self._largest:
                raise ValueError(f"{head} and {tail} bytes are more than is read here")
            start, stop = LENGTHS.size + head, LENGTHS.size + head + tail
            if len(self._waiting) < stop:
                return
            letter, body = _decode(self._waiting[LENGTHS.size : start]), bytes(self._waiting[start:stop])
            del self._waiting[:stop]
            yield letter, body

    def send(self, letter: Any, body: bytes = b"") -> None:
        if self._wire is not None:
            head = msgspec.json.encode(letter)
            self._wire.write(b"".join((LENGTHS.pack(len(head), len(body)), head, body)))

    def close(self, why: str) -> bool:
        """What was sent is flushed first. True: it was open, `gone` tells when it no longer is."""
        self._why = why
        if self._wire is None:
            return False
        self._wire.close()
        return True
