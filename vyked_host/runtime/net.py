"""All sockets of a host: real ones here, simulated or inherited ones by another object of the same shape."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ..errors import StartError, UsageError
from .resolving import Resolver, connected

BACKLOG = 128
"""Connections the kernel may accept for us: a big backlog hides a host that hangs (docs/semantics.md)."""

_CAUSES = {
    errno.EADDRINUSE: "is in use; `ss -ltnp 'sport = :{port}'` shows by whom; choose another port, or port = 0 for a free one",
    errno.EACCES: "may not be opened by this user; ports below 1024 need rights",
    errno.EADDRNOTAVAIL: "is no address of this machine",
}


class AddressError(StartError):
    """An address can't be bound. `in_use` tells a taken port from the other causes."""

    def __init__(self, message: str, *, in_use: bool) -> None:
        super().__init__(message)
        self.in_use = in_use


class AsyncioNet:
    """`contracts.Net` on the running loop. A TLS handshake has `handshake_s` seconds, and so has its end: asyncio's own limits
    of 60 and 30 s keep a place for whoever dawdles."""

    def __init__(self, handshake_s: float = 5.0, resolver: Resolver | None = None) -> None:
        self._resolver = resolver or Resolver()
        self._timely = {"ssl_handshake_timeout": handshake_s, "ssl_shutdown_timeout": handshake_s}

    async def listen(
        self, uri: str, link: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None
    ) -> asyncio.AbstractServer:
        """Bind `uri` and accept. Raises AddressError naming the address and whom to ask."""
        loop = asyncio.get_running_loop()
        scheme, host, port, path = _parts(uri)
        more: dict[str, Any] = {"ssl": tls, **self._timely} if tls is not None else {}
        try:
            if scheme == "unix":
                return await loop.create_unix_server(link, path, backlog=BACKLOG, **more)
            return await loop.create_server(link, host, port, backlog=BACKLOG, **more)
        except OSError as error:
            cause = _CAUSES.get(error.errno or 0, f"can't be bound: {os.strerror(error.errno or 0)}")
            where = path if scheme == "unix" else f"{host}:{port}"
            raise AddressError(f"{where} {cause.format(port=port)}", in_use=error.errno == errno.EADDRINUSE) from error

    async def connect(self, uri: str, link: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None) -> None:
        """Connect `link` to `uri`. Raises OSError."""
        loop = asyncio.get_running_loop()
        scheme, host, port, path = _parts(uri)
        more: dict[str, Any] = {"ssl": tls, **self._timely} if tls is not None else {}
        if scheme == "unix":
            await loop.create_unix_connection(link, path, **more)
            return
        found = await connected(await self._resolver.addresses(host, port))
        try:
            if tls is not None:
                more["server_hostname"] = host
            await loop.create_connection(link, sock=found, **more)
        except BaseException:
            found.close()
            raise


def _parts(uri: str) -> tuple[str, str, int, str]:
    split = urlsplit(uri)
    if split.scheme == "unix":
        return "unix", "", 0, split.path or uri.removeprefix("unix:")
    if split.hostname is None or split.port is None:
        raise UsageError(f"{uri!r} is no address: write tcp://HOST:PORT or unix:/PATH")
    return split.scheme, split.hostname, split.port, ""
