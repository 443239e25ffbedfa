"""All sockets of a host: real ones here, simulated or inherited ones by another object of the same shape."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import StartError, UsageError
from ..model import unix
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
                return await self._listen_unix(path, link, more)
            return await loop.create_server(link, host, port, backlog=BACKLOG, **more)
        except OSError as error:
            code = error.errno or 0  # below 0: of a name that is not found, whose text is no system's
            said = os.strerror(code) if code > 0 else error.strerror or str(error)
            cause = _CAUSES.get(code, f"can't be bound: {said}")
            if scheme == "unix":
                raise AddressError(f"{path} can't be bound: {error}", in_use=error.errno == errno.EEXIST) from error
            raise AddressError(
                f"{host}:{port} {cause.format(port=port)}", in_use=error.errno == errno.EADDRINUSE
            ) from error

    async def _listen_unix(
        self, path: str, link: Callable[[], asyncio.BaseProtocol], more: Mapping[str, Any]
    ) -> asyncio.AbstractServer:
        """Only this user may connect, from the first moment on: it takes its name once it listens. At a name that is taken, others
        may be listening: that is an error, as it is with ports."""
        made, first = socket.socket(socket.AF_UNIX), f"{path}~"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(first)
            made.bind(first)
            os.chmod(first, 0o600)
            server = await asyncio.get_running_loop().create_unix_server(link, sock=made, backlog=BACKLOG, **more)
            try:
                os.link(first, path)
            except BaseException:
                server.close()
                raise
            os.unlink(first)
        except BaseException:
            made.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(first)
            raise
        return server

    async def connect(self, uri: str, link: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None) -> None:
        """Connect `link` to `uri`. Raises OSError."""
        loop = asyncio.get_running_loop()
        scheme, host, port, path = _parts(uri)
        more: dict[str, Any] = {"ssl": tls, **self._timely} if tls is not None else {}
        if scheme == "unix":
            if tls is not None:
                more["server_hostname"] = host or "localhost"
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
    if (socket_at := unix.of(uri)) is not None:
        host = urlsplit(f"//{socket_at.host}").hostname or ""
        return "unix", host, 0, socket_at.path
    split = urlsplit(uri)
    if split.hostname is None or split.port is None:
        raise UsageError(f"{uri!r} is no address: write tcp://HOST:PORT or unix:/PATH")
    return split.scheme, split.hostname, split.port, ""
