"""The other kinds of plugin: serializers, registries, pub-sub back ends, result stores, balancers, middlewares, authenticators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from ..model.description import EndpointDescription
from ..model.message import Call, Event, Fault, GroupLag, Peer, Subscription, Verdict
from ..model.topology import Change, Generation, NodeRecord
from ..routing.claims import Claim, Standing
from .receipts import Ledger, Receipt


class Codec(Protocol):
    """Bound to one type, once. Caps hold before objects are built."""

    def encode(self, value: Any) -> Any:
        """`value` as bytes. Raises TypeError or ValueError (msgspec.MsgspecError is one) when it can't be encoded."""
        ...

    def decode(self, body: Any) -> Any:
        """The value in `body`. Raises ValueError (msgspec.ValidationError and DecodeError are) when it does not fit."""
        ...


class Serializer(Protocol):
    """Makes codecs. `content_type` is what HTTP calls it, such as ``application/json``."""

    content_type: str

    def codec(self, shape: Any) -> Codec:
        """A codec for one type; called once per (endpoint, direction) at start-up. `shape` is a type; Any: untyped. Its
        `decode` refuses more than `message_limit(shape, env.limits)` bytes before it builds anything."""
        ...


class Taken(str):
    """A reason why a lease was lost: another process announced the same node id. Announcing again would start a fight."""

    __slots__ = ()


class Anew(str):
    """A reason why a lease was lost: the registry started anew, as it does when another node takes it over. Nothing is wrong."""

    __slots__ = ()


class Lease(Protocol):
    """What keeps a node known. It renews itself; `lost` resolves with the reason when it was fenced or expired: announce
    again, with a new generation - but for a :class:`Taken`. An :class:`Anew` is no cause for a warning."""

    generation: Generation
    lost: asyncio.Future[str]

    async def update(self, record: NodeRecord) -> None:
        """The record of the node changed. Raises errors.Unavailable when the registry can't be reached in time."""

    async def withdraw(self) -> None:
        """The node leaves: removed at once. Idempotent."""


class Registry(Protocol):
    """Stores records of nodes and streams changes. Activation and cycles are judged by each NODE from its watch."""

    async def announce(self, record: NodeRecord) -> Lease:
        """Make `record` known, also on behalf of a foreign node; within ``[timing] dial``, since a host that stops waits for the
        answer: it is never cancelled half-way. Raises errors.Unavailable."""
        ...

    def watch(self, services: frozenset[str] | None) -> AsyncIterator[Change]:
        """Changes that touch `services` (None: all): a snapshot first, then deltas in order."""
        ...

    async def aclose(self) -> None:
        """Let go of the back end; watches end. Idempotent."""


class Delivery(Protocol):
    """One delivery of one event to one consumer. `gap`: events lost before this one (fan-out); -1 unknown."""

    event: Event
    count: int
    gap: int

    def settle(self, verdict: Verdict) -> Awaitable[None]:
        """Say what became of it; once, except "extend". Awaiting it waits for the back end, for the ack wait at most: the awaitable
        raises errors.Unavailable, "unknown", when it did not confirm by then, for the event comes again anyway."""
        ...


class Consumer(Protocol):
    """A running subscription."""

    def pause(self) -> None:
        """Drain began: deliver nothing new; what is being handled may still be settled."""

    async def pending(self) -> int:
        """Events that wait for this consumer's group, -1 when the back end can't say."""
        ...

    async def aclose(self) -> None:
        """End the subscription; what was not settled goes back to its group. Idempotent."""


class PubSub(Protocol):
    """A bus of events."""

    def publish(self, event: Event, *, deadline: float) -> Awaitable[None]:
        """Hand over `event`, a plain def: the publishes of one loop turn are one batch. Awaiting: the back end has it, to
        the durability it declares. The awaitable raises errors.Unavailable, errors.Overloaded, errors.DeadlineExceeded."""
        ...

    async def subscribe(self, subscription: Subscription, deliver: Callable[[Delivery], None]) -> Consumer:
        """Deliver matching events to `deliver`, at most `subscription.concurrency` unsettled. Raises NotSupported."""
        ...

    async def aclose(self) -> None:
        """Flush and let go of the back end. Idempotent."""


Take = Callable[[bytes, int, float, Ledger, Any], Receipt]
"""(envelope, bytes of its body, deadline, ledger, entry): hand over one event as `PubSub.publish` does. The receipt has that ledger and
that entry, and what fails at once has told it so."""


@runtime_checkable
class TakesEnvelopes(Protocol):
    """Optional, for a bus to which an event is bytes and nothing else: what is the same of all events of a kind is looked up once."""

    def envelopes(self, service: str, version: str, name: str) -> Take:
        """What takes events of this kind, packed (`pack`), which have no key, and an id that nobody else has."""
        ...


@runtime_checkable
class DeadLetters(Protocol):
    """Optional, where `Guarantees.dead_letter`: what was given up on."""

    async def letterboxes(self) -> list[tuple[Subscription, int]]:
        """Each group of any topic that has dead letters, and how many; `member` is empty. Raises errors.VykedError."""
        ...

    def dead(self, subscription: Subscription) -> AsyncIterator[tuple[Event, str, int]]:
        """(event, cause, deliveries) of each dead letter of the group, oldest first. Raises errors.VykedError."""
        ...

    async def discard(self, event_id: str, *, replay: bool, group: str | None = None) -> None:
        """Forget one, or put it back with its count at 0: in every group that has it, or in `group` alone. Raises KeyError when
        there is none, errors.VykedError."""


