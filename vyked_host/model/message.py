"""What travels: calls and their faults, events and what became of them. The per-call objects are plain Structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ..errors import Code, Executed
from .description import Strategy
from .values import Value

INITIAL_CREDIT = 32
"""Items that may be sent on each direction of a stream before the receiver grants more."""


class Fault(Value):
    """Why a call failed. `type` is a declared error's code, never a Python path; `details` its fields, as builtins."""

    code: Code
    message: str
    executed: Executed
    type: str = ""
    details: Any = None
    retry_after_s: float | None = None


class Peer(Value):
    """The other end of a connection: its socket address, and who it proved to be. `secure`: over TLS; `certified`: it has
    shown a certificate that was verified; `is_member`: it belongs to the mesh (contracts.Trust), so that it may also use what
    hosts and operators share."""

    address: str
    identity: str | None = None
    secure: bool = False
    certified: bool = False
    node_id: str = ""
    is_member: bool = False


class Call(msgspec.Struct, gc=False):
    """One call on its way. `codec` says what `body` is: the name of a serializer (bytes), "object" (the arguments
    Struct itself, or the result itself), or "raw" (HTTP: the request; WebSocket: its `Opening`). `deadline` is in monotonic seconds
    of this process. `metadata` is opaque: W3C trace headers and the callers' own pairs, encoded (wire.metadata)."""

    id: int
    endpoint: int
    codec: str
    body: Any
    deadline: float
    peer: Peer | None = None
    metadata: bytes | None = None
    attempt: int = 1
    entity: str | None = None
    idempotency_key: str | None = None
    caller: str = ""
    request: Any = None  # the web framework's request, where the call came as one


SENSITIVE = "vyked-sensitive"
"""Among the metadata of an event: the fields of its payload that nobody is shown, with commas between. No handler sees it."""


class Event(Value, array_like=True, tag=1):  # as it stands in an envelope, whose version the tag is (wire.envelope)
    """One published event. A back end without headers carries pack(Event): a msgpack array, version first. `named`: its
    publisher gave it its id, and may publish it again under that one; who dedupes may leave alone all others. `not_before_unix_s`: no group gets it earlier."""

    id: str
    service: str
    version: str
    name: str
    source: str
    body: bytes
    content_type: str
    key: str | None = None
    metadata: Mapping[str, str] = {}
    published_unix_s: float = 0.0
    expires_unix_s: float | None = None
    named: bool = False
    not_before_unix_s: float | None = None


class Subscription(Value):
    """What a consumer asks a bus for. `group` None: every instance; else one member of the group (consumer service)."""

    service: str
    major: int
    name: str
    group: str | None
    member: str
    since: str | None = None
    strategy: Strategy = "any"
    concurrency: int = 16


class GroupLag(Value):
    """How far one group is behind at one topic. `waiting`: events that nobody of it has, delayed ones too; `in_flight`: with its
    members, and not settled; -1: the bus can't say. `oldest_s`: how long ago the oldest of both was published, in seconds; 0.0
    when there is none. `dead`: its dead letters."""

    service: str
    major: int
    name: str
    group: str
    members: int
    waiting: int
    in_flight: int
    oldest_s: float = 0.0
    dead: int = 0

    @property
    def topic(self) -> str:
        """``service.event@major``."""
        return f"{self.service}.{self.name}@{self.major}"


class Verdict(Value):
    """What became of one delivery: `seconds` is the delay of a retry or the extension."""

    action: Literal["ack", "retry", "reject", "extend"]
    seconds: float = 0.0
    cause: str = ""


class Guarantees(Value):
    """The one vocabulary: the provider declares, the kit proves, assembly compares with what the services use. `ack_wait_s`:
    what is not settled within so many seconds ([timing] scale applies) is delivered again. `dedupe_s`: an event that is
    published again under its id (:attr:`Event.named`) within so many seconds is accepted and goes to nobody; 0: it goes out again.
    `one_of_group`: one member of a group gets each event, or none; who is `at_least_once` need not say it. `queues`: a job
    (model.queues) is kept for its group from the first one on, and no other group may take it; `delays`: groups get no event before
    its time."""

    fan_out: bool = True
    at_least_once: bool = False
    one_of_group: bool = False
    durability: Literal["memory", "process", "disk"] = "memory"
    ordered: Literal["none", "key", "publisher"] = "none"
    strategies: frozenset[str] = frozenset({"any"})
    replay: bool = False
    dead_letter: bool = False
    queues: bool = False
    delays: bool = False
    dedupe_s: float = 0.0
    ack_wait_s: float = 30.0
    max_message_bytes: int = 1 << 20
    streams: bool = False
    cancels: bool = False
    push: bool = False
