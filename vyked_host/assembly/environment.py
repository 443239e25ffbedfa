"""What each back end is given of its host: made here, once per table of vyked.toml."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ..contracts import Address, Channel, Environment, Generation, Hub, Provider, Serializer, Tls, Transport, Trust
from ..errors import NotSupported, UsageError
from ..loading import Catalogue
from ..model import names
from ..model.settings import LimitsTable, Settings, TimingTable
from ..runtime.clock import LoopClock
from ..runtime.net import AsyncioNet
from ..runtime.tasks import TaskScope
from .trust import certificates, trust

T = TypeVar("T")
ALWAYS = ("msgpack", "json")
"""Serializers every host speaks: the native transport's default, and what HTTP and people read."""


def node_name(settings: Settings) -> str:
    """The host's name: as given, else of the folder of its file."""
    return settings.host.name or names.slug(Path(settings.folder).resolve().name, "host")


def mesh_name(settings: Settings) -> str:
    """The mesh: as given, else that of the file's folder."""
    return settings.host.mesh or names.of_folder(str(Path(settings.folder).resolve()))


class Workshop:
    """Makes the plugin objects of one host, each with its own Environment."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, node_id: str | None = None, tls: Mapping[str, Tls] | None = None
    ) -> None:  # fmt: skip
        self.settings, self.catalogue, self._tls = settings, catalogue, dict(tls or {})
        self.node_id = node_id or f"{names.slug(node_name(settings), 'host')}-{secrets.token_hex(4)}"
        self.log = logging.getLogger("vyked")
        self.clock = LoopClock(asyncio.get_running_loop())
        self.tasks = TaskScope(self.log)
        self.rng = random.Random()
        self.net = AsyncioNet(scaled(settings.timing).hello)
        self.certificates = certificates(settings, self.log)
        self.serializers: dict[str, Serializer] = {}
        self.transports: dict[str, Transport] = {}
        self.callers: tuple[str, ...] = ()
        self.hub: Callable[[str | None], Hub] | None = None  # of Hubs, which need the serializers that are made here
        self.generation: Callable[[], Generation | None] = lambda: None
        self.crowd: Callable[[], int] = lambda: 1  # nodes of the mesh, as far as this one knows
        self._dialers: dict[str, Transport] = {}
        self._trust: Trust | None = None

    def environment(self, name: str, kind: str = "") -> Environment:
        """What the back end of table `name` is given; `kind`: of the plugin."""
        return Environment(
            name=name,
            node_id=self.node_id,
            namespace=mesh_name(self.settings),
            state_dir=str(Path(self.settings.folder, self.settings.host.state_dir)),
            limits=self.settings.limits,
            timing=scaled(self.settings.timing),
            clock=self.clock,
            rng=self.rng,
            net=self.net,
            tasks=self.tasks,
            log=logging.getLogger(f"vyked.{name}"),
            dial=self.dial,
            tls=self._tls.get(f"{kind}.{name}", self.certificates),
            trust=self.trust,
            serializers=lambda: dict(self.serializers),
            callers=lambda: self.callers,
            hub=self._hub,
            generation=lambda: self.generation(),
            folder=self.settings.folder,
        )

    @property
    def trust(self) -> Trust:
        """How this host proves itself, and what it makes of its peers."""
        if self._trust is None:
            self._trust = trust(
                self.settings.security, mesh_name(self.settings), None
            )  # of the authenticator's environment
            chosen = self.settings.security.authenticator
            if chosen is not None:
                found = self.build("authenticator", chosen.use, chosen.options)
                self._trust = trust(self.settings.security, mesh_name(self.settings), found)
        return self._trust

    def _hub(self, address: str | None) -> Hub:
        if self.hub is None:
            raise UsageError("the hubs of this host are not made yet")
        return self.hub(address)

    def build(self, kind: str, name: str, options: Any, table: str = "") -> Any:
        """The object of plugin `name`; `options` None: its defaults."""
        provider: Provider[Any] = self.catalogue.provider(kind, name)
        return provider.build(provider.options() if options is None else options, self.environment(table or name, kind))

    def guarantees(self, kind: str, name: str, options: Any) -> Any:
        """The most that plugin `name` can give under `options`."""
        provider: Provider[Any] = self.catalogue.provider(kind, name)
        return provider.guarantees(provider.options() if options is None else options)

    def load_serializers(self) -> None:
        """Those every host has, and those its transports name."""
        named = [str(getattr(each.options, "serializer", "")) for each in self.settings.transports.values()]
        for name in dict.fromkeys((*ALWAYS, *filter(None, named))):
            self.serializers[name] = self.build("serializer", name, None)

    def open_transports(self) -> None:
        """One object per [transports.NAME]."""
        for table, chosen in self.settings.transports.items():
            self.transports[table] = self.build("transport", chosen.use, chosen.options, table)
            self._dialers.setdefault(chosen.use, self.transports[table])

    async def dial(self, address: Address, deadline: float) -> Channel:
        """A channel to `address` by the transport that knows it. Raises Unavailable, NotSupported."""
        name = _SECURE.get(address.transport, address.transport)
        transport = self._dialers.get(name)
        if transport is None:
            if name not in self.catalogue.names("transport"):
                raise NotSupported(
                    f"{address.uri} needs the transport {address.transport!r}, which is not installed here"
                )
            transport = self._dialers[name] = self.build("transport", name, None)
        return await transport.dial(address, deadline=deadline)


_SECURE = {"https": "http", "unix": "tcp"}
"""Scheme -> plugin, where an address has only its scheme to go by."""


def scaled(timing: TimingTable) -> TimingTable:
    """Every timer times `scale`."""
    if timing.scale == 1.0:
        return timing
    changed = {name: getattr(timing, name) * timing.scale for name in timing.__struct_fields__ if name != "scale"}
    return msgspec.structs.replace(timing, **changed)


def unlimited(limit: int | Literal["none"]) -> int | None:
    """A limit as a number, or None where there is none."""
    return None if limit == "none" else limit


def bounds(limits: LimitsTable, name: str) -> int | None:
    """One limit by its name."""
    return unlimited(getattr(limits, name))


Dial = Callable[[Address, float], Awaitable[Channel]]
