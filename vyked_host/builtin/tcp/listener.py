"""The server end of the transport: who is connected, how many may be, and what they are told when endpoints or the host go."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from ...contracts import Address, Calls, Environment, Surface
from ...wire.hello import Host, pair, wire_limits
from . import near
from .counters import Counters
from .options import Options
from .server import ServerLink
from .shapes import plain, shapes
from .sockets import is_near, most_connections, uri

TRANSPORT = "tcp"
"""What an address of this transport is marked with: other hosts know the plugin, not the name of our table."""


class TcpListener:
    """`contracts.Listener`, and `exposed.Exposed` for its links."""

    def __init__(self, env: Environment, options: Options, calls: Calls, surface: Surface, counters: Counters) -> None:
        self._env, self._options, self._counters = env, options, counters
        self.calls, self.surface, self.shapes, self.leaving = calls, surface, shapes(surface), ""
        self.plain = plain(self.shapes)
        self.addresses: tuple[Address, ...] = ()
        self._servers: list[asyncio.AbstractServer] = []
        self._path = ""
        self._links: set[ServerLink] = set()
        self._greeting: dict[ServerLink, None] = {}
        self._per_peer: Counter[str] = Counter()
        self._most = most_connections(env.limits.connections)
        limit = env.limits.connections_per_peer
        self._most_per_peer = self._most if limit == "none" else limit

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self._links)

    def statistics(self) -> dict[str, int]:
        """Counters of this transport's connections."""
        return {"connections": self.connections, **self._counters.report()}

    def link(self) -> ServerLink:
        """The protocol of one more accepted socket."""
        return ServerLink(self._env, self, self._counters)

    def started(self, server: asyncio.AbstractServer) -> None:
        """Bound: from here on `addresses` hold."""
        self._servers.append(server)
        self.addresses = (Address(transport=TRANSPORT, uri=self._advertised(server)),)

    def started_unix(self, server: asyncio.AbstractServer, path: str) -> None:
        """Bound to a Unix socket at `path`, too; who dials it looks for the same name in certificates as over TCP."""
        self._servers.append(server)
        self._path = path
        host = urlsplit(self.addresses[0].uri).hostname or ""
        self.addresses += (Address(transport=TRANSPORT, uri=near.announced(path, host).uri),)

    def _advertised(self, server: Any) -> str:
        host, port = server.sockets[0].getsockname()[:2]
        advertise = self._options.advertise
        if advertise is None:
            return uri(self._options.host if self._options.host == "localhost" else host, port)
        has_port = advertise.rpartition(":")[2].isdigit() and not advertise.endswith("]")
        return f"tcp://{advertise}" if has_port else f"tcp://{advertise}:{port}"

    # ---- contracts.Listener ------------------------------------------------------------------------------------------
    def expose(self, surface: Surface) -> None:
        """The endpoints changed: from now on these are served, and every peer is told."""
        self.surface, self.shapes = surface, shapes(surface)
        self.plain = plain(() if self.leaving else self.shapes)
        for link in list(self._links):
            link.tell(surface)

    def stop_accepting(self) -> None:
        """Drain: no new connections, GOAWAY to all, new calls are refused except those of the control lane."""
        if self.leaving:
            return
        self.leaving, self.plain = f"node {self._env.node_id} is draining", plain(())
        for server in self._servers:
            server.close()
        if self._path:
            with contextlib.suppress(FileNotFoundError):  # the loops of later Pythons remove it themselves
                os.unlink(self._path)
        for link in list(self._links):
            link.leave(self.leaving)

    async def aclose(self) -> None:
        """Flush, part with every peer and close the socket; a peer that does not take its last bytes is cut in time."""
        self.stop_accepting()
        links = list(self._links)
        for link in links:
            link.part()
        await asyncio.gather(*(link.gone for link in links))
        for server in self._servers:
            await server.wait_closed()

    # ---- exposed.Exposed ---------------------------------------------------------------------------------------------
    def host(self) -> Host:
        """What this host says of itself."""
        env = self._env
        return Host(
            mesh=env.namespace, node=env.node_id, serializers=tuple(env.serializers()),
            limits=wire_limits(env.limits), generation=pair(env.generation()), sealed=env.trust.seal is not None,
        )  # fmt: skip

    def admit(self, link: ServerLink) -> str | None:
        """Take `link` in, or say why there is no room for it."""
        if self.leaving:
            return self.leaving
        full = f"{self._most} connections are open ([limits] connections)"
        if len(self._links) >= self._most and self._greeting:
            next(iter(self._greeting)).evict(full)  # who says nothing can't keep out those that would say hello
        if len(self._links) >= self._most:
            return full
        if not is_near(link.host) and self._per_peer[link.host] >= self._most_per_peer:
            return f"{self._most_per_peer} connections of {link.host} are open ([limits] connections_per_peer)"
        self._links.add(link)
        self._greeting[link] = None
        self._per_peer[link.host] += 1
        return None

    def greeted(self, link: ServerLink) -> None:
        """`link` has introduced itself."""
        self._greeting.pop(link, None)

    def forget(self, link: ServerLink) -> None:
        """`link` is closed."""
        self._greeting.pop(link, None)
        if link in self._links:
            self._links.discard(link)
            self._per_peer[link.host] -= 1
            if not self._per_peer[link.host]:
                del self._per_peer[link.host]
