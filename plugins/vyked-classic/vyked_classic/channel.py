"""The client end: a channel to one node of the old wire, shared by all who call it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from vyked_host import CallNotSupported
from vyked_host.contracts import (
    Call,
    Clock,
    EndpointDescription,
    Environment,
    Fault,
    Generation,
    Kind,
    Running,
    Sink,
    Surface,
)

from .address import OldAddress
from .faults import fault_of
from .link import Link
from .metadata import app_of
from .wire import speech
from .wire.packets import FAULTS, Answer, Dialect, Packet, answer_of
from .wire.speech import Requests

log = logging.getLogger("vyked")


class Outgoing(Running):
    """A call that waits for its answer."""

    __slots__ = ("_channel", "_id", "call", "path", "sink")

    def __init__(self, channel: OldChannel, id: str, call: Call, sink: Sink, path: str) -> None:
        self._channel, self._id, self.call, self.sink, self.path = channel, id, call, sink, path

    def cancel(self, fault: Fault) -> None:
        """Nobody waits any more. The peer can't be told: what runs there runs on, and its answer is dropped."""
        if self._channel.waiting.pop(self._id, None) is not None:
            self.sink.fail(self.call, fault)

    def item(self, body: Any) -> bool:
        """Streams don't travel on this wire."""
        return False

    def end(self) -> None:
        """Likewise."""

    def credit(self, items: int) -> None:
        """Likewise."""


class OldChannel(Link):
    """`contracts.Channel`."""

    codec = "json"

    def __init__(self, env: Environment, at: OldAddress, largest: int, dialect: Dialect) -> None:
        super().__init__(env, largest, dialect)
        self.node_id, self._at = at.node_id, at
        self.generation: Generation | None = None
        self.retired: asyncio.Future[Fault | None] = self._loop.create_future()
        self.waiting: dict[str, Outgoing] = {}
        self._from = speech.fresh_id()
        self._wanted: list[EndpointDescription] = []
        self._writers: list[Requests] = []
        self._indices: dict[tuple[str, str, str], int] = {}
        self._warned: set[str] = set()
        self._last = env.rng.getrandbits(32)
        self._clock: Clock = env.clock

    @property
    def surface(self) -> Surface:
        """What was asked for so far: the peer does not say what it has."""
        return Surface(revision=0, endpoints=tuple(self._wanted))

    def endpoint(self, wanted: EndpointDescription) -> int:
        """The index to call `wanted` by. Raises CallNotSupported for what is no plain call."""
        if wanted.kind is not Kind.UNARY:
            raise CallNotSupported(
                f"{wanted.path} has a stream or a raw answer, which the wire of Vyked 2.x can't carry",
                service=wanted.service, method=wanted.name, executed="not_sent",
            )  # fmt: skip
        version = self._at.version or wanted.version or "1"
        key = (wanted.service, version, wanted.name)
        found = self._indices.get(key)
        if found is None:
            found = self._indices[key] = len(self._wanted)
            self._wanted.append(wanted)
            self._writers.append(Requests(*key, self._from, self.node_id, self.dialect))
        return found

    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        """Send `call`. None: it was refused, and the sink knows why."""
        refusal = self._refusal(call)
        if refusal is not None:
            sink.fail(call, refusal)
            return None
        self._last = (self._last + 1) & 0xFFFFFFFF
        request_id = f"{self._last:08x}"
        wanted = self._wanted[call.endpoint]
        app = app_of(call.metadata) if call.metadata is not None else None
        self.send(self._writers[call.endpoint].write(request_id, speech.in_ascii(call.body), call.entity, app))
        entry = self.waiting[request_id] = Outgoing(self, request_id, call, sink, wanted.path)
        call.id = self._last
        return entry

    def _refusal(self, call: Call) -> Fault | None:
        if not self.is_open:
            text = f"the connection to node {self.node_id} is closed"
            return Fault(code="UNAVAILABLE", message=text, executed="not_sent")
        if call.deadline <= self._clock.now():
            return Fault(code="DEADLINE_EXCEEDED", message="no time was left to send the call", executed="not_sent")
        most = self.env.limits.write_buffer
        if most != "none" and self.backlog + len(call.body) > most:
            text = f"node {self.node_id} does not read what it is sent"
            return Fault(code="RESOURCE_EXHAUSTED", message=text, executed="not_sent")
        return None

    def in_flight(self) -> int:
        """Calls that wait for answers."""
        return len(self.waiting)

    async def aclose(self) -> None:
        """Close it; running calls fail with `unknown`. Idempotent."""
        self._retire("the channel was closed")
        self.close("the channel was closed")

    # ---- what the peer says ------------------------------------------------------------------------------------------
    def heard(self, packet: Packet) -> None:
        """An answer, or a ping of whoever is there."""
        if packet.type == "response":
            self._answered(packet)
        elif packet.type == "ping":
            self.send(speech.pong(packet.node_id))

    def _answered(self, packet: Packet) -> None:
        try:
            answer = answer_of(packet)
        except FAULTS as error:
            self.env.log.warning("an answer of %s can't be read: %s", self.peer, error)
            return
        entry = self.waiting.pop(answer.request_id, None)
        if entry is None:
            return  # it came after its caller gave up
        if answer.old_api:
            self._warn(entry.path, answer)
        self._settle(entry, answer)

    def _settle(self, entry: Outgoing, answer: Answer) -> None:
        result, error = bytes(answer.result), bytes(answer.error)
        if error or not result:
            try:
                fault = fault_of(answer, entry.path)
            except FAULTS as fault_error:
                text = f"the answer of {entry.path} can't be read: {fault_error}"
                fault = Fault(code="INTERNAL", message=text, executed="unknown")
            entry.sink.fail(entry.call, fault)
        else:
            entry.sink.respond(entry.call, result)

    def _warn(self, path: str, answer: Answer) -> None:
        if path not in self._warned:
            self._warned.add(path)
            instead = f", New API: {answer.replacement_api}" if answer.replacement_api else ""
            log.warning("Deprecated API: %s%s", path, instead, extra={"node": self.node_id})

    # ---- the end -----------------------------------------------------------------------------------------------------
    def lost(self, why: str) -> None:
        """The connection is over: nobody knows what became of the calls that were sent."""
        self._retire(why)

    def _retire(self, why: str) -> None:
        if not self.retired.done():
            fault = Fault(code="UNAVAILABLE", message=f"node {self.node_id}: {why}", executed="not_sent")
            self.retired.set_result(fault)
        waiting, self.waiting = self.waiting, {}
        for entry in waiting.values():
            text = f"the connection to node {self.node_id} was lost: {why}"
            entry.sink.fail(entry.call, Fault(code="UNAVAILABLE", message=text, executed="unknown"))
