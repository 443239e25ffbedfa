"""The server end of one connection: who connects, what they may call, and what is refused before it runs."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ...contracts import Call, Environment, Fault, Peer, Surface
from ...contracts.trust import binding
from ...errors import PermissionDenied, RemoteProtocolError, Unauthenticated
from ...wire import packets
from ...wire.hello import DISPROVEN, Challenge, Hello, Reject, wire_limits
from ...wire.packets import Packet, State
from ...wire.proof import CLIENT, NONCE_BYTES, PROOF_BYTES, SERVER, read_hex
from .answering import AnsweringLink, ServerStream
from .counters import Counters
from .exposed import Exposed
from .shapes import CONTROL, IN, MISSING, STREAM
from .sockets import is_near, peer_host

REQUEST: Final = packets.REQUEST
RETRY_AFTER_S = 0.1

_LATE = Fault(code="DEADLINE_EXCEEDED", message="no time was left when the request came", executed="not_executed")


class ServerLink(AnsweringLink):
    """One accepted connection."""

    __slots__ = ("_callers", "_codec", "_dispatch", "_exposed", "_hello", "_last", "_most", "_peer", "host")

    def __init__(self, env: Environment, exposed: Exposed, counters: Counters) -> None:
        super().__init__(env, counters)
        self._exposed = exposed
        self._dispatch = exposed.calls.dispatch
        self._last = 0
        self._most = sys.maxsize
        self._codec = ""
        self._callers: tuple[str, ...] = ("",)
        self._peer = Peer(address="")
        self._hello: Hello | None = None
        self.host = ""

    # ---- life --------------------------------------------------------------------------------------------------------
    def connection_made(self, transport: Any) -> None:
        """A client connected: it has `[timing] hello` seconds to say who it is."""
        super().connection_made(transport)
        self.host = peer_host(self._transport)
        refusal = self._exposed.admit(self)
        if refusal is not None:
            self._counters.connections_refused += 1
            self._turn_away(self._exposed.host().reject("busy", refusal))
            return
        if not is_near(self.host):
            self._most = wire_limits(self._env.limits).in_flight or sys.maxsize
        self._timer("hello", self._env.timing.hello, self._too_late)

    def _too_late(self) -> None:
        self._counters.hello_timeouts += 1
        self.cut("it did not introduce itself in time")

    def _lost(self, exc: Exception | None) -> None:
        self._exposed.forget(self)
        self._cancel_all()

    def leave(self, why: str) -> None:
        """Drain began: GOAWAY to a client that is in, no entry for one that is not."""
        if self._over:
            return
        if self._connection.state is State.OPEN:
            self._emit(self._connection.goaway(self._last, "draining", why))
        else:
            self._turn_away(self._exposed.host().reject("draining", why))

    def evict(self, why: str) -> None:
        """Others need the place of this one, which has not introduced itself; it may be about to, so it is told."""
        self._counters.hello_timeouts += 1
        self._exposed.forget(self)
        self._turn_away(self._exposed.host().reject("busy", why))

    def tell(self, surface: Surface) -> None:
        """The endpoints changed."""
        if not self._over and self._connection.state is State.OPEN:
            self._emit(self._connection.surface(surface))

    # ---- what the client says ----------------------------------------------------------------------------------------
    def _handle(self, packets: list[Packet], now: float) -> None:
        running, exposed, dispatch = self._running, self._exposed, self._dispatch
        codec, peer, most = self._codec, self._peer, self._most  # agreed in the hello, before any call
        for packet in packets:
            kind, call_id, endpoint, caller, attempt, value, meta, body = packet
            if kind != REQUEST:
                _HANDLERS[kind](self, packet)
                continue
            if call_id in running:
                raise RemoteProtocolError(f"call id {call_id} is used again while its call still runs")
            if call_id > self._last:
                self._last = call_id
            call = Call(call_id, endpoint, codec, body, now + value * 0.001, peer, None, attempt or 1)
            if caller:
                call.caller = self._caller(caller)
            if endpoint not in exposed.plain or not value or len(running) >= most:
                refusal = self._examine(call, value)
                if refusal is not None:
                    self._emit(self._connection.fault(call_id, refusal))
                    continue
            if meta is not None:
                call.metadata, call.entity, call.idempotency_key = meta.headers, meta.entity, meta.idempotency_key
                call.caller = call.caller or meta.caller
            begun = dispatch(call, self)
            if begun is not None:
                running[call_id] = begun

    def _caller(self, index: int) -> str:
        if index >= len(self._callers):
            raise RemoteProtocolError(f"caller {index} of a HELLO that named {len(self._callers) - 1}")
        return self._callers[index]

    def _examine(self, call: Call, value: int) -> Fault | None:
        """What is out of the ordinary about a call; a Fault when it is not to be run."""
        shapes = self._exposed.shapes
        shape = shapes[call.endpoint] if call.endpoint < len(shapes) else MISSING
        if shape & MISSING:
            return self._missing(call)
        if not value:
            return _LATE
        if not shape & CONTROL:
            if self._exposed.leaving:
                return Fault(code="UNAVAILABLE", message=self._exposed.leaving, executed="not_executed")
            if len(self._running) >= self._most:
                return self._too_many()
        if shape & STREAM:
            self._streams[call.id] = ServerStream(inbound=bool(shape & IN))
        return None

    def _missing(self, call: Call) -> Fault:
        found = sorted({each.path for each in self._exposed.surface.endpoints if each is not None})
        known = ", ".join(found[:20]) + (", ..." if len(found) > 20 else "")
        text = f"there is no endpoint {call.endpoint} here (any more); there are: {known or 'none'}"
        return Fault(code="NOT_FOUND", message=text, executed="not_executed")

    def _too_many(self) -> Fault:
        text = f"{self._most} calls of this connection already run ([limits] in_flight_per_connection)"
        return Fault(code="RESOURCE_EXHAUSTED", message=text, executed="not_executed", retry_after_s=RETRY_AFTER_S)

    # ---- who it is ---------------------------------------------------------------------------------------------------
    def _on_hello(self, packet: Packet) -> None:
        hello: Hello = packet[7]
        host = self._exposed.host()
        verdict = host.judge(hello)
        if isinstance(verdict, Reject):
            self._refuse(verdict)
            return
        self._codec, self._hello = verdict, hello
        if not host.sealed:
            self._connection.transcript = b""
            self._welcome(hello)
            return
        self._emit(self._connection.challenge(Challenge(node=host.node, nonce=secrets.token_hex(NONCE_BYTES))))
        self._flush()

    def _on_proof(self, packet: Packet) -> None:
        seal, hello = self._env.trust.seal, self._hello
        assert seal is not None
        assert hello is not None
        signed = (self._connection.transcript, binding(self._transport, server=True))
        self._connection.transcript = b""
        known = seal.accepts(read_hex(packet[7].proof, PROOF_BYTES), CLIENT, *signed)
        if known is None:
            self._refuse(self._exposed.host().reject("secret", DISPROVEN))
            return
        self._welcome(hello, known.prove(SERVER, *signed))

    def _welcome(self, hello: Hello, proof: bytes = b"") -> None:
        """The client belongs here, as far as the mesh goes: tell it what there is, unless nobody may be who it is."""
        host, trust = self._exposed.host(), self._env.trust
        try:
            peer = trust.peer(self._transport, self.peer)
            if trust.encrypted:
                trust.check(peer.identity)
            peer = trust.admit(hello.identity, peer, member=bool(proof))
        except (Unauthenticated, PermissionDenied) as error:
            self._refuse(host.reject("identity", str(error)))
            return
        self._stop_timer("hello")
        self._exposed.greeted(self)
        self._peer = msgspec.structs.replace(peer, node_id=hello.node)
        self._callers, self._hello, self._at_once = ("", *hello.callers), None, self._connection.at_once
        self._emit(self._connection.welcome(host.welcome(self._codec, self._exposed.surface, proof)))
        self._watch()

    def _refuse(self, reject: Reject) -> None:
        self._env.log.info("%s: turned away: %r", self.peer, reject.message)
        self._turn_away(reject)

    def _turn_away(self, reject: Reject) -> None:
        self._counters.rejected += 1
        self._emit(self._connection.reject(reject))
        self.close()


_HANDLERS: Final[dict[int, Callable[[ServerLink, Packet], None]]] = {
    packets.BROKEN: ServerLink._on_broken,
    packets.HELLO: ServerLink._on_hello,
    packets.PROOF: ServerLink._on_proof,
    packets.CANCEL: ServerLink._on_cancel,
    packets.ITEM: ServerLink._on_item,
    packets.END: ServerLink._on_end,
    packets.CREDIT: ServerLink._on_credit,
    packets.PING: ServerLink._answer_ping,
    packets.PONG: ServerLink._ignore,
    packets.PIECE: ServerLink._ignore,
    packets.GOAWAY: ServerLink._ignore,
}
