"""All that a plugin author sees: a plugin imports nothing else of ours. Protocols of at most five methods, the values they
exchange, `Provider`, `Guarantees`, `Environment`, the hooks and `hookimpl`. SPI version: `SPI_VERSION`.
"""

from __future__ import annotations

from ..catalog.news import News
from ..catalog.sightings import Departing, Sightings
from ..catalog.state import Rules
from ..errors import Away, Code, Executed, Unfit
from ..model.description import (
    DeclaredError,
    Dependency,
    EndpointDescription,
    HttpBinding,
    Kind,
    ServiceDescription,
    Strategy,
    Surface,
)
from ..model.message import INITIAL_CREDIT, Call, Event, Fault, GroupLag, Guarantees, Peer, Subscription, Verdict
from ..model.queues import group_of as queue_group
from ..model.queues import is_queue
from ..model.queues import refusal as queue_refusal
from ..model.settings import LimitsTable, TimingTable
from ..model.shapes import message_limit
from ..model.topology import GUEST, Address, Change, Doubt, Generation, Instance, NodeRecord, Status
from ..model.values import Value
from ..model.version import compatible, parse
from ..routing.abandonment import ABANDONED_S, Abandonment
from ..routing.backlog import Backlog
from ..routing.backoff import Backoff
from ..routing.claims import Claim, Hold, Record, Standing, claimed, renewed, settled
from ..routing.patience import Patience
from ..wire.envelope import MalformedEnvelope, pack, unpack
from ..wire.metadata import pack as pack_headers
from ..wire.metadata import unpack as unpack_headers
from .calls import Calls, Channel, CreditSink, Entered, Listener, Running, RunsHere, Sink, Transport
from .confirmation import Confirmation
from .environment import Clock, Environment, HostView, Net, TaskScope, Tls
from .hookspecs import hookimpl, hookspec
from .hub import Desk, Hub, Term
from .kinds import (
    Anew,
    Authenticator,
    Balancer,
    CallWatch,
    Candidate,
    Codec,
    Consumer,
    DeadLetters,
    Delivery,
    EndsGroups,
    KnowsGroups,
    KnowsLag,
    Lease,
    Middleware,
    ObservesOutcomes,
    Proceed,
    PubSub,
    Registry,
    ResultStore,
    Serializer,
    Take,
    Taken,
    TakesEnvelopes,
    WatchesCalls,
)
from .provider import SPI_VERSION, NoOptions, Provider
from .receipts import NOBODY, Ledger, Receipt, accepted
from .settlement import Settlement
from .trust import Trust

__all__ = [
    "ABANDONED_S", "GUEST", "INITIAL_CREDIT", "NOBODY", "SPI_VERSION", "Abandonment", "Address", "Anew", "Authenticator", "Away", "Backlog", "Backoff", "Balancer", "Call", "CallWatch", "Calls", "Candidate", "Change",
    "Channel", "Claim", "Clock", "Code", "Codec", "Confirmation", "Consumer", "CreditSink", "DeadLetters", "DeclaredError", "Delivery",
    "Departing", "Dependency", "Desk", "Doubt", "EndpointDescription", "EndsGroups", "Entered", "Environment", "Event", "Executed",
    "Fault", "Generation", "GroupLag", "Guarantees", "Hold", "HostView", "HttpBinding", "Hub", "Instance", "Kind",
    "KnowsGroups", "KnowsLag", "Lease", "Ledger", "LimitsTable", "Listener", "MalformedEnvelope", "Middleware", "Net", "News",
    "NoOptions", "NodeRecord", "ObservesOutcomes", "Patience", "Peer", "Proceed", "Provider", "PubSub", "Receipt", "Record", "Registry",
    "ResultStore", "Rules", "Running", "RunsHere", "Serializer", "ServiceDescription", "Settlement", "Sightings", "Sink", "Standing",
    "Status", "Strategy", "Subscription", "Surface", "Take", "Taken", "TakesEnvelopes", "TaskScope", "Term", "TimingTable", "Tls", "Transport", "Trust", "Unfit", "Value",
    "Verdict", "WatchesCalls", "accepted", "claimed", "compatible", "hookimpl", "hookspec", "is_queue", "message_limit", "pack", "pack_headers", "parse",
    "queue_group", "queue_refusal", "renewed", "settled", "unpack", "unpack_headers",
]  # fmt: skip
