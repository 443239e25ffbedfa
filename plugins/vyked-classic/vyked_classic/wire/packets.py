"""What packets say. One flat Struct for all of them, as the original's were flat objects; what is inside is read when needed.

The two dialects differ in names of fields only: N says `name` and `dependencies`, S (release 2.1.91) `service` and `vendors`.
Both are read; `dialect` says which one a packet is written in, None where it has neither field.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

Dialect = Literal["N", "S"]
Text = str | int
"""Versions and entities are text; some senders wrote numbers."""
_NOTHING = msgspec.Raw(b"null")
ABSENT = msgspec.Raw()
"""A field that is not there at all, where null would say something."""


class Packet(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """One packet; fields that its type does not have are empty."""

    type: str
    pid: str | None = None
    name: str | None = None
    service: str | None = None
    version: Text | None = None
    endpoint: str | None = None
    entity: msgspec.Raw = _NOTHING
    app: msgspec.Raw = _NOTHING
    from_: str | None = None
    to: str | None = None
    node_id: str | None = None
    request_id: str | None = None
    publish_id: str | None = None
    payload: msgspec.Raw = _NOTHING
    params: msgspec.Raw = _NOTHING

    @property
    def dialect(self) -> Dialect | None:
        """The dialect this packet is written in, as far as its outer fields tell."""
        if self.service is not None:
            return "S"
        return "N" if self.name is not None else None


class Named(msgspec.Struct, frozen=True):
    """A service that is named, in either dialect. Raises ValueError where neither name is there."""

    version: Text
    name: str = ""
    service: str = ""

    def __post_init__(self) -> None:
        if not self.name and not self.service:
            raise ValueError("neither `name` nor `service` is there")

    @property
    def of(self) -> tuple[str, str]:
        """(name in lower case, version as text)."""
        return (self.name or self.service).lower(), str(self.version)

    @property
    def dialect(self) -> Dialect:
        """The dialect it is written in."""
        return "N" if self.name else "S"


class Wanted(Named, frozen=True):
    """What `get_subscribers` asks for."""

    endpoint: str = ""


class Registration(Named, frozen=True, kw_only=True):
    """Params of `register`."""

    host: str | None = None
    port: int | str
    node_id: str
    dependencies: list[Named] = []
    vendors: list[Named] = []
    type: str = "tcp"

    @property
    def needs(self) -> list[Named]:
        """The services it depends on."""
        return self.dependencies or self.vendors

    @property
    def port_number(self) -> int:
        """The port. Raises ValueError."""
        return port_number(self.port)


class Wish(Named, frozen=True, kw_only=True):
    """One event of `xsubscribe`."""

    endpoint: str
    strategy: str | None = None


class Subscriptions(Named, frozen=True, kw_only=True):
    """Params of `xsubscribe`."""

    host: str | None = None
    port: int | str
    node_id: str
    events: list[Wish] = []


class Place(msgspec.Struct, frozen=True):
    """One instance in a list of addresses; HEAD calls its id `node_id`, some packets of it and S call it `node`."""

    host: str
    port: int | str
    node_id: str = ""
    node: str = ""
    type: str = "tcp"

    @property
    def id(self) -> str:
        """The node's id."""
        return self.node_id or self.node

    @property
    def port_number(self) -> int:
        """The port. Raises ValueError."""
        return port_number(self.port)


class Vendor(Named, frozen=True, kw_only=True):
    """One service of `registered`, with its instances: None where the registry left the list out."""

    addresses: list[Place] | None = None


class Registered(msgspec.Struct, frozen=True):
    """Params of `registered`."""

    dependencies: list[Vendor] = []
    vendors: list[Vendor] = []

    @property
    def found(self) -> list[Vendor]:
        """The services, in either dialect."""
        return self.dependencies or self.vendors


