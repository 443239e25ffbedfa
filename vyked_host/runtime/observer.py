"""A node looked at from inside, when somebody asks: its state, what it knows of others, what became of calls and events."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TypeVar

from ..contracts import DeadLetters, Generation, GroupLag, KnowsGroups, KnowsLag
from ..errors import VykedError, __version__
from ..model.names import split_topic
from ..model.report import (
    Behind,
    DeadLetter,
    Failures,
    GroupState,
    InstanceReport,
    Misfit,
    NodeReport,
    Seen,
    SubscriptionReport,
    Trail,
    View,
    is_own,
    need,
    without_text,
)
from ..model.topology import Instance
from .failures import FailureLog
from .hosted import Hosted
from .invocation import Invocation
from .moments import Departures, Moments
from .node import Node
from .outcomes import invalid_fault
from .pending import Pending
from .subscriber import Subscriber
from .trail import EventTrail

T = TypeVar("T")
BUS_S = 1.0
"""How long the bus is waited for: less than who looks at this node waits for it, who wants to see most of all a node whose bus is away."""
LAG_S = 2.0
"""The same for all groups of the mesh, which may be many."""


class Observer:
    """Of one node."""

    def __init__(
        self, node: Node, *, failures: FailureLog, trail: EventTrail, moments: Moments, departures: Departures,
        pending: Pending, name: str, mesh: str, generation: Callable[[], Generation | None],
    ) -> None:  # fmt: skip
        self._node, self._pending = node, pending
        self._failures, self._trail, self.moments, self._departures = failures, trail, moments, departures
        self._name, self._mesh, self._generation = name, mesh, generation

    # ---- state -----------------------------------------------------------------------------------------------------
    async def report(self) -> NodeReport:
        """All there is to say of this node now."""
        node, clock = self._node, self._node.clock
        up_s = clock.now() - node.began
        running = [each for each in node.dispatcher.running if not is_own(each.route.endpoint.service)]
        generation = self._generation()
        pending = await asyncio.gather(*(within(each.pending(), -1) for each in node.subscribers))
        return NodeReport(
            node=node.record.node_id, host=self._name, mesh=self._mesh, version=__version__, pid=os.getpid(),
            labels=node.record.labels, phase=node.phase, since=clock.unix() - up_s, uptime_s=up_s, now=clock.unix(),
            addresses=node.addresses, instances=tuple(self._instance(each, running) for each in node.record.instances),
            subscriptions=tuple(map(_subscription, node.subscribers, pending)),
            in_flight=len(running), waiting=len(self._pending), lag_s=node.lag.lag_s,
            connections={name: getattr(each, "connections", 0) for name, each in node.listeners.items()},
            memory=resident(), published=node.publisher.published, publish_failed=node.publisher.failed,
            generation=f"{generation.epoch:x}.{generation.counter}" if generation is not None else "",
            registry=node.settings.registry.use, pubsub=node.settings.pubsub.use,
            places=node.dispatcher.pacing.report(),
        )  # fmt: skip

    def _instance(self, found: Instance, running: list[Invocation]) -> InstanceReport:
        node, key = self._node, (found.service, found.version)
        hosted = [each for each in node.hosted if (each.name, each.description.version) == key]
        counters = [
            each.counters for each in node.dispatcher.routes if (each.endpoint.service, each.endpoint.version) == key
        ]
        oldest = next((each for each in running if each.route.endpoint.service == found.service), None)
        return InstanceReport(
            service=found.service, version=found.version,
            status="draining" if node.phase == "draining" else found.status, since=self._since(hosted),
            needs=tuple(need(each) for one in hosted for each in one.description.dependencies),
            missing=node.membership.missing.get(f"{found.service}/{found.version}", ()),
            in_flight=sum(each.in_flight for each in counters),
            oldest=oldest.route.endpoint.path if oldest is not None else "",
            oldest_s=node.clock.now() - oldest.began if oldest is not None else 0.0,
            ok=sum(each.ok for each in counters), failed=sum(each.failed for each in counters),
        )  # fmt: skip

    def _since(self, hosted: list[Hosted]) -> float:
        clock = self._node.clock
        return clock.unix() - (clock.now() - max((each.since for each in hosted), default=self._node.began))

    def progress(self) -> tuple[str, int, tuple[str, ...]]:
        """How far a drain is: the phase, how many calls and handlers of events still run, and which."""
        running = [each.route.endpoint.path for each in self._node.dispatcher.running]
        paths = [path for path in running if not is_own(path.partition(".")[0])]
        handlers = self._node.event_tasks.names()
        return self._node.phase, len(paths) + len(handlers), tuple(sorted({*paths, *handlers}))

    async def lag(self) -> Behind:
        """How far each group is behind, as the bus says it."""
        bus = self._node.pubsub
        unknown: list[GroupLag] | None = None
        found = await within(bus.lag(), unknown, LAG_S) if isinstance(bus, KnowsLag) else None
        return Behind(is_known=False) if found is None else Behind(groups=tuple(found))

    # ---- the others ------------------------------------------------------------------------------------------------
    def view(self, services: frozenset[str]) -> View:
        """What this node knows of `services`."""
        records, doubts = self._node.directory.known, self._node.directory.doubts
        seen = tuple(
            Seen(
                node=record.node_id, service=each.service, version=each.version, status=each.status,
                doubt=doubts.get(record.node_id),
            )
            for record in records.values() for each in record.instances if each.service in services
        )  # fmt: skip
        known = {each.service for record in records.values() for each in record.instances}
        return View(
            node=self._node.record.node_id, instances=seen, gone=self._departures.of(services),
            services=tuple(sorted(name for name in known if not is_own(name))),
        )  # fmt: skip

    # ---- failures and events ---------------------------------------------------------------------------------------
    def failures(self, since: float) -> Failures:
        """Those after `since` (seconds since 1970)."""
        return Failures(
            node=self._node.record.node_id,
            calls=tuple(each for each in self._failures.calls if each.at >= since),
            deliveries=tuple(each for each in self._failures.deliveries if each.at >= since),
        )

    def calls(self, call_id: str) -> Failures:
        """The failed calls that go by `call_id`, or by that name in a log."""
        own = self._node.record.node_id
        wanted = {call_id, f"{own}{call_id.removeprefix('local')}" if call_id.startswith("local-") else call_id}
        found = tuple(each for each in self._failures.calls if each.id in wanted or each.log_id == call_id)
        return Failures(node=own, calls=found)

    async def trail(self, event_id: str, topic: str) -> Trail:
        """What is known of one event, dead letters of `topic` included where the bus keeps them."""
        found, bus = self._trail.of(event_id), self._node.pubsub
        topics = {topic, *(each.topic for each in found.published), *(each.topic for each in found.delivered)}
        read = [each for each in self._node.subscribers if each.subscription.group is not None and each.topic in topics]
        letters = [] if not isinstance(bus, DeadLetters) else [_letters(bus, each, event_id) for each in read]
        dead = await asyncio.gather(*(within(each, []) for each in letters))
        groups = await asyncio.gather(*(within(groups_of(bus, each), []) for each in sorted(topics)))
        return Trail(
            node=found.node, groups=tuple(chain(*groups)), published=found.published, delivered=found.delivered,
            dead=tuple(chain(*dead)), remembers_since=found.remembers_since,
        )  # fmt: skip

    def misfits(self, topic: str, content_type: str, body: bytes) -> list[Misfit]:
        """The handlers of `topic` that can't read it."""
        found = (misfit(each, content_type, body) for each in self._node.subscribers if each.topic == topic)
        return [each for each in found if each is not None]


