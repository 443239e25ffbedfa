"""What a node says of itself when it is asked: its state, its failures, its events. Plain values that travel; no payload is
ever in them. Times called `at` and `since` are seconds since 1970, for people; durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .description import Dependency
from .message import GroupLag
from .topology import Address, Doubt, Status
from .values import Value

CONTROL = "vyked-control"
"""The service by which a node is asked. It is every node's, so it counts as no instance and is shown in no list."""


def is_own(service: str) -> bool:
    """Is it the host's own, not a user's?"""
    return service == CONTROL


# ---- state -----------------------------------------------------------------------------------------------------------
class Need(Value):
    """A dependency of a service."""

    service: str
    version: str | None
    required: bool


def need(dependency: Dependency) -> Need:
    """`dependency` without its types."""
    return Need(service=dependency.service, version=dependency.version, required=dependency.required)


class InstanceReport(Value):
    """One service at the node that reports. `missing` names required services without a usable instance, as this node
    sees it; `oldest` is the endpoint that has been running longest, for `oldest_s`."""

    service: str
    version: str
    status: Status
    since: float
    needs: tuple[Need, ...] = ()
    missing: tuple[str, ...] = ()
    in_flight: int = 0
    oldest: str = ""
    oldest_s: float = 0.0
    ok: int = 0
    failed: int = 0


class SubscriptionReport(Value):
    """One handler of an event. `group` None: every instance hears it. `pending` -1: its bus can't say."""

    topic: str
    handler: str
    group: str | None
    since: float
    pending: int
    in_flight: int = 0
    ok: int = 0
    failed: int = 0
    gaps: int = 0


class InFlight(Value):
    """The places of a node: calls that are `running`, how many may at once by now, and at `most` by its configuration (None: any
    number); how many calls were `refused` since its start because it had too much to do."""

    running: int = 0
    limit: int | None = None
    most: int | None = None
    refused: int = 0


class NodeReport(Value):
    """One node. `lag_s`: how late its event loop is; `memory` is its resident size in bytes, 0 where it can't be told. `places` None:
    its release does not say."""

    node: str
    host: str
    mesh: str
    version: str
    pid: int
    labels: Mapping[str, str]
    phase: str
    since: float
    uptime_s: float
    now: float
    addresses: tuple[Address, ...]
    instances: tuple[InstanceReport, ...]
    subscriptions: tuple[SubscriptionReport, ...]
    in_flight: int
    waiting: int
    lag_s: float
    connections: Mapping[str, int]
    memory: int
    published: int
    publish_failed: int
    generation: str = ""
    registry: str = ""
    pubsub: str = ""
    places: InFlight | None = None


# ---- what a node knows of the others -----------------------------------------------------------------------------------
class Seen(Value):
    """One instance as another node knows it."""

    node: str
    service: str
    version: str
    status: Status
    doubt: Doubt | None = None


class Departure(Value):
    """A node that was known and is no longer; `services` are those it had, as ``service@version``."""

    node: str
    at: float
    services: tuple[str, ...]


class View(Value):
    """What one node knows of some services: their instances, the nodes gone that had one, and every name there is."""

    node: str
    instances: tuple[Seen, ...]
    gone: tuple[Departure, ...]
    services: tuple[str, ...]


# ---- failures --------------------------------------------------------------------------------------------------------
Side = Literal["caller", "callee"]


class FailedCall(Value):
    """One call, or one attempt of it, that failed, as seen from `side`. Both sides know it by `caller_node`, `instance` and
    `number`; `id` is what its error says, `log_id` what stands in the callee's log beside a traceback. `text` holds the
    host's own words only, `cause` the type of an exception and where it was raised. The four durations say where the time
    went: the first two at the caller, the others at the callee; `budget_s` is what was left when that side began."""

    id: str
    at: float
    side: Side
    node: str
    endpoint: str
    caller: str
    caller_node: str
    instance: str
    number: int
    code: str
    executed: str
    attempt: int = 1
    type: str = ""
    text: str = ""
    cause: str = ""
    log_id: str = ""
    dialling_s: float = 0.0
    waiting_s: float = 0.0
    queued_s: float = 0.0
    running_s: float = 0.0
    budget_s: float = 0.0
    in_flight: int = 0
    lag_s: float = 0.0


class FailedDelivery(Value):
    """One delivery whose handler did not end well. `verdict` is retry or reject."""

    event_id: str
    at: float
    node: str
    topic: str
    handler: str
    group: str | None
    count: int
    verdict: str
    cause: str
    seconds: float


class Failures(Value):
    """The last failures of a node, oldest first."""

    node: str
    calls: tuple[FailedCall, ...] = ()
    deliveries: tuple[FailedDelivery, ...] = ()


class Moment(Value):
    """How a node was in a span of time: the worst lag and the most calls that ran, and what else failed then, as
    ``endpoint CODE`` -> how often. `samples` 0: nothing is known of that time."""

    node: str
    samples: int
    lag_s: float
    in_flight: int
    failed: Mapping[str, int]


# ---- events ----------------------------------------------------------------------------------------------------------
class Publication(Value):
    """An event that the reporting node handed to its bus. `outcome` "": accepted; "waiting": not yet."""

    event_id: str
    at: float
    node: str
    topic: str
    outcome: str
    seconds: float


class DeliveryReport(Value):
    """One delivery to a handler of the reporting node. `verdict`: running, ack, retry, reject or lost."""

    event_id: str
    at: float
    node: str
    topic: str
    handler: str
    group: str | None
    count: int
    verdict: str
    cause: str
    seconds: float


class DeadLetter(Value):
    """An event that a group has given up."""

    group: str
    cause: str
    deliveries: int


class GroupState(Value):
    """A consumer group as the bus knows it: how many members are there, how many events wait for it."""

    group: str
    members: int
    pending: int


class Behind(Value):
    """How far each group of the mesh is behind. `is_known` False: the bus can't say, or not now."""

    groups: tuple[GroupLag, ...] = ()
    is_known: bool = True


class Trail(Value):
    """What one node knows of one event. `remembers_since` is the age of the oldest event it still remembers."""

    node: str
    published: tuple[Publication, ...] = ()
    delivered: tuple[DeliveryReport, ...] = ()
    dead: tuple[DeadLetter, ...] = ()
    groups: tuple[GroupState, ...] = ()
    remembers_since: float = 0.0


class Misfit(Value):
    """A handler of an event, and why it can't read a payload; `field` is the path of what is at fault, where it is one field."""

    handler: str
    message: str
    field: str = ""


def without_text(cause: str) -> str:
    """The cause of a dead letter without an exception's own text, which may quote the payload."""
    head, bracket, _ = cause.partition("(")
    return head if bracket and head.rpartition(" ")[2].isidentifier() else cause
