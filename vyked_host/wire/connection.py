"""One connection without its socket: bytes to packets, packets to bytes (:mod:`speaking`), and the rules of who may say what when.

Rules: (1) the packets that come out depend on the bytes alone, never on how they were cut into chunks; (2) what breaks the
rules is found at the header, before its payload is waited for; (3) a peer at fault ends the stream of packets with one
BROKEN packet, after the good ones before it; (4) our own misuse raises LocalProtocolError and sends nothing.
"""

from __future__ import annotations

from typing import Any, Final

from ..errors import RemoteProtocolError
from ..model.settings import LimitsTable
from . import packets
from .foreign import TLS, unexpected
from .framing import Leftover
from .hello import cap
from .metadata import CallMeta, split
from .packets import HEADER, HEADER_BYTES, HOT, META, PARTED, RECEIVES, Packet, Role, State, kind_name
from .payloads import CAPS, ENDS_PIECES, READ, SIGNED, STRANGERS
from .pieces import Assembly
from .proof import framed
from .speaking import Speaking

_REQUEST, _PIECE = packets.REQUEST, packets.PIECE
_unpack = HEADER.unpack_from
_unpack_paired, _ATTEMPTS, _BESIDE = packets.PAIRED.unpack_from, 255, packets.BESIDE

AT_ONCE_BYTES: Final = 16 << 10
"""A body up to here is one packet that waits for nothing; what is larger takes its turn in an :class:`outbox.Outbox`."""


