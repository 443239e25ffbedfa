"""The transport: serves old consumers, and dials old vendors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from vyked_host import Unavailable
from vyked_host.contracts import Address, Calls, Environment, Surface

from .address import OldAddress, bracketed, read
from .channel import OldChannel
from .contexts import towards
from .events.channels import Channel
from .link import Link
from .options import TransportOptions
from .served import Offers, ServedLink

Published = Callable[[Channel, bytes], bool]
"""An event for one instance that came over this transport -> does anybody take it?"""


class ClassicListener:
    """`contracts.Listener`."""

    def __init__(
        self, env: Environment, options: TransportOptions, calls: Calls, surface: Surface, published: Published
    ) -> None:
        self._env, self._options, self.calls, self.published = env, options, calls, published
        self.offers, self.leaving = Offers(surface), ""
        self.addresses: tuple[Address, ...] = ()
        self._server: asyncio.AbstractServer | None = None
        self._links: set[ServedLink] = set()

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self._links)

    async def open(self) -> None:
        """Bind. Raises StartError when that can't be."""
        options = self._options
        uri = f"tcp://{bracketed(options.host)}:{options.port}"
        self._server = server = await self._env.net.listen(uri, self._link, self._env.tls("server", clients="none"))
        self.addresses = (self._advertised(server).address(),)

    def _link(self) -> ServedLink:
        return ServedLink(self._env, self, self._options.packet)

    def _advertised(self, server: Any) -> OldAddress:
        host, port = server.sockets[0].getsockname()[:2]
        said = self._options.advertise
        if said is not None:
            name, _, number = said.rpartition(":")
            host, port = (name.strip("[]"), int(number)) if name and number.isdigit() else (said.strip("[]"), port)
        return OldAddress(host, port, self._env.node_id)

    def expose(self, surface: Surface) -> None:
        """The endpoints changed."""
        self.offers = Offers(surface)

    def stop_accepting(self) -> None:
        """Drain: no new connections, no new calls. The wire has no word for it, so calls are refused one by one."""
        self.leaving = self.leaving or f"node {self._env.node_id} is draining"
        if self._server is not None:
            self._server.close()

    async def aclose(self) -> None:
        """Write what waits, close every connection and the socket. Idempotent."""
        self.stop_accepting()
        for link in list(self._links):
            link.close()
        if self._server is not None:
            await self._server.wait_closed()

    # ---- served.Serving ----------------------------------------------------------------------------------------------
    def admit(self, link: ServedLink) -> bool:
        """Is there room for one more?"""
        most = self._env.limits.connections
        if self.leaving or (most != "none" and len(self._links) >= most):
            return False
        self._links.add(link)
        return True

    def forget(self, link: ServedLink) -> None:
        """It is closed."""
        self._links.discard(link)


class ClassicTransport:
    """`contracts.Transport`."""

    def __init__(self, options: TransportOptions, env: Environment, published: Published) -> None:
        self._options, self._env, self._published = options, env, published

    async def serve(self, calls: Calls, surface: Surface) -> ClassicListener:
        """Bind and serve. Raises StartError."""
        listener = ClassicListener(self._env, self._options, calls, surface, self._published)
        await listener.open()
        return listener

    async def dial(self, address: Address, *, deadline: float) -> OldChannel:
        """Connect: there is no greeting to wait for. Raises Unavailable (`not_sent`), NotSupported."""
        at, env = read(address.uri), self._env
        channel = OldChannel(env, at, self._options.packet, self._options.dialect)
        until = min(deadline, env.clock.now() + env.timing.dial)
        await connect(env, at.tcp, channel, until, towards(env.tls, at.secured))
        channel.watch(at.node_id)
        return channel


async def connect(env: Environment, uri: str, link: Link, deadline: float, tls: ssl.SSLContext | None) -> None:
    """Connect `link` to `uri`. Raises Unavailable (`not_sent`)."""
    try:
        async with asyncio.timeout_at(deadline):
            await env.net.connect(uri, lambda: link, tls)
    except TimeoutError as error:
        raise Unavailable(f"{uri} can't be reached in time", executed="not_sent") from error
    except OSError as error:
        raise Unavailable(f"{uri} can't be reached: {error}", executed="not_sent") from error
