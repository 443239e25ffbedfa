"""One connection without its socket: bytes to packets, packets to bytes, and the rules of who may say what when.

Rules: (1) the packets that come out depend on the bytes alone, never on how they were cut into chunks; (2) what breaks the
rules is found at the header, before its payload is waited for; (3) a peer at fault ends the stream of packets with one
BROKEN packet, after the good ones before it; (4) our own misuse raises LocalProtocolError and sends nothing.
"""

from __future__ import annotations

from typing import Any, Final

from ..errors import LocalProtocolError, RemoteProtocolError
from ..model.description import Surface
from ..model.message import Fault
from ..model.settings import LimitsTable
from . import packets
from .control import encode
from .faults import write_fault
from .foreign import TLS, unexpected
from .framing import Leftover
from .hello import Challenge, Goaway, Hello, NewSurface, Proof, Reject, Welcome, bounded, cap
from .metadata import CallMeta, join, split
from .packets import HEADER, HEADER_BYTES, HOT, META, NEXT, PARTED, RECEIVES, SENDS, Packet, Role, State, kind_name
from .payloads import CAPS, ENDS_PIECES, READ, SIGNED, STRANGERS
from .pieces import Assembly, Fields, Payload
from .proof import framed
from .table import table

_REQUEST, _RESPONSE, _ITEM, _PIECE = packets.REQUEST, packets.RESPONSE, packets.ITEM, packets.PIECE
_unpack, _pack = HEADER.unpack_from, HEADER.pack
_unpack_paired, _ATTEMPTS, _BESIDE = packets.PAIRED.unpack_from, 255, packets.BESIDE

AT_ONCE_BYTES: Final = 16 << 10
"""A body up to here is one packet that waits for nothing; what is larger takes its turn in an :class:`outbox.Outbox`."""