async def within(asked: Awaitable[T], unknown: T, seconds: float = BUS_S) -> T:
    """What the bus says; `unknown` where it is away, or does not say so soon."""
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except (VykedError, TimeoutError):
        return unknown


def misfit(asked: Subscriber, content_type: str, body: bytes) -> Misfit | None:
    """Why a handler can't read this payload, if so: an event with it would be refused."""
    decode = asked.decoders.get(content_type)
    if decode is None:
        return Misfit(handler=asked.path, message=f"{asked.path}: no serializer there for {content_type}")
    try:
        decode(body)
    except ValueError as error:
        fault = invalid_fault(asked.endpoint, error)
        return Misfit(handler=asked.path, message=fault.message, field=str((fault.details or {}).get("field", "")))
    return None


def _subscription(each: Subscriber, pending: int) -> SubscriptionReport:
    return SubscriptionReport(
        topic=each.topic, handler=each.path, group=each.subscription.group, since=each.since, pending=pending,
        in_flight=each.counters.in_flight, ok=each.counters.ok, failed=each.counters.failed, gaps=each.gaps,
    )  # fmt: skip


async def _letters(bus: DeadLetters, subscriber: Subscriber, event_id: str) -> list[DeadLetter]:
    group = str(subscriber.subscription.group)
    return [
        DeadLetter(group=group, cause=without_text(cause), deliveries=count)
        async for event, cause, count in bus.dead(subscriber.subscription)
        if event.id == event_id
    ]


async def groups_of(bus: object, topic: str) -> list[GroupState]:
    """What the bus knows of the groups of a topic; nothing where it does not keep any. Raises Unavailable."""
    if not topic or not isinstance(bus, KnowsGroups):
        return []
    service, name, major = split_topic(topic)
    found = await bus.groups(service, major or 0, name)
    return [GroupState(group=group, members=members, pending=pending) for group, members, pending in found]


def resident() -> int:
    """Bytes of memory that this process has: now where /proc says it, else the most it had."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