class Connection(Speaking):
    """Both roles. `at_once`: the most that does not wait for its turn; `incomplete`: part of a frame has arrived and the rest has not. It is `closed`
    once it was rejected, or somebody broke the rules."""

    __slots__ = (
        "_assembly",
        "_hello_cap",
        "_hot",
        "_left",
        "_message_cap",
        "_most",
        "_receives",
        "at_once",
        "incomplete",
    )

    def __init__(self, role: Role, limits: LimitsTable) -> None:
        self.at_once = AT_ONCE_BYTES
        self._hello_cap = cap(limits.hello)
        self._message_cap = cap(limits.message)
        self._most = HEADER_BYTES + self._message_cap
        self._left = Leftover()
        self.incomplete = False
        self._assembly = Assembly(self._message_cap)
        super().__init__(role)

    @property
    def hears_tls(self) -> bool:
        """What has arrived so far looks like TLS: an alert is shorter than a header."""
        return self._left.begins() in TLS

    # ---- in ----------------------------------------------------------------------------------------------------------
    def receive(self, data: bytes) -> list[Packet]:
        """The packets that `data` completes, in order. After a BROKEN one there are no more, ever."""
        # one hot packet and nothing else, as calls come that are made one by one
        if not self.incomplete and len(data) >= HEADER_BYTES:
            length, call_id, endpoint, caller, kind, attempt, value = _unpack_paired(data)
            if len(data) == HEADER_BYTES + length <= self._most and kind in self._hot and attempt <= _ATTEMPTS:
                return [(kind, call_id, endpoint, caller, attempt, value, None, data[HEADER_BYTES:])]
        return [] if self.closed else self._cut(data)

    def _cut(self, data: bytes) -> list[Packet]:
        """The same of any bytes."""
        if self.incomplete:
            joined = self._left.join(data)
            if joined is None:
                return []
            data, self.incomplete = joined, False
        found: list[Packet] = []
        append, unpack, hot, most = found.append, _unpack_paired, self._hot, self._message_cap
        position, end = 0, len(data)
        while (start := position + HEADER_BYTES) <= end:
            # kind comes with the flags above it, attempt with the reserved byte: none of those is set in a hot packet
            length, call_id, endpoint, caller, kind, attempt, value = unpack(data, position)
            stop = start + length
            if kind not in hot or length > most or attempt > _ATTEMPTS:
                if kind == _BESIDE and _REQUEST in hot and length <= most and attempt <= _ATTEMPTS and stop <= end:
                    fields = (_REQUEST, call_id, endpoint, caller, attempt, value)
                    packet: Packet | None = self._with_meta(fields, data[start:stop])
                else:
                    packet = self._other(data, position, stop)
                if packet is None:
                    break
                append(packet)
                if self.closed:
                    return found
                hot = self._hot
            elif stop > end:
                break
            else:
                append((kind, call_id, endpoint, caller, attempt, value, None, data[start:stop]))
            position = stop
        if position < end and not self.closed:
            self._left.keep(data[position:] if position else data)
            self.incomplete = True
        return found

    def _other(self, data: bytes, position: int, stop: int) -> Packet | None:
        """A packet that is not simply a body; None while it is incomplete, BROKEN when it is illegal."""
        try:
            self._check(data, position)
            return None if stop > len(data) else self._read(data, position, stop)
        except RemoteProtocolError as error:
            return self._broken(error)

    def _with_meta(self, fields: tuple[int, int, int, int, int, int], payload: bytes) -> Packet:
        """A complete REQUEST with something beside its body, and nothing else out of the ordinary: as `_other` reads it."""
        try:
            return (*fields, *split(payload))
        except RemoteProtocolError as error:
            return self._broken(error)

    def _broken(self, error: RemoteProtocolError) -> Packet:
        self._enter(State.CLOSED)
        return (packets.BROKEN, 0, 0, 0, 0, 0, None, error)

    def _check(self, data: bytes, position: int) -> None:
        """All that a header alone can be wrong about."""
        length, call_id, _, _, kind, flags, _, reserved, value = _unpack(data, position)
        if kind not in self._receives:
            header = data[position : position + HEADER_BYTES]
            raise RemoteProtocolError(unexpected(kind_name(kind), _PEER[self.role], self.state, header))
        if reserved:
            text = f"{kind_name(kind)} with {reserved} in the reserved byte, which is 0 in version 1"
            raise RemoteProtocolError(text)
        if flags and flags & ~(PARTED | META if kind == _REQUEST else PARTED if kind in HOT else 0):
            raise RemoteProtocolError(f"{kind_name(kind)} with flags {flags:#04x}, which mean nothing there")
        most = self._hello_cap if kind in STRANGERS else CAPS.get(kind, self._message_cap)
        if length > most:
            raise RemoteProtocolError(f"{kind_name(kind)} of {length} bytes: at most {most} are taken")
        if kind == _PIECE:
            self._assembly.check(call_id, length, value)
        elif flags & PARTED:
            self._assembly.check_last(call_id, length)

    def _read(self, data: bytes, position: int, stop: int) -> Packet:
        _, call_id, endpoint, caller, kind, flags, attempt, _, value = _unpack(data, position)
        payload = data[position + HEADER_BYTES : stop]
        meta: CallMeta | None = None
        body: Any = None
        if kind in HOT:
            body = self._assembly.complete(call_id, payload) if flags & PARTED else payload
            if flags & META:
                meta, body = split(body)
        elif kind == _PIECE:
            self._assembly.keep(call_id, payload, value)
        elif kind in READ:
            body = READ[kind](payload)
            self._note(kind, payload, body)
        if kind in ENDS_PIECES:
            self._assembly.drop(call_id)
        return (kind, call_id, endpoint, caller, attempt, value, meta, body)

    def _note(self, kind: int, payload: bytes, body: Any) -> None:
        """A control packet of the peer changes the state."""
        if kind in SIGNED:
            self.transcript += framed(payload)
        if kind in (packets.HELLO, packets.WELCOME):
            self.sendable = body.limits.message
            self.at_once = min(self.sendable, AT_ONCE_BYTES)
        self._follow(kind)

    def _enter(self, state: State) -> None:
        super()._enter(state)
        self._receives = RECEIVES[self.role, state]
        self._hot = self._receives & HOT
        if self.closed:
            self._left.clear()
            self.incomplete = False
            self._assembly.clear()


_PEER = {Role.CLIENT: "server", Role.SERVER: "client"}
