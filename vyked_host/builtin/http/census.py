"""Who is connected: the caps per listener and per peer, the sweep that cuts the slow, and the idle ones at drain."""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...contracts import Clock, LimitsTable, Trust
from .pace import Allowances

if TYPE_CHECKING:
    from .connection import Connection

CROWDED = 0.9
"""Share of the cap from which the oldest idle connection makes room for a new one."""


class Census:
    """The connections of one listener."""

    def __init__(
        self, limits: LimitsTable, allowed: Allowances, clock: Clock, log: logging.Logger, trust: Trust | None = None
    ) -> None:
        self.allowed, self.clock, self.log, self.trust = allowed, clock, log, trust or Trust()
        self._cap = None if limits.connections == "none" else limits.connections
        self._peer_cap = None if limits.connections_per_peer == "none" else limits.connections_per_peer
        self._connections: dict[Connection, str] = {}
        self._peers: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self._stop: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, connection: Connection, peer: str) -> bool:
        """Count `connection` in; False: there are too many. Loopback and Unix sockets have no cap per peer."""
        if self._cap is not None and len(self) >= self._cap * CROWDED:
            self._make_room()
        if self._cap is not None and len(self) >= self._cap:
            return self._refuse("connections")
        counted = is_remote(peer)
        if counted and self._peer_cap is not None and self._peers[peer] >= self._peer_cap:
            return self._refuse("connections_per_peer")
        self._connections[connection] = peer if counted else ""
        if counted:
            self._peers[peer] += 1
        if self._stop is None:
            self._schedule()
        return True

    def left(self, connection: Connection) -> None:
        """`connection` is gone."""
        peer = self._connections.pop(connection, "")
        if peer:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]

    def close_idle(self) -> None:
        """Drain: connections without a request are closed."""
        for connection in [each for each in self._connections if each.is_idle]:
            connection.force_close()

    def close(self) -> None:
        """Stop sweeping and abort what is left."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        for connection in list(self._connections):
            connection.abort()

    def _refuse(self, limit: str) -> bool:
        if not self.cut[limit]:
            self.log.warning("connections are refused: [limits] %s is reached", limit)
        self.cut[limit] += 1
        return False

    def _make_room(self) -> None:
        """The oldest idle connection goes: they stand in the order in which they came."""
        found = next((each for each in self._connections if each.is_idle), None)
        if found is not None:
            self.cut["idle"] += 1
            self.left(found)
            found.force_close()

    def _schedule(self) -> None:
        self._stop = self.clock.expire(self.clock.now() + self.allowed.sweep, self._sweep)

    def _sweep(self) -> None:
        now = self.clock.now()
        for connection in list(self._connections):
            reason = connection.too_slow(now)
            if reason is not None:
                self.cut[reason] += 1
                self.log.debug("%s cut: too slow with its %s", self._connections[connection] or "a peer", reason)
                connection.abort()
        self._stop = None
        if self._connections:
            self._schedule()


def is_remote(peer: str) -> bool:
    """Is `peer` beyond this machine? Unix sockets have no address."""
    try:
        return not ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False
