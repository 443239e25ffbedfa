"""One connection of an old process to where it registers."""

from __future__ import annotations

from typing import Any, Protocol

from vyked_host import UsageError
from vyked_host.contracts import Environment

from ..link import Link
from ..wire.packets import FAULTS, Packet


class Receiving(Protocol):
    """What a connection needs of the reception."""

    def admit(self, link: GuestLink) -> bool:
        """Is there room for one more?"""
        ...

    def heard(self, link: GuestLink, packet: Packet) -> None:
        """A packet came. Raises `FAULTS` and UsageError for what can't be taken."""

    def lost(self, link: GuestLink) -> None:
        """It is over."""


class GuestLink(Link):
    """One connection of an old process."""

    def __init__(self, env: Environment, reception: Receiving, largest: int) -> None:
        super().__init__(env, largest)
        self._reception = reception
        self.nodes: set[str] = set()
        self.heard_at = env.clock.now()

    def connection_made(self, transport: Any) -> None:
        """Somebody connected."""
        super().connection_made(transport)
        if not self._reception.admit(self):
            self.abort("there is no room for more connections")

    @property
    def peer_host(self) -> str:
        """The peer's address, as the original took it for that of the service."""
        return self.peer.rpartition(":")[0]

    def heard(self, packet: Packet) -> None:
        """A word of it."""
        self.heard_at = self.env.clock.now()
        try:
            self._reception.heard(self, packet)
        except (*FAULTS, UsageError) as error:
            self.env.log.warning("%s sends a %s that can't be taken: %s", self.peer, packet.type, error)

    def lost(self, why: str) -> None:
        """It is over."""
        self._reception.lost(self)
