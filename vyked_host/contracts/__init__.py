"""All that a plugin author sees: a plugin imports nothing else of ours. Protocols of at most five methods, the values they
exchange, `Provider`, `Guarantees`, `Environment`, the hooks and `hookimpl`. SPI version: `SPI_VERSION`.
"""

from __future__ import annotations

from ..errors import Code, Executed
from ..model.description import (
    DeclaredError,
    Dependency,
    EndpointDescription,
    HttpBinding,
    Kind,
    ServiceDescription,
    Surface,
)
from ..model.message import INITIAL_CREDIT, Call, Event, Fault, Guarantees, Peer, Subscription, Verdict
from ..model.settings import LimitsTable, TimingTable
from ..model.shapes import message_limit
from ..model.topology import Address, Change, Doubt, Generation, Instance, NodeRecord
from ..model.values import Value
from ..model.version import compatible, parse
from ..routing.backlog import Backlog
from ..routing.backoff import Backoff
from ..wire.envelope import MalformedEnvelope, pack, unpack
from .calls import Calls, Channel, CreditSink, Listener, Running, Sink, Transport
from .environment import Clock, Environment, HostView, Net, TaskScope, Tls
from .hookspecs import hookimpl, hookspec
from .hub import Desk, Hub, Term
from .kinds import (
    Anew,
    Authenticator,
    Balancer,
    Candidate,
    Codec,
    Consumer,
    DeadLetters,
    Delivery,
    EndsGroups,
    KnowsGroups,
    Lease,
    Middleware,
    ObservesOutcomes,
    Proceed,
    PubSub,
    Registry,
    Serializer,
    Taken,
)
from .provider import SPI_VERSION, NoOptions, Provider
from .trust import Trust

__all__ = [
    "INITIAL_CREDIT", "SPI_VERSION", "Address", "Anew", "Authenticator", "Backlog", "Backoff", "Balancer", "Call", "Calls", "Candidate", "Change",
    "Channel", "Clock", "Code", "Codec", "Consumer", "CreditSink", "DeadLetters", "DeclaredError", "Delivery",
    "Dependency", "Desk", "Doubt", "EndpointDescription", "EndsGroups", "Environment", "Event", "Executed", "Fault", "Generation", "Guarantees",
    "HostView", "HttpBinding", "Hub", "Instance", "Kind", "KnowsGroups", "Lease", "LimitsTable", "Listener", "MalformedEnvelope", "Middleware", "Net", "NoOptions",
    "NodeRecord", "ObservesOutcomes", "Peer", "Proceed", "Provider", "PubSub", "Registry", "Running", "Serializer",
    "ServiceDescription", "Sink", "Subscription", "Surface", "Taken", "TaskScope", "Term", "TimingTable", "Tls", "Transport", "Trust", "Value",
    "Verdict", "compatible", "hookimpl", "hookspec", "message_limit", "pack", "parse", "unpack",
]  # fmt: skip
