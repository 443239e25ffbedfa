"""The server end: the bound socket, its connections, and the drain."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from aiohttp import web

from ...contracts import Address, Calls, Environment, Surface
from ...errors import StartError
from .census import Census
from .connection import factory
from .control import Control
from .edge import Edge
from .options import DEFAULT_PORT, Options
from .pace import Allowances

TRANSPORT = "http"
"""What an address of this transport is marked with: other hosts know the plugin, not the name of our table."""

CLOSING_S = 0.25
"""How long answers that are being written may take when the listener closes."""


class HttpListener:
    """`contracts.Listener` over HTTP. Made by :func:`listen`."""

    def __init__(self, calls: Calls, env: Environment, options: Options, surface: Surface) -> None:
        self._env = env
        self._census = Census(env.limits, Allowances(env.timing), env.clock, env.log, env.trust)
        self._edge = Edge(calls, env, options, Control(calls, env, self._counted))
        self._edge.expose(surface)
        self._manager = web.Server(self._edge.handle, request_factory=self._edge.request, handler_cancellation=True)
        self._server: asyncio.AbstractServer | None = None
        self.addresses: tuple[Address, ...] = ()

    def _counted(self) -> dict[str, Any]:
        return {
            "open": len(self._census), "sockets": len(self._edge.sockets), "cut": dict(self._census.cut),
            "requests": self._manager.requests_count,
        }  # fmt: skip

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._census)

    def _links(self) -> Callable[[], asyncio.BaseProtocol]:
        limits = self._env.limits
        line = 1 << 20 if limits.uri_bytes == "none" else limits.uri_bytes
        count = 1 << 14 if limits.header_count == "none" else limits.header_count
        return factory(self._manager, self._census, max_line_size=line, max_field_size=line, max_headers=count)

    async def open(self, options: Options) -> None:
        """Bind and accept. Raises StartError."""
        tls = self._env.tls("server", clients=options.client_certificates)
        links = self._links()
        if options.port is None:
            self._server = await _listen_somewhere(self._env, options.host, links, tls)
        else:
            self._server = await _listen(self._env, options.host, options.port, links, tls)
        port = _port(self._server, options.port or DEFAULT_PORT)
        where = options.advertise or f"{_bracketed(_reachable(options.host))}:{port}"
        self.addresses = (Address(transport=TRANSPORT, uri=f"{'https' if tls else 'http'}://{where}"),)

    def expose(self, surface: Surface) -> None:
        """Serve `surface` from now on. Raises UsageError when a route of it can't work; then nothing changes."""
        self._edge.expose(surface)

    def stop_accepting(self) -> None:
        """Drain: new work is refused with UNAVAILABLE, idle connections are closed, every answer ends its connection. The
        socket stays open until :meth:`aclose`, so that probes get their answer."""
        self._edge.drain()
        self._census.close_idle()

    async def aclose(self) -> None:
        """Close the socket and all connections; answers that are being written get a moment. Idempotent."""
        server, self._server = self._server, None
        if server is None:
            return
        self.stop_accepting()
        server.close()
        await self._manager.shutdown(CLOSING_S * self._env.timing.scale)
        self._census.close()
        await server.wait_closed()


async def listen(calls: Calls, env: Environment, options: Options, surface: Surface) -> HttpListener:
    """A bound listener. Raises StartError when the address can't be bound, UsageError for a route that can't work."""
    listener = HttpListener(calls, env, options, surface)
    await listener.open(options)
    return listener


async def _listen_somewhere(env: Environment, host: str, links: Any, tls: Any) -> asyncio.AbstractServer:
    """The default port, or a free one when it is taken."""
    try:
        return await _listen(env, host, DEFAULT_PORT, links, tls)
    except StartError as error:
        if not getattr(error, "in_use", True):
            raise
        env.log.info("port %d is taken: a free one is used", DEFAULT_PORT)
        return await _listen(env, host, 0, links, tls)


async def _listen(env: Environment, host: str, port: int, links: Any, tls: Any) -> asyncio.AbstractServer:
    try:
        return await env.net.listen(f"tcp://{_bracketed(host)}:{port}", links, tls)
    except OSError as error:
        raise StartError(
            f"{host}:{port} can't be bound ({error}); `ss -ltnp 'sport = :{port}'` shows who has it"
        ) from error


def _port(server: asyncio.AbstractServer, otherwise: int) -> int:
    """The port that was bound; a simulated server has no sockets and keeps the one that was asked for."""
    sockets = getattr(server, "sockets", None)
    return int(sockets[0].getsockname()[1]) if sockets else otherwise


def _reachable(host: str) -> str:
    """What others can dial where everything was bound: this machine's name."""
    return socket.gethostname() if host in ("0.0.0.0", "::", "") else host  # noqa: S104  # compared, not bound


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
