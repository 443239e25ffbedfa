"""The transport as assembly sees it: `serve` binds, `dial` connects. All sockets come from `env.net`."""

from __future__ import annotations

import asyncio
import os

from ...contracts import Address, Calls, Environment, Surface
from ...errors import NotSupported, StartError, Unavailable
from ...model.unix import UnixAddress
from . import near
from .client import ClientLink
from .counters import Counters
from .listener import TcpListener
from .options import DEFAULT_PORT, Options
from .refusals import not_connected
from .sockets import uri


class TcpTransport:
    """`contracts.Transport` for one ``[transports.NAME]``."""

    def __init__(self, options: Options, env: Environment) -> None:
        self._options, self._env = options, env
        self.counters = Counters()

    def statistics(self) -> dict[str, int]:
        """Counters of all its connections."""
        return self.counters.report()

    async def serve(self, calls: Calls, surface: Surface) -> TcpListener:
        """Bind and serve. Raises StartError when the port is taken or the address can't be bound."""
        self._offers()
        listener = TcpListener(self._env, self._options, calls, surface, self.counters)
        listener.started(await self._bind(listener))
        if self._options.unix is not None:
            try:
                await self._bind_unix(listener, os.path.join(self._env.folder, self._options.unix))
            except BaseException:
                await listener.aclose()
                raise
        return listener

    async def _bind_unix(self, listener: TcpListener, folder: str) -> None:
        path = near.path_of(folder, self._env.node_id)
        for left in near.clear(folder):
            self._env.log.info("%s was left behind by a host that has ended: removed", left)
        server = await self._env.net.listen(UnixAddress(path).uri, listener.link, self._env.tls("server"))
        listener.started_unix(server, path)

    async def _bind(self, listener: TcpListener) -> asyncio.AbstractServer:
        host, port = self._options.host, self._options.port
        tls = self._env.tls("server")
        if port is not None:
            return await self._env.net.listen(uri(host, port), listener.link, tls)
        try:
            return await self._env.net.listen(uri(host, DEFAULT_PORT), listener.link, tls)
        except StartError as error:
            if not getattr(error, "in_use", True):
                raise
            self._env.log.info("port %d is taken: a free one is used", DEFAULT_PORT)
            return await self._env.net.listen(uri(host, 0), listener.link, tls)

    async def dial(self, address: Address, *, deadline: float) -> ClientLink:
        """Connect and say hello. Raises Unavailable (`not_sent`), NotSupported when the two have nothing in common,
        Unauthenticated or PermissionDenied when one of them is not let in by the other."""
        env = self._env
        if near.is_elsewhere(address.uri):
            raise Unavailable(f"{address.uri}: a Unix socket of another machine or container", executed="not_sent")
        limit = min(deadline, env.clock.now() + env.timing.dial)
        link = ClientLink(env, self._offers(), self.counters)
        self.counters.dialled += 1
        try:
            async with asyncio.timeout_at(limit):
                await env.net.connect(address.uri, lambda: link, env.tls("client"))
                await link.opened
        except TimeoutError as error:
            link.abort()
            raise Unavailable(f"{address.uri}: no hello in time", executed="not_sent") from error
        except OSError as error:
            link.abort()
            raise not_connected(address.uri, error, secure=env.trust.encrypted) from error
        except BaseException:
            link.abort()
            raise
        return link

    def _offers(self) -> tuple[str, ...]:
        """The serializers of this host, the configured one first. Raises NotSupported when that is not installed."""
        first, names = self._options.serializer, tuple(self._env.serializers())
        if first not in names:
            known = ", ".join(names) or "none"
            raise NotSupported(
                f"[transports.{self._env.name}] serializer {first!r} is not installed; there are: {known}"
            )
        return (first, *(name for name in names if name != first))
