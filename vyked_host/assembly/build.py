"""The composition root: (settings, catalogue) -> Node. Everything is made and joined here, once; nothing is looked up by
name, reflected on or wrapped again after it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import msgspec

from ..config.effective import told
from ..contracts import Middleware, PubSub, Tls
from ..loading import Catalogue
from ..model.description import ServiceDescription, SubscriptionDescription
from ..model.message import Guarantees
from ..model.settings import Choice, Settings
from ..model.topology import NodeRecord
from ..model.version import parse
from ..runtime.codecs import Codecs
from ..runtime.directory import Directory
from ..runtime.dispatcher import Dispatcher
from ..runtime.failures import FailureLog
from ..runtime.health import Health
from ..runtime.hosted import Attached, Hosted
from ..runtime.inside import Share
from ..runtime.lag import LoopLag
from ..runtime.links import Link
from ..runtime.membership import Membership
from ..runtime.moments import Moments
from ..runtime.node import Node
from ..runtime.pending import Pending
from ..runtime.publisher import Publisher
from ..runtime.relay import Relays
from ..runtime.routes import Route
from ..runtime.subscriber import Subscriber
from ..runtime.tasks import TaskScope
from ..runtime.trail import EventTrail
from ..service.base import attach
from ..service.binding import handler, subscription_handler
from .clients import Clients
from .control import observe
from .environment import Workshop, bounds
from .guarantees import refuse_what_the_bus_lacks, verify_the_bus, verify_the_registry
from .hubs import Hubs, last_known, meeting_place
from .results import keys
from .services import Planned, refuse_contexts, refuse_twins

ACCESS_LOG = "logging"
EVENT_SERIALIZER = "json"
LOCAL_SERIALIZER = "msgpack"
BLOCKING_THREADS = "vyked-blocking"
"""What the threads of blocking handlers are called."""


class Chains(NamedTuple):
    """The middlewares of the three sides, outermost first."""

    server: tuple[Middleware, ...]
    client: tuple[Middleware, ...]
    consumer: tuple[Middleware, ...]


class Groups:
    """Names of consumer groups: the consumer service and its major version, so that renaming a handler loses no queue. A
    second handler of the same event in the same service is a group of its own, or each event would reach only one."""

    def __init__(self) -> None:
        self._taken: set[tuple[str, str, int, str]] = set()

    def of(self, consumer: ServiceDescription, wanted: SubscriptionDescription) -> str | None:
        """The group of one subscription; None: every instance."""
        if not wanted.exclusive:
            return None
        name = f"{consumer.name}@{parse(consumer.version).major}"
        if (name, wanted.service, wanted.major, wanted.event) in self._taken:
            return f"{name}/{wanted.handler}"
        self._taken.add((name, wanted.service, wanted.major, wanted.event))
        return name


class Composition:
    """One host while it is put together."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, planned: Sequence[Planned], *, is_alone: bool, may_hold: bool,
        tls: Mapping[str, Tls],
    ) -> None:  # fmt: skip
        self._is_alone = is_alone
        plain = told(settings)
        catalogue.hooks.configure(plain)
        self.settings, self.catalogue, self.planned = settings, catalogue, planned
        self.workshop = Workshop(settings, catalogue, catalogue.hooks.node_id(plain), tls)
        self.log = self.workshop.log
        self.workshop.callers = tuple(f"{each.description.name}/{each.description.version}" for each in planned)
        self.workshop.load_serializers()
        self.codecs = Codecs(self.workshop.serializers, LOCAL_SERIALIZER)
        self.chains = Chains(*(self._chain(each) for each in self._middleware()))
        self.threads = ThreadPoolExecutor(
            bounds(settings.limits, "blocking_threads"), thread_name_prefix=BLOCKING_THREADS
        )
        self.failures = FailureLog(self.workshop.clock, self.workshop.node_id)
        self.moments = Moments(self.workshop.clock, self.workshop.node_id, self.failures)
        self.lag = LoopLag(lambda lag_s: self.moments.note(lag_s, len(self.dispatcher.running)), self.log)
        self.trail = EventTrail(self.workshop.clock, self.workshop.node_id, self.failures)
        self.hubs = Hubs(
            self.workshop, self.threads, may_hold=may_hold, default=meeting_place(settings, is_alone=is_alone)
        )  # fmt: skip
        self.workshop.hub = self.hubs.at
        self.dispatcher = Dispatcher(
            clock=self.workshop.clock, log=self.log, in_flight_limit=bounds(settings.limits, "in_flight"),
            run=settings.host.runner, failures=self.failures, lag=self.lag, adaptive=settings.limits.adaptive,
        )  # fmt: skip
        self.lag.ticked = self.dispatcher.pacing.tick
        self.record = NodeRecord(
            node_id=self.workshop.node_id, namespace=self.workshop.environment("host").namespace,
            addresses=(), instances=(), labels=settings.host.labels,
        )  # fmt: skip
        dial_s = self.workshop.environment("host").timing.dial
        self.home = Link.local(self.record, self.dispatcher, self.workshop.dial, dial_s, LOCAL_SERIALIZER)
        self.directory = Directory(self.home, warm_up_s=self.workshop.environment("host").timing.lease)
        self.directory.dial_with(lambda record: Link(record, self.workshop.dial, dial_s))
        self.pending = Pending(limit=bounds(settings.limits, "pending"))
        self.clients = Clients(self)

    def _middleware(self) -> tuple[list[Choice], list[Choice], list[Choice]]:
        table = self.settings.middleware
        return table.server, table.client, table.consumer

    def _chain(self, choices: Sequence[Choice]) -> tuple[Middleware, ...]:
        wanted = [each for each in choices if each.use != ACCESS_LOG or self.settings.logging.access]
        return tuple(self.workshop.build("middleware", each.use, self._middleware_options(each)) for each in wanted)

    def _middleware_options(self, chosen: Choice) -> Any:
        """The access log follows [logging] unless its own table says otherwise."""
        options, table = chosen.options, self.settings.logging
        if chosen.use != ACCESS_LOG:
            return options
        plain = self.catalogue.provider("middleware", ACCESS_LOG).options()
        if options not in (None, plain):
            return options
        return msgspec.structs.replace(plain, slow_ms=table.slow_ms, every=table.access == "all")

    # ---- services --------------------------------------------------------------------------------------------------
    def hosted(self, publisher: Publisher, fakes: Mapping[str, Any]) -> list[Hosted]:
        """Every service attached to this host, its endpoints routed."""
        return [self._hosted(each, publisher, fakes) for each in self.planned]

    def _hosted(self, planned: Planned, publisher: Publisher, fakes: Mapping[str, Any]) -> Hosted:
        description = planned.description
        log = logging.getLogger(f"vyked.{description.name}")
        tasks = TaskScope(log)
        clients = self.clients.of(planned, fakes)
        relays = Relays(publisher, tasks, self.log, description.name)
        adapter = logging.LoggerAdapter(log, {"service": description.name})
        attached = Attached(
            log=adapter, options=planned.options, clients=clients, tasks=tasks, publisher=publisher, relays=relays
        )
        attach(planned.instance, attached, description)
        for endpoint in description.endpoints:
            run = handler(planned.instance, endpoint)
            self.dispatcher.add(Route(endpoint, run, self.chains.server, self.codecs, self.threads, self.keys))
        needs = tuple(each for each in description.dependencies if each.service not in fakes)
        timing = self.workshop.environment("host").timing
        return Hosted(
            msgspec.structs.replace(description, dependencies=needs), planned.instance, tasks, self.log,
            start_s=timing.start, stop_s=timing.stop, relays=relays,
        )  # fmt: skip

    def subscribers(self, tasks: TaskScope, guarantees: Guarantees) -> list[Subscriber]:
        """Every subscription of every service."""
        scale = self.settings.timing.scale
        content_types = {each.content_type: name for name, each in self.workshop.serializers.items()}
        groups, share = Groups(), Share(asyncio.get_running_loop())
        return [
            Subscriber(
                description=each,
                consumer=planned.description.name,
                consumer_major=parse(planned.description.version).major,
                member=self.workshop.node_id,
                group=groups.of(planned.description, each),
                handler=subscription_handler(planned.instance, each),
                chain=self.chains.consumer,
                codecs=self.codecs,
                serializers=content_types,
                tasks=tasks,
                clock=self.workshop.clock,
                log=self.log,
                handler_s=guarantees.ack_wait_s * scale,
                share=share,
                scale=scale,
                trail=self.trail,
                apart=self.settings.host.runner == "task",
            )
            for planned in self.planned
            for each in planned.description.subscriptions
        ]

    # ---- the whole -------------------------------------------------------------------------------------------------
    def publisher(self, pubsub: PubSub, guarantees: Guarantees) -> Publisher:
        """What @publish hands events to."""
        content_type = self.workshop.serializers[EVENT_SERIALIZER].content_type
        return Publisher(
            pubsub=pubsub, guarantees=guarantees, codecs=self.codecs, serializer=EVENT_SERIALIZER, content_type=content_type,
            clock=self.workshop.clock, node_id=self.workshop.node_id, log=self.log, trail=self.trail,
        )  # fmt: skip

    def node(self, fakes: Mapping[str, Any]) -> Node:
        """All of it, joined."""
        settings, workshop = self.settings, self.workshop
        guarantees = workshop.guarantees("pubsub", settings.pubsub.use, settings.pubsub.options)
        refuse_what_the_bus_lacks(settings.pubsub.use, guarantees, self.planned)
        workshop.open_transports()
        registry = workshop.build("registry", settings.registry.use, settings.registry.options)
        pubsub = workshop.build("pubsub", settings.pubsub.use, settings.pubsub.options)
        publisher = self.publisher(pubsub, guarantees)
        self.keys = keys(self)
        hosted = self.hosted(publisher, fakes)
        event_tasks = TaskScope(self.log)
        timing = workshop.environment("host").timing  # scaled
        membership = Membership(
            record=self.record, registry=registry, directory=self.directory, dispatcher=self.dispatcher, hosted=hosted,
            tasks=workshop.tasks, clock=workshop.clock, log=self.log, first_s=timing.dial, start_s=timing.start,
            scale=settings.timing.scale, last_known=last_known(workshop, is_alone=self._is_alone),
        )  # fmt: skip
        node = Node(
            settings=msgspec.structs.replace(settings, timing=timing), dispatcher=self.dispatcher, directory=self.directory, membership=membership,
            transports=workshop.transports, hosted=hosted, subscribers=self.subscribers(event_tasks, guarantees), publisher=publisher,
            pubsub=pubsub, registry=registry, clock=workshop.clock, tasks=workshop.tasks, event_tasks=event_tasks,
            health=Health(hosted, self.lag), lag=self.lag, threads=self.threads, log=self.log,
        )  # fmt: skip
        node.clients, node.hubs, node.keys = self.clients.made, self.hubs, self.keys
        workshop.generation, workshop.crowd = membership.generation, lambda: len(self.directory.nodes)
        provider = self.catalogue.provider("pubsub", settings.pubsub.use)
        node.verify = partial(verify_the_bus, provider, pubsub, self.planned, timing.start)
        keeper = self.catalogue.provider("registry", settings.registry.use)
        node.verify_registry = partial(verify_the_registry, keeper, registry, timing.start)
        self.dispatcher.statistics, self.dispatcher.readiness = node.statistics, node.readiness
        observe(self, node, self.moments)
        self._join_hooks(node)
        return node

    def _join_hooks(self, node: Node) -> None:
        hooks = self.catalogue.hooks
        node.health.add((check.name, check.check) for check in hooks.health_checks(node))
        node.lifespans = [(each.plugin, each.context) for each in hooks.lifespans(node)]
        node.phase_changed = lambda old, new: hooks.phase_changed(node, old, new)


def compose(
    settings: Settings, catalogue: Catalogue, planned: Sequence[Planned], *, fakes: Mapping[str, Any] | None = None,
    is_alone: bool = False, may_hold: bool = True, tls: Mapping[str, Tls] | None = None,
) -> tuple[Composition, Node]:  # fmt: skip
    """A node that is not started yet. `is_alone`: where the file names no place to meet, other hosts are neither looked
    for nor let in; `may_hold`: it may open that place for others; `tls`: what takes the place of ``[security.tls]`` for one back end, by
    kind and table ("transport.http"). Needs a running loop. Raises StartError, ConfigError,
    UsageError."""
    refuse_twins(planned)
    if not tls and settings.security.tls is None:
        refuse_contexts(planned)
    composition = Composition(settings, catalogue, planned, is_alone=is_alone, may_hold=may_hold, tls=tls or {})
    return composition, composition.node(fakes or {})
