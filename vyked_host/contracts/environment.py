"""The seams: clock, sockets, tasks, randomness, state directory - all that a back end reaches of the host."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, Protocol

from ..errors import NotSupported
from ..model.settings import LimitsTable, TimingTable
from ..model.topology import Address, Generation, NodeRecord
from ..model.values import Value
from .calls import Calls, Channel
from .hub import Hub
from .kinds import PubSub, Registry, Serializer
from .trust import Trust


class Clock(Protocol):
    """Time. Only `now` decides; `unix` is for people."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def unix(self) -> float:
        """Seconds since 1970, for logs and envelopes."""
        ...

    def at(self, when: float, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act`, which does something, at monotonic `when` (a shared sweep, up to 50 ms late); the answer cancels it."""
        ...

    def expire(self, when: float, end: Callable[[], None]) -> Callable[[], None]:
        """Call `end`, which ends something because nothing came until monotonic `when`: like `at`, but half a second later where
        the process was held up for as long, since those whom it waits for may have been held up too."""
        ...


class Net(Protocol):
    """All sockets: simulation, inherited sockets and fault injection hang here. URIs: ``tcp://host:port``, ``unix:/path``."""

    async def listen(
        self, uri: str, link: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None
    ) -> asyncio.AbstractServer:
        """Bind and accept. Raises errors.StartError naming the address and who holds it."""
        ...

    async def connect(self, uri: str, link: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None) -> None:
        """Connect `link`. Raises OSError."""


class Tls(Protocol):
    """Contexts out of ``[security.tls]``: None where there is none. Asked for each time that something is bound or dialled: a
    dialler gets what the files hold by then, and a listener's context looks for itself."""

    def __call__(
        self, side: Literal["server", "client"], /, *, clients: Literal["required", "optional", "none"] = "required"
    ) -> ssl.SSLContext | None:
        """The context for one side; `clients`: whether those who connect have to show a certificate."""
        ...


TaskScope = Callable[[Coroutine[Any, Any, None], str], Callable[[], None]]
"""(body, name) -> cancel. The only way to start a task: named, awaited in drain, its failure logged."""


def _no_hub(address: str | None) -> Hub:
    raise NotSupported(f"this environment has no hub, neither at {address or 'the default place'} nor elsewhere")


class Environment(Value):
    """Given to every factory; a back end reaches nothing else of the host. `name` is the table's name in vyked.toml
    (``tcp`` of ``[transports.tcp]``); the times in `timing` are multiplied by its `scale` already; `serializers` are those of
    this host in order of preference; `callers` are its services, as ``service/version``; `generation` is that of this
    node's lease, None before it has one; `hub` gives the hub at ``HOST:PORT`` (None: at the default place; "none": one
    that stays inside this process), the same object for the same address; `folder` is that of vyked.toml, where relative
    paths start; `trust` is ``[security]``."""

    name: str
    node_id: str
    namespace: str
    state_dir: str
    limits: LimitsTable
    timing: TimingTable
    clock: Clock
    rng: random.Random
    net: Net
    tasks: TaskScope
    log: logging.Logger
    dial: Callable[[Address, float], Awaitable[Channel]]
    tls: Tls
    serializers: Callable[[], dict[str, Serializer]]
    callers: Callable[[], tuple[str, ...]]
    hub: Callable[[str | None], Hub] = _no_hub
    generation: Callable[[], Generation | None] = lambda: None
    folder: str = "."
    trust: Trust = Trust()


class HostView(Protocol):
    """What hooks see of a host."""

    @property
    def node(self) -> NodeRecord:
        """This node as announced now."""
        ...

    @property
    def phase(self) -> str:
        """new, starting, serving, draining, stopping or stopped."""
        ...

    @property
    def calls(self) -> Calls:
        """Runs calls to the services of this node."""
        ...

    @property
    def registry(self) -> Registry:
        """The registry this node uses."""
        ...

    @property
    def pubsub(self) -> PubSub:
        """The bus this node uses."""
        ...

    def statistics(self) -> dict[str, Any]:
        """Counters as they stand: calls per endpoint, events, connections, loop lag (docs/plugins.md, metrics)."""
        ...
