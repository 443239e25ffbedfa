"""The transport: the native protocol of `transport.tcp`, deadlines, outcomes, streams and all, on links over subjects."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import msgspec

from vyked_host import NotConnected, NotFound, Unavailable
from vyked_host.contracts import Address, Calls, Channel, Environment, Listener, Provider, Surface, Transport

from ..options import TransportOptions
from ..server import Servers
from .net import SCHEME, SubjectNet

NAME = "nats"


class NatsTransport(Transport):
    """`contracts.Transport` for one ``[transports.NAME]``."""

    def __init__(self, options: TransportOptions, env: Environment) -> None:
        servers = Servers(options, env, f"transports.{env.name}")
        self._net = SubjectNet(servers, env, f"{options.prefix}.{env.namespace}.node")
        native = _native()
        chosen = native.options(serializer=options.serializer, port=0)
        self._native = native.build(chosen, msgspec.structs.replace(env, net=self._net))

    def statistics(self) -> dict[str, int]:
        """Counters of all its links."""
        found: dict[str, int] = self._native.statistics()  # type: ignore[attr-defined]
        return found

    async def serve(self, calls: Calls, surface: Surface) -> Listener:
        """Listen on a subject. Raises StartError when no server can be reached."""
        return NatsListener(await self._native.serve(calls, surface), self._net.subject)

    async def dial(self, address: Address, *, deadline: float) -> Channel:
        """Connect and say hello. Raises Unavailable (`not_sent`), NotConnected while this host has no connection to the servers or its
        peers may be on their way back to them, NotSupported, Unauthenticated, PermissionDenied."""
        try:
            return await self._native.dial(address, deadline=deadline)
        except Unavailable as error:
            # whoever refuses (a subclass) answers: it is there
            if type(error) is not Unavailable or not (away := self._net.away):
                raise
            raise NotConnected(f"{address.uri}: {away}", executed="not_sent") from error


class NatsListener(Listener):
    """`contracts.Listener`: that of the native protocol, at another address."""

    def __init__(self, native: Any, subject: str) -> None:
        self._native = native
        self.addresses = (Address(transport=NAME, uri=f"{SCHEME}{subject}"),)

    @property
    def connections(self) -> int:
        """Links that are open."""
        return int(self._native.connections)

    def statistics(self) -> dict[str, int]:
        """Counters of its links."""
        found: dict[str, int] = self._native.statistics()
        return found

    def expose(self, surface: Surface) -> None:
        """The endpoints changed."""
        self._native.expose(surface)

    def stop_accepting(self) -> None:
        """Drain began."""
        self._native.stop_accepting()

    async def aclose(self) -> None:
        """Flush, close every link and stop listening. Idempotent."""
        await self._native.aclose()


def _native() -> Provider[Transport]:
    """The native transport, found as the host finds it."""
    for entry in entry_points(group="vyked_host.plugins", name="transport.tcp"):
        for provider in entry.load().vyked_transports():
            if provider.name == "tcp":
                found: Provider[Transport] = provider
                return found
    raise NotFound(
        "the transport 'nats' needs the native protocol, which vyked-host brings as transport.tcp: install it again"
    )