class NewInstance(Named, frozen=True, kw_only=True):
    """Params of `new_instance`."""

    host: str
    port: int | str
    node_id: str = ""
    node: str = ""
    service_type: str = ""
    type: str = ""

    @property
    def place(self) -> Place:
        """The instance."""
        kind = self.service_type or self.type or "tcp"
        return Place(host=self.host, port=self.port, node_id=self.node_id or self.node, type=kind)


class Gone(Named, frozen=True, kw_only=True):
    """Params of `deregister`."""

    node_id: str


class Subscriber(Named, frozen=True, kw_only=True):
    """One entry of `subscribers`."""

    host: str
    port: int | str
    node_id: str
    strategy: str | None = None


class Subscribers(Named, frozen=True, kw_only=True):
    """Params of `subscribers`."""

    endpoint: str
    subscribers: list[Subscriber] = []


class Instances(Named, frozen=True, kw_only=True):
    """Params of `instances`."""

    instances: list[Place] = []


PARAMS: dict[str, type[msgspec.Struct]] = {
    "register": Registration,
    "registered": Registered,
    "new_instance": NewInstance,
    "deregister": Gone,
    "xsubscribe": Subscriptions,
    "get_subscribers": Wanted,
    "subscribers": Subscribers,
    "get_instances": Named,
    "instances": Instances,
}
"""Type of packet -> what its `params` are."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Payload of a `response`. `code`, `error_type`, `details` and `executed` are ours: the original sends none of them."""

    request_id: str
    result: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    failed: bool | None = None
    old_api: str | None = None
    replacement_api: str | None = None
    code: str = ""
    error_type: str = ""
    details: msgspec.Raw = _NOTHING
    executed: str = ""


_decode = msgspec.json.Decoder(Packet).decode
decode_many = msgspec.json.Decoder(list[Packet]).decode
_answer = msgspec.json.Decoder(Answer).decode
_PARAMS = {kind: msgspec.json.Decoder(params).decode for kind, params in PARAMS.items()}
FAULTS = (msgspec.MsgspecError, ValueError, RecursionError)
"""What reading a packet may raise, whatever its bytes are."""


def decode(text: bytes | bytearray | memoryview) -> Packet:
    """One packet. Raises one of FAULTS."""
    return _decode(text)


def answer_of(packet: Packet) -> Answer:
    """The payload of a `response`. Raises one of FAULTS."""
    return _answer(packet.payload)


def params_of(packet: Packet) -> Any:
    """The params of `packet`, as the Struct of its type. Raises one of FAULTS, KeyError for a type that has none."""
    return _PARAMS[packet.type](packet.params)


def text_of(raw: msgspec.Raw) -> str | None:
    """An entity or app: None for null, a string as it is, anything else as it is written."""
    said = bytes(raw)
    if said == b"null":
        return None
    return msgspec.json.decode(said, type=str) if said.startswith(b'"') else said.decode("utf-8", "replace")


def plain_arguments(payload: bytes) -> tuple[bytes, bytes] | None:
    """(arguments, request_id) as JSON of the payload of a request, which ends with its id, as everybody writes it. None: it has to be
    taken apart, as it is large, or may hold more than that what belongs to the wire."""
    at = payload.rfind(_ID) if len(payload) < _LARGE else -1
    found = _ENDS.match(payload, at) if at > 0 else None
    if found is None or payload.find(b'"request_id"') < at:
        return None
    if b'"entity"' in payload or b'"from_id"' in payload or b"\\u" in payload:  # the last one may spell one of these
        return None
    return payload[:at] + b"}", found[1]


_ID, _LARGE = b', "request_id": "', 64 << 10
_ENDS = re.compile(rb', "request_id": ("[-0-9A-Za-z]+")}\Z')


def port_number(port: int | str) -> int:
    """A port as a number. Raises ValueError when it is none."""
    found = int(port)
    if not 0 <= found <= 65535:
        raise ValueError(f"{port!r} is no port")
    return found
