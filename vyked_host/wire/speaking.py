"""What one end of a connection may say in the state that the connection is in, as packets. Our own misuse raises LocalProtocolError and sends
nothing.
"""

from __future__ import annotations

from ..errors import LocalProtocolError, RemoteProtocolError
from ..model.description import Surface
from ..model.message import Fault
from . import packets
from .control import encode
from .faults import write_fault
from .hello import Challenge, Goaway, Hello, NewSurface, Proof, Reject, Welcome, bounded
from .metadata import CallMeta, join
from .packets import HEADER, META, NEXT, SENDS, Role, State, kind_name
from .payloads import SIGNED
from .pieces import Fields, Payload
from .proof import framed
from .table import table

_REQUEST, _RESPONSE, _ITEM, _PIECE = packets.REQUEST, packets.RESPONSE, packets.ITEM, packets.PIECE
_pack = HEADER.pack
_GOAWAY_TEXT = 1000


class Speaking:
    """Both roles. `state`: how far the connection is; `sendable`: the most that the peer takes as one payload; `closed`: nothing more is said or
    heard; `transcript` is what a proof of the mesh secret signs: the payloads of HELLO and CHALLENGE as they travelled."""

    __slots__ = ("_sends", "closed", "role", "sendable", "state", "transcript")

    def __init__(self, role: Role) -> None:
        self.role, self.sendable, self.transcript = role, packets.LARGEST, b""
        self._enter(State.FRESH)

    # ---- state -------------------------------------------------------------------------------------------------------
    def _enter(self, state: State) -> None:
        self.state, self._sends = state, SENDS[self.role, state]
        self.closed = state is State.CLOSED

    def _follow(self, kind: int) -> None:
        following = NEXT.get((self.state, kind))
        if following is not None:
            self._enter(following)

    def _misuse(self, kind: int) -> LocalProtocolError:
        what = f"{kind_name(kind)} can't be sent by a {self.role.value}"
        return LocalProtocolError(f"{what} while the connection is {self.state.value}")

    # ---- calls --------------------------------------------------------------------------------------------------
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

    # ---- control ------------------------------------------------------------------------------------------------
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