@runtime_checkable
class KnowsGroups(Protocol):
    """Optional, for a bus that keeps events for groups nobody of whom is there: `why event` asks."""

    async def groups(self, service: str, major: int, name: str) -> list[tuple[str, int, int]]:
        """(group, members that are there, events that wait) of each group of one topic. Raises errors.VykedError."""
        ...


@runtime_checkable
class KnowsLag(Protocol):
    """Optional, for a bus that keeps events for groups: `ps` and metrics ask."""

    async def lag(self, groups: frozenset[str] | None = None) -> list[GroupLag]:
        """How far each group of any topic is behind, members or not; `groups`: those of these names alone. Raises
        errors.VykedError."""
        ...


@runtime_checkable
class EndsGroups(Protocol):
    """Optional, for a bus that keeps events for groups nobody of whom is there: `dlq end` asks for it."""

    async def end_group(self, service: str, major: int, name: str, group: str) -> int:
        """Forget a group of one topic that has no members, with what waits for it and its dead letters: how many events those were. Who
        subscribes for it later begins anew. Raises KeyError when there is no such group, errors.NotSupported while it has
        members, errors.VykedError."""
        ...


class ResultStore(Protocol):
    """Keeps what calls with an idempotency key gave, so that the same key gives the same again. `key` is a digest in hex digits;
    what becomes of it is decided by `routing.claims`, in one step at the place where the records are. Each method may be called
    twice for one thing, and raises errors.Unavailable by its own deadline where the store does not answer."""

    async def open(self) -> str:
        """Connect. The answer names what is behind it: the same text for all that share their records, and for nobody else.
        Raises errors.StartError."""
        ...

    async def claim(self, key: str, claim: Claim, *, deadline: float) -> Standing:
        """`claims.claimed`, by monotonic `deadline`. A held key is kept until it is settled or taken over, at least for 20 times
        ``[timing] key_lease``. Raises errors.Overloaded when there is no room for one more."""
        ...

    async def renew(self, key: str, token: str) -> bool:
        """`claims.renewed`. False: `token` does not hold it any more."""
        ...

    async def settle(self, key: str, token: str, outcome: bytes | None) -> bool:
        """`claims.settled`; an outcome is kept for as long as the options say. False: `token` did not hold it any more."""
        ...

    async def aclose(self) -> None:
        """Write what is under way and let go of the back end. Idempotent."""


class Candidate(Protocol):
    """One instance that a call may go to. `in_flight`: calls of this client that wait for its answer; `ewma_s`: what an answer
    takes, in seconds, for a balancer to keep (the host leaves it alone), 0.0 at first."""

    node_id: str
    labels: Mapping[str, str]
    weight: float
    in_flight: int
    ewma_s: float
    usable: bool


class Balancer(Protocol):
    """Chooses an instance per call. One object per client (consumer and target service)."""

    def update(self, candidates: Sequence[Candidate]) -> None:
        """Who can be chosen changed: an instance came, went, changed its weight or labels, or is no longer usable, or is again. Given
        are the usable ones, or all while none is; may take O(n). Never called with an empty set."""

    def choose(self, call: Call) -> Candidate:
        """One of the candidates of the last update, in O(1): of two hundred it costs what it costs of two."""
        ...


@runtime_checkable
class ObservesOutcomes(Protocol):
    """Optional for a balancer: it is told how each call ended."""

    def observed(self, candidate: Candidate, fault: Fault | None, elapsed_s: float) -> None:
        """A call to `candidate` ended after `elapsed_s`; `fault` None: it succeeded."""


Proceed = Callable[[Any], Awaitable[Any]]
"""Takes the decoded input; everything else is in service.context()."""


class Middleware(Protocol):
    """Wraps handlers and calls. Composed once per endpoint at start-up, never per call."""

    def wrap(
        self, endpoint: EndpointDescription, side: Literal["client", "server", "consumer"], proceed: Proceed
    ) -> Proceed:
        """What runs instead of `proceed`; `proceed` itself where there is nothing to add."""
        ...


class CallWatch(Protocol):
    """What hears how calls of one endpoint end. `slow_s`: of those that go well it hears where they took so many seconds."""

    slow_s: float

    def ended(self, arguments: Any, elapsed_s: float, error: BaseException | None) -> None:
        """A call has ended, `elapsed_s` after its handler was begun; `error` is what the handler raised, or its result. It runs in the
        context of the call, and must not block."""
        ...


@runtime_checkable
class WatchesCalls(Protocol):
    """A :class:`Middleware` that only looks at how calls end, as the access log does. As the outermost one around a handler with one answer
    it is told, and wraps nothing: the host takes the time of each call anyway. Elsewhere it wraps."""

    def watch(self, endpoint: EndpointDescription, side: Literal["server"]) -> CallWatch | None:
        """What hears of calls of `endpoint`; None where there is nothing to hear of."""
        ...


class Authenticator(Protocol):
    """Says who a peer is. Its answer is final: who wants the identity that a connection proved returns `peer.identity`."""

    def identify(self, hello: Mapping[str, str], peer: Peer) -> str | None:
        """The peer's identity; None: anonymous. `hello` is ``[security] identity`` of the peer, and over HTTP ``authorization``
        where a request has that header; `peer.identity` is what its certificate says, or ``mesh:NAME`` of one that proved the
        mesh secret. Must not block: it runs once per native connection, and once per HTTP request. Raises
        errors.Unauthenticated; anything else it raises refuses the peer too."""
        ...