class Connection:
    """Both roles. `state`: how far it is; `sendable`: the most that the peer takes as one payload, `at_once`: the most that does not wait for its
    turn; `incomplete`: part of a frame has arrived and the rest has not; `closed`: nothing more is said or heard, it was rejected, or somebody
    broke the rules; `transcript` is what a proof of the mesh secret signs: the payloads of HELLO and CHALLENGE as they travelled."""

    __slots__ = (
        "_assembly", "_hello_cap", "_hot", "_left", "_message_cap", "_most", "_receives", "_sends", "at_once", "closed", "incomplete",
        "role", "sendable", "state", "transcript",
    )  # fmt: skip

    def __init__(self, role: Role, limits: LimitsTable) -> None:
        self.role = role
        self.state = State.FRESH
        self.sendable, self.at_once = packets.LARGEST, AT_ONCE_BYTES
        self._hello_cap = cap(limits.hello)
        self._message_cap = cap(limits.message)
        self._most = HEADER_BYTES + self._message_cap
        self._left = Leftover()
        self.incomplete = self.closed = False
        self._assembly = Assembly(self._message_cap)
        self.transcript = b""
        self._enter(State.FRESH)

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
        if self.closed:
            return []
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

    # ---- state -------------------------------------------------------------------------------------------------------
    def _enter(self, state: State) -> None:
        self.state = state
        self._sends, self._receives = SENDS[self.role, state], RECEIVES[self.role, state]
        self._hot = self._receives & HOT
        self.closed = state is State.CLOSED
        if self.closed:
            self._left.clear()
            self.incomplete = False
            self._assembly.clear()

    def _follow(self, kind: int) -> None:
        following = NEXT.get((self.state, kind))
        if following is not None:
            self._enter(following)

    def _misuse(self, kind: int) -> LocalProtocolError:
        what = f"{kind_name(kind)} can't be sent by a {self.role.value}"
        return LocalProtocolError(f"{what} while the connection is {self.state.value}")

    # ---- out: calls --------------------------------------------------------------------------------------------------
    def request(
        self, call_id: int, endpoint: int, caller: int, attempt: int, remaining_ms: int, body: bytes,
        meta: CallMeta | None = None,
    ) -> bytes:  # fmt: skip
        """A REQUEST. `caller` is an index into the callers of the HELLO, 0: none; 1 <= `attempt` <= 255."""
        if _REQUEST not in self._sends:
            raise self._misuse(_REQUEST)
        if meta is None:
            return packets.pack_request(len(body), call_id, endpoint, caller, _REQUEST, attempt, remaining_ms) + body
        payload = join(meta, body, self.sendable)
        return _pack(len(payload), call_id, endpoint, caller, _REQUEST, META, attempt, 0, remaining_ms) + payload

    def response(self, call_id: int, body: bytes) -> bytes:
        """A RESPONSE; empty where the answer was a stream."""
        if _RESPONSE not in self._sends:
            raise self._misuse(_RESPONSE)
        return packets.pack_answer(len(body), call_id, packets.ANSWER) + body

    def item(self, call_id: int, body: bytes) -> bytes:
        """An ITEM of a stream, in either direction."""
        if _ITEM not in self._sends:
            raise self._misuse(_ITEM)
        return _pack(len(body), call_id, 0, 0, _ITEM, 0, 0, 0, 0) + body

    def large_request(
        self, call_id: int, endpoint: int, caller: int, attempt: int, remaining_ms: int, body: bytes,
        meta: CallMeta | None = None,
    ) -> Payload:  # fmt: skip
        """A REQUEST, to be sent in pieces."""
        flags, prefix = (0, b"") if meta is None else (META, join(meta, b"", self.sendable - len(body)))
        return self.large((call_id, endpoint, caller, _REQUEST, flags, attempt, remaining_ms), body, prefix)

    def large(self, fields: Fields, body: bytes, prefix: bytes = b"") -> Payload:
        """A packet with `fields`, to be sent in pieces."""
        for kind in (_PIECE, fields[3]):
            if kind not in self._sends:
                raise self._misuse(kind)
        return Payload(fields, body, prefix)

    def fault(self, call_id: int, fault: Fault) -> bytes:
        """A FAULT. Details over 64 KiB or beyond JSON are left out, and its message says so."""
        return self._packet(packets.FAULT, call_id, 0, write_fault(fault))

    def cancel(self, call_id: int) -> bytes:
        """A CANCEL: the client no longer wants the answer."""
        return self._packet(packets.CANCEL, call_id, 0)

    def end(self, call_id: int) -> bytes:
        """An END: the client's stream is complete."""
        return self._packet(packets.END, call_id, 0)

    def credit(self, call_id: int, items: int) -> bytes:
        """A CREDIT for `items` more items of the stream that comes this way."""
        return self._packet(packets.CREDIT, call_id, items)

    def ping(self, value: int) -> bytes:
        """A PING; its PONG has the same value."""
        return self._packet(packets.PING, 0, value)

    def pong(self, value: int) -> bytes:
        """The PONG for a PING."""
        return self._packet(packets.PONG, 0, value)

    # ---- out: control ------------------------------------------------------------------------------------------------
    def hello(self, hello: Hello) -> bytes:
        """The HELLO: the first thing that a client sends."""
        return self._packet(packets.HELLO, 0, 0, encode(hello))

    def welcome(self, welcome: Welcome) -> bytes:
        """The WELCOME: the connection is open from here on."""
        return self._packet(packets.WELCOME, 0, 0, bounded(encode(welcome)))

    def challenge(self, challenge: Challenge) -> bytes:
        """The CHALLENGE: prove the mesh secret first."""
        return self._packet(packets.CHALLENGE, 0, 0, encode(challenge))

    def proof(self, proof: bytes) -> bytes:
        """The PROOF that was asked for."""
        return self._packet(packets.PROOF, 0, 0, encode(Proof(proof=proof.hex())))

    def reject(self, reject: Reject) -> bytes:
        """A REJECT: the last thing that a server sends."""
        return self._packet(packets.REJECT, 0, 0, encode(reject))

    def surface(self, surface: Surface) -> bytes:
        """A SURFACE: the whole endpoint table, again."""
        payload = encode(NewSurface(revision=surface.revision, endpoints=table(surface)))
        return self._packet(packets.SURFACE, 0, 0, bounded(payload))

    def goaway(self, last: int, code: str, message: str) -> bytes:
        """A GOAWAY: `last` is the highest call id that may run."""
        payload = encode(Goaway(code=code, message=message[:_GOAWAY_TEXT]))
        return self._packet(packets.GOAWAY, last, 0, payload)

    def farewell(self, error: RemoteProtocolError) -> bytes:
        """The GOAWAY for a peer that broke the rules; the connection is closed from here on. It is sent in every state."""
        payload = encode(Goaway(code="protocol_error", message=str(error)[:_GOAWAY_TEXT]))
        self._enter(State.CLOSED)
        return _pack(len(payload), 0, 0, 0, packets.GOAWAY, 0, 0, 0, 0) + payload

    def _packet(self, kind: int, call_id: int, value: int, payload: bytes = b"") -> bytes:
        if kind not in self._sends:
            raise self._misuse(kind)
        packet = _pack(len(payload), call_id, 0, 0, kind, 0, 0, 0, value) + payload
        if kind in SIGNED:
            self.transcript += framed(payload)
        self._follow(kind)
        return packet


_GOAWAY_TEXT = 1000
_PEER = {Role.CLIENT: "server", Role.SERVER: "client"}
