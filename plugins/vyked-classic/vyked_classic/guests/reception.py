"""Where old processes register: listens on their registry's port, answers as it did, and keeps the mesh and the guests in the picture.

A guest is gone when it says so, and when its connection is lost, or it is silent for a lease, and its own port does not answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from vyked_host.contracts import Environment, NodeRecord, Registry

from ..address import bracketed
from ..options import TransportOptions
from ..reporting import UPTIMES_S, write
from ..wire import speech
from ..wire.packets import Named, Packet, Registration, Subscriptions, Wanted, params_of
from .guest_link import GuestLink
from .leases import Leases
from .probe import answers
from .roster import Roster, Telling, report
from .uptimes import Uptimes

ANY = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised, so that the address that was used is taken instead


class Reception:
    """`changed` is called whenever guests or the mesh changed; `hides`: are the events for one instance of this service somebody
    else's to deliver?"""

    def __init__(self, options: TransportOptions, env: Environment, registry: Registry) -> None:
        self._options, self.env, self._registry = options, env, registry
        self.roster = Roster(env.namespace)
        self.leases = Leases(registry, env)
        self.uptimes = Uptimes()
        self.changed: Callable[[], None] = _nobody
        self.hides: Callable[[str], bool] = _nobody_else
        self._were_here: dict[str, None] = {}
        self._links: dict[str, GuestLink] = {}
        self._open: set[GuestLink] = set()
        self._doubted: set[str] = set()
        self._nodes: dict[str, NodeRecord] = {}
        self._cancels: list[Callable[[], None]] = []
        self._server: asyncio.AbstractServer | None = None

    # ---- life --------------------------------------------------------------------------------------------------------
    async def open(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Listen. Raises StartError."""
        uri = f"tcp://{bracketed(host)}:{port}"
        self._server = server = await self.env.net.listen(
            uri, lambda: GuestLink(self.env, self, self._options.packet), tls
        )
        tasks = self.env.tasks
        lines = write(UPTIMES_S * min(1.0, self.env.timing.scale), lambda: self.uptimes.lines(self.env.clock.unix()))
        self._cancels = [
            tasks(self._follow(), "mesh for guests"), tasks(self._look_after(), "guests that are silent"),
            tasks(lines, "uptimes of guests"),
        ]  # fmt: skip
        self.env.log.info("registry of Vyked 2.x at %s:%d", *_name(server))

    async def aclose(self) -> None:
        """Let nobody in any more, and take all guests out of the mesh."""
        for cancel in self._cancels:
            cancel()
        if self._server is not None:
            self._server.close()
        for link in list(self._open):
            link.close()
        await self.leases.aclose()

    # ---- what old processes say --------------------------------------------------------------------------------------
    def heard(self, link: GuestLink, packet: Packet) -> None:
        """A packet of an old process. One that a registry does not know is passed over, as it was."""
        handler = _HANDLERS.get(packet.type)
        if handler is not None:
            handler(self, link, packet)

    def register(self, link: GuestLink, packet: Packet) -> None:
        """A service is there."""
        said: Registration = params_of(packet)
        link.dialect = said.dialect
        before = self._links.get(said.node_id)
        self._links[said.node_id] = link
        link.nodes.add(said.node_id)
        if before is not None and before is not link:
            before.nodes.discard(said.node_id)
        self._doubted.discard(said.node_id)
        self._were_here.pop(said.node_id, None)
        host = self._advertised(said, link)
        tellings = self.roster.register(said, host)
        guest = self.roster.guests[said.node_id]
        self.uptimes.came(guest.spot, self.env.clock.unix())
        self._tell(tellings)
        for text in self.roster.never_matching(guest):
            self.env.log.warning("%s", text)

    def _advertised(self, said: Registration, link: GuestLink) -> str:
        """Where others find it: the peer's address, as it was, or what it says of itself where the options trust that."""
        return said.host if self._options.trust_host and said.host and said.host not in ANY else link.peer_host

    def xsubscribe(self, _link: GuestLink, packet: Packet) -> None:
        """A service says which events one instance of it is to get."""
        said: Subscriptions = params_of(packet)
        self.roster.xsubscribe(said)
        self.changed()

    def deregister(self, _link: GuestLink, packet: Packet) -> None:
        """A service goes: ours say so."""
        self.leave(params_of(packet).node_id)

    def ping(self, link: GuestLink, packet: Packet) -> None:
        """Answered while all that the pinger is are known; silence makes it register anew."""
        try:
            ids = _ids(packet)
        except ValueError:
            return
        if ids <= self.roster.guests.keys():
            link.send(speech.pong(packet.node_id))

    def get_subscribers(self, link: GuestLink, packet: Packet) -> None:
        """A publisher asks whose turn it is."""
        said: Wanted = params_of(packet)
        name, version = said.of
        found = [
            {
                "name": guest.spot.name, "version": guest.spot.version, "host": guest.spot.host, "port": guest.spot.port,
                "node_id": guest.spot.node_id, "strategy": strategy,
            }
            for guest, strategy in self.roster.subscribers(name, version, said.endpoint)
            if not self.hides(guest.spot.name)
        ]  # fmt: skip
        link.send(speech.subscribers(name, version, said.endpoint, found, packet.request_id, said.dialect))

    def get_instances(self, link: GuestLink, packet: Packet) -> None:
        """Somebody asks who serves a version."""
        said: Named = params_of(packet)
        name, version = said.of
        found = [each.place for each in self.roster.exactly(name, version)]
        link.send(speech.instances(name, version, found, packet.request_id, said.dialect))

    def uptime_report(self, link: GuestLink, _packet: Packet) -> None:
        """Somebody asks since when services are here."""
        link.send(speech.packet("uptime_report", params=self.uptimes.report()))

    def services_report(self, link: GuestLink, _packet: Packet) -> None:
        """Somebody asks for all of them."""
        link.send(speech.packet("services_report", params=report(self.roster)))

    # ---- coming and going --------------------------------------------------------------------------------------------
    def admit(self, link: GuestLink) -> bool:
        """A connection stands; is there room for it?"""
        most = self.env.limits.connections
        if most != "none" and len(self._open) >= most:
            return False
        self._open.add(link)
        return True

    def lost(self, link: GuestLink) -> None:
        """A connection is over: those who registered over it are asked at their own port."""
        self._open.discard(link)
        for node_id in list(link.nodes):
            if self._links.get(node_id) is link:
                del self._links[node_id]
                self._doubt(node_id)

    def _doubt(self, node_id: str) -> None:
        if node_id in self.roster.guests and node_id not in self._doubted:
            self._doubted.add(node_id)
            self.env.tasks(self._ask(node_id), f"is guest {node_id} there?")

    async def _ask(self, node_id: str) -> None:
        """Ask until it is known: it is back, it answers at its port, or it is gone."""
        while (guest := self.roster.guests.get(node_id)) is not None and node_id in self._doubted:
            if guest.spot.kind == "tcp" and await answers(guest.spot, self.env):
                if node_id in self._links:
                    self._doubted.discard(node_id)
                    return
                await asyncio.sleep(
                    self.env.timing.heartbeat
                )  # alive without a connection: it finds out and registers anew
            else:
                if node_id in self._doubted:
                    self.leave(node_id)
                return

    async def _look_after(self) -> None:
        """Guests that are connected and silent for a lease may be stopped: they ping every few seconds."""
        while True:
            await asyncio.sleep(self.env.timing.heartbeat)
            now = self.env.clock.now()
            for node_id, link in list(self._links.items()):
                if now - link.heard_at > max(
                    self.env.timing.lease, LONGEST_SILENCE_S * min(1.0, self.env.timing.scale)
                ):
                    self._doubt(node_id)

    def leave(self, node_id: str) -> None:
        """A guest is gone."""
        self._doubted.discard(node_id)
        link = self._links.pop(node_id, None)
        if link is not None:
            link.nodes.discard(node_id)
        self._were_here[node_id] = None  # the registry of the mesh may still tell of it
        if len(self._were_here) > REMEMBERED:
            self._were_here.pop(next(iter(self._were_here)))
        self.uptimes.went(node_id, self.env.clock.unix())
        self._tell(self.roster.leave(node_id))

    # ---- telling -----------------------------------------------------------------------------------------------------
    def _tell(self, tellings: Iterable[Telling]) -> None:
        for each in tellings:
            link = self._links.get(each.node_id)
            if link is not None:
                link.send(each.packet)
        self.leases.keep(self.roster.records())
        self.changed()

    async def _follow(self) -> None:
        """The mesh as its registry shows it."""
        async for change in self._registry.watch(None):
            if change.snapshot:
                self._nodes = {}
            for node_id in change.gone:
                self._nodes.pop(node_id, None)
            for _, record in change.nodes:
                if change.doubts.get(record.node_id) == "down":
                    self._nodes.pop(record.node_id, None)
                else:
                    self._nodes[record.node_id] = record
            self._tell(self.roster.mesh(each for each in self._nodes.values() if each.node_id not in self._were_here))

    def served_by_nodes(self) -> frozenset[str]:
        """Services that nodes of the mesh offer, guests left out."""
        were, guests = self._were_here, self.roster.guests
        nodes = (each for node_id, each in self._nodes.items() if node_id not in guests and node_id not in were)
        return frozenset(one.service for each in nodes for one in each.instances)


REMEMBERED = 4096
"""Guests that are gone whose records are not taken for those of somebody else."""
LONGEST_SILENCE_S = 15.0
"""An old process pings 5 s after each pong, and waits 10 s for the next one."""


def _name(server: Any) -> tuple[str, int]:
    """Where it listens."""
    host, port = server.sockets[0].getsockname()[:2]
    return host, port


def _ids(packet: Packet) -> set[str]:
    """The node ids that a ping carries. Raises ValueError."""
    said: Any = msgspec.json.decode(packet.payload, type=dict[str, str] | None)
    return set((said or {}).values())


def _nobody() -> None:
    """Nobody is told of changes."""


def _nobody_else(_service: str) -> bool:
    """Events for one of a group go to old processes only."""
    return False


_HANDLERS: dict[str, Callable[[Reception, GuestLink, Packet], None]] = {
    "register": Reception.register,
    "xsubscribe": Reception.xsubscribe,
    "deregister": Reception.deregister,
    "ping": Reception.ping,
    "get_subscribers": Reception.get_subscribers,
    "get_instances": Reception.get_instances,
    "uptime_report": Reception.uptime_report,
    "services_report": Reception.services_report,
}
