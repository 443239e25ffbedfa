"""The serving end: one connection of an old consumer, or of a registry that pings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from vyked_host import UsageError
from vyked_host.contracts import Call, Calls, EndpointDescription, Environment, Fault, Peer, Sink, Surface, compatible
from vyked_host.contracts import parse as version_of

from .events.channels import Channel
from .faults import failure_of
from .link import Link
from .metadata import with_app
from .wire import speech
from .wire.packets import FAULTS, Packet, plain_arguments, text_of

LONGEST_S = 600.0
"""The time limit of an api that names none, as in Vyked 2.x."""
_arguments = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode
REMOVED = frozenset({"request_id", "entity", "from_id"})
"""What the original took out of the arguments of a call."""


class Offer(NamedTuple):
    """An endpoint as old consumers call it."""

    at: int
    endpoint: EndpointDescription
    removed: frozenset[str]
    deprecated: bytes


class Offers:
    """(service, method) -> endpoints of it, the highest version first."""

    def __init__(self, surface: Surface) -> None:
        self._offers: dict[tuple[str, str], list[Offer]] = {}
        for index, each in enumerate(surface.endpoints):
            if each is not None and not each.kind.is_raw and not each.kind.streams_in and not each.kind.streams_out:
                self._offers.setdefault((each.service, each.name), []).append(_offer(index, each))
        for found in self._offers.values():
            found.sort(key=lambda offer: version_of(offer.endpoint.version).key(), reverse=True)

    def find(self, service: str, version: str, endpoint: str) -> Offer | str:
        """What is called, or why nothing is."""
        found = self._offers.get((service, endpoint), ())
        for each in found:
            if compatible(each.endpoint.version, version):
                return each
        if found:
            return f"{service} {version} is not served here; there is {found[0].endpoint.version}"
        methods = sorted({name for of, name in self._offers if of == service})
        if methods:
            return f"{service}.{endpoint} does not exist; {service} has: {', '.join(methods)}"
        return f"{service} is not served here"


def _offer(index: int, endpoint: EndpointDescription) -> Offer:
    taken: Any = getattr(endpoint.arguments, "__struct_fields__", ())
    gone = speech.goes(endpoint.name, endpoint.replacement) if endpoint.deprecated else b""
    return Offer(index, endpoint, REMOVED - set(taken) | {"request_id"}, gone)


class Serving(Protocol):
    """What a connection needs of its listener."""

    offers: Offers
    calls: Calls
    leaving: str

    def published(self, channel: Channel, payload: bytes) -> bool:
        """An event for one instance came without Redis. Does anybody here take it?"""
        ...

    def admit(self, link: ServedLink) -> bool:
        """Is there room for one more?"""
        ...

    def forget(self, link: ServedLink) -> None:
        """It is closed."""


class Reply(Sink):
    """Where the outcome of one call goes: back over the connection, unless that is gone."""

    __slots__ = ("_entity", "_gone", "_link", "_request_id", "_to")

    def __init__(self, link: ServedLink, packet: Packet, request_id: bytes, gone: bytes = b"") -> None:
        self._link, self._to, self._entity = link, link.quoted(packet.from_), bytes(packet.entity)
        self._request_id, self._gone = request_id, gone

    def respond(self, call: Call, body: Any) -> None:
        """The call succeeded."""
        self._send(speech.result(speech.in_ascii(body) if body else b"null"))

    def fail(self, call: Call, fault: Fault) -> None:
        """The call failed."""
        self._send(failure_of(fault))

    def item(self, call: Call, body: Any) -> bool:
        """Streams are not offered here."""
        return False

    def refuse(self, code: Any, message: str) -> None:
        """It is not run."""
        self._send(failure_of(Fault(code=code, message=message, executed="not_executed")))

    def _send(self, outcome: bytes) -> None:
        self._link.send(speech.response(self._to, speech.escaped(self._entity), self._request_id, outcome, self._gone))


class ServedLink(Link):
    """One accepted connection. Calls go on when it is lost, as they did: an old consumer may call and leave."""

    def __init__(self, env: Environment, serving: Serving, largest: int) -> None:
        super().__init__(env, largest)
        self._serving = serving
        self._last = 0
        self._peer = Peer(address="")
        self._from: tuple[str | None, bytes] = (None, b"null")

    def connection_made(self, transport: Any) -> None:
        """Somebody connected."""
        super().connection_made(transport)
        self._peer = Peer(address=self.peer, secure=transport.get_extra_info("ssl_object") is not None)
        if not self._serving.admit(self):
            self.abort("there is no room for more connections")

    def lost(self, why: str) -> None:
        """It is over."""
        self._serving.forget(self)

    def quoted(self, sender: str | None) -> bytes:
        """`sender` as JSON: a connection has the same one in nearly every request."""
        if self._from[0] != sender:
            self._from = (sender, b"null" if sender is None else speech.quoted(sender))
        return self._from[1]

    def heard(self, packet: Packet) -> None:
        """A request, a ping, or an event as release 2.1.91 sends it to an xsubscriber; anything else is not for a service."""
        if packet.type == "request":
            self._request(packet)
        elif packet.type == "ping":
            self.send(speech.pong(packet.node_id))
        elif packet.type == "publish":
            self._event(packet)

    def _event(self, packet: Packet) -> None:
        """Not acknowledged where nobody takes it: the publisher says so in its log."""
        service, version = (packet.name or packet.service or "").lower(), str(packet.version or "1")
        found = Channel(service, version, packet.endpoint or "")
        if self._serving.published(found, bytes(packet.payload)):
            self.send(speech.ack(packet.publish_id))
        else:
            self.env.log.warning("event %s of %s is for nobody here", found, self.peer)

    def _request(self, packet: Packet) -> None:
        payload = bytes(packet.payload)
        try:
            arguments, request_id = plain_arguments(payload) or _taken_apart(payload)
        except FAULTS as error:
            self.env.log.warning("a request of %s can't be answered, it has no request_id: %s", self.peer, error)
            return
        service, version = (packet.name or packet.service or "").lower(), str(packet.version or "1")
        try:
            offer = self._serving.offers.find(service, version, packet.endpoint or "")
        except UsageError as error:  # a version that is none
            offer = str(error)
        if isinstance(offer, str):
            Reply(self, packet, request_id).refuse("NOT_FOUND", offer)
        elif self._serving.leaving:
            Reply(self, packet, request_id).refuse("UNAVAILABLE", self._serving.leaving)
        else:
            self._run(packet, offer, arguments, request_id)

    def _run(self, packet: Packet, offer: Offer, arguments: bytes | dict[str, Any], request_id: bytes) -> None:
        self._last += 1
        call = Call(
            self._last, offer.at, "json", arguments if isinstance(arguments, bytes) else _without(offer.removed, arguments),
            self.env.clock.now() + LONGEST_S, self._peer, entity=text_of(packet.entity), metadata=with_app(text_of(packet.app)),
        )  # fmt: skip
        self._serving.calls.dispatch(call, Reply(self, packet, request_id, offer.deprecated))


def _taken_apart(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """The arguments, what belongs to the wire among them, and the id. Raises one of FAULTS."""
    arguments = _arguments(payload)
    return arguments, _request_id(arguments)


def _without(names: frozenset[str], arguments: dict[str, Any]) -> bytes:
    for each in names:
        arguments.pop(each, None)
    return _encode(arguments)


def _request_id(arguments: Mapping[str, msgspec.Raw]) -> bytes:
    """The id as it is written, in ASCII. Raises ValueError when there is none."""
    found = bytes(arguments.get("request_id", b""))
    if not found:
        raise ValueError("it is missing")
    return speech.escaped(found)
