"""The hubs of one host, one for each address that a back end names, made of the native transport."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..contracts import Address, Calls, Channel, Environment, Hub, Listener, Provider, Serializer, Surface, Transport
from ..errors import StartError
from ..model.settings import LimitsTable, Settings
from ..routing.meeting import Place, place, places
from ..runtime.codecs import Codecs
from ..runtime.desks import Counter
from ..runtime.hub import AGAIN, MeshHub
from ..runtime.last_known import LastKnown
from ..runtime.pending import Pending
from ..runtime.private_hub import PrivateHub
from ..runtime.probe import Probe
from ..runtime.terms import Caller

if TYPE_CHECKING:
    from .environment import Workshop

PRIVATE, EMBEDDED, STATIC = "none", "embedded", "static"
NATIVE, SERIALIZER = "tcp", "msgpack"
HEIR = 0.5
"""The share of ``[timing] stop`` that a holder of the hub which stops looks for the next one: the rest is for handing over."""
MESSAGE_BYTES = 4 << 20
"""What a hub takes as one message: an event as large as a bus takes it, with its envelope, or a piece of a snapshot."""


class Hubs:
    """What `Environment.hub` gives. `default`: where a back end meets the others that names no address, None: at the mesh's own
    places, and "none": inside this process; `may_hold`: this host may open a hub for the others."""

    def __init__(
        self, workshop: Workshop, threads: ThreadPoolExecutor, *, may_hold: bool, default: str | None = None
    ) -> None:
        self._workshop, self._threads = workshop, threads
        self._default, self._may_hold = default, may_hold
        self._hubs: dict[str, PrivateHub | MeshHub] = {}

    def at(self, address: str | None) -> Hub:
        """The hub at `address`, the same for all who ask. Raises StartError when it is no address."""
        where = address or self._default
        key = where or ""
        found = self._hubs.get(key)
        if found is None:
            found = self._hubs[key] = PrivateHub(self._workshop.node_id) if key == PRIVATE else self._mesh(where)
        return found

    async def open(self) -> None:
        """Join or hold each. Raises StartError."""
        for hub in self._hubs.values():
            await hub.open()

    async def aclose(self) -> None:
        """Leave each. Idempotent."""
        for hub in self._hubs.values():
            await hub.aclose()

    def _mesh(self, address: str | None) -> MeshHub:
        workshop, native = self._workshop, Native(self._workshop)
        env = native.env
        caller = Caller(
            codecs=native.codecs, clock=env.clock, pending=Pending(limit=None), tasks=workshop.tasks, mesh=env.namespace
        )  # fmt: skip
        return MeshHub(
            places=_places(address, env.namespace),
            node_id=env.node_id,
            probe=Probe(
                mesh=env.namespace,
                dial=native.dial,
                dial_s=env.timing.dial,
                caller=caller,
                clock=env.clock,
                spawn=workshop.tasks.spawn,
            ),
            serve=native.serve,
            counter=lambda: Counter(native.codecs, workshop.clock, self._threads, env.log),
            may_hold=self._may_hold,
            patience_s=env.timing.start,
            look_s=env.timing.ping,
            heir_s=HEIR * env.timing.stop,
            crowd=lambda: workshop.crowd(),
            again=msgspec.structs.replace(AGAIN, most=max(AGAIN.first, AGAIN.most * env.timing.scale)),
            clock=env.clock,
            rng=env.rng,
            tasks=workshop.tasks,
            log=env.log,
        )


def meeting_place(settings: Settings, *, is_alone: bool) -> str | None:
    """Where the back ends of a host meet the others when they name no address: where its registry does. `is_alone`: a host that
    says nothing at all stays by itself."""
    registry = settings.registry
    given = getattr(registry.options, "address", None) if registry.use.rpartition(":")[2] == EMBEDDED else None
    return given or (PRIVATE if is_alone else None)


def _places(address: str | None, mesh: str) -> tuple[Place, ...]:
    try:
        return (place(address),) if address else places(mesh)
    except ValueError as error:
        raise StartError(f"the hub's {error}") from error


class Native:
    """The native transport with what a hub needs: larger messages, and no cap per peer, since its peers are nodes."""

    def __init__(self, workshop: Workshop) -> None:
        self._provider: Provider[Transport] = workshop.catalogue.provider("transport", NATIVE)
        self._serializers: dict[str, Serializer] = {}
        plain = workshop.environment("hub")
        self.env: Environment = msgspec.structs.replace(
            plain,
            limits=_roomier(plain.limits),
            serializers=lambda: dict(self._serializers),
            trust=plain.trust.for_members(),
        )
        maker: Provider[Serializer] = workshop.catalogue.provider("serializer", SERIALIZER)
        self._serializers[SERIALIZER] = maker.build(maker.options(), self.env)
        self.codecs = Codecs(self._serializers, SERIALIZER)
        self._dialer = self._transport()

    async def dial(self, address: Address, deadline: float) -> Channel:
        """A channel to whoever listens there."""
        return await self._dialer.dial(address, deadline=deadline)

    async def serve(self, where: Place, calls: Calls, surface: Surface) -> Listener:
        """Listen at a place. Raises StartError, with `in_use` set when somebody else does."""
        return await self._transport(host=where.host, port=where.port).serve(calls, surface)

    def _transport(self, **options: Any) -> Transport:
        return self._provider.build(self._provider.options(**options), self.env)


def _roomier(limits: LimitsTable) -> LimitsTable:
    return msgspec.structs.replace(
        limits,
        message=MESSAGE_BYTES,
        untyped_message=MESSAGE_BYTES,
        connections_per_peer="none",
        in_flight_per_connection="none",
    )


def last_known(workshop: Workshop, *, is_alone: bool) -> LastKnown | None:
    """The file of the nodes known last; None for a host that keeps to itself, or whose file has the addresses of the others."""
    if is_alone or workshop.settings.registry.use.rpartition(":")[2] == STATIC:
        return None
    env = workshop.environment("host")
    return LastKnown(Path(env.state_dir), env.namespace, workshop.log)
