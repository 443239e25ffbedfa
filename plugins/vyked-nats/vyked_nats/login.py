"""Connecting and logging in, which nats-py does: TLS, passwords, tokens, NKeys and JWT. Once it is in, the connection is ours
(:mod:`connection`): nats-py reads and writes nothing any more.

This leans on names of nats-py that are not public: `lacks` says which of them the one that is installed has not.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
from importlib.metadata import version
from typing import Any, cast

from nats.aio.client import Client
from nats.aio.transport import Transport
from nats.errors import Error as NatsError

from .parser import LONGEST_LINE, NotNats

WANTED = "nats-py >= 2.16, < 3"
REPLACED = ("_read_loop", "_flusher", "_ping_interval")
"""What nats-py does of itself once it is logged in."""
USED = ("_connect_command", "connect", "is_connected", "connected_url")
KEPT = ("_transport", "_server_info")


class Wire(Transport, asyncio.Protocol):
    """The connection while it logs in: `nats.aio.transport.Transport` without streams."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.came = bytearray()
        self.has_ended = False
        self.error: Exception | None = None
        self._more: asyncio.Future[None] | None = None
        self._is_open = False

    # ---- nats.aio.transport.Transport ------------------------------------------------------------------------------------
    async def connect(self, uri: Any, buffer_size: int, connect_timeout: float) -> None:
        """To a server."""
        async with asyncio.timeout(connect_timeout):
            await asyncio.get_running_loop().create_connection(lambda: self, uri.hostname, uri.port)

    async def connect_tls(
        self, uri: Any, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: float
    ) -> None:  # fmt: skip
        """From now on over TLS."""
        if self.came:  # it was not protected, and would be taken for what is
            raise NotNats("the server goes on in the clear where TLS begins")
        name = uri if isinstance(uri, str) else uri.hostname
        async with asyncio.timeout(connect_timeout):
            made = await asyncio.get_running_loop().start_tls(self.transport, self, ssl_context, server_hostname=name)
        if made is None:
            raise ConnectionAbortedError("the connection was lost before TLS began")
        self.transport = made

    @property
    def is_secure(self) -> bool:
        """Over TLS?"""
        return self._is_open and self.transport.get_extra_info("ssl_object") is not None

    async def readline(self) -> bytes:
        """The next line; what there was before the end."""
        while (end := self.came.find(b"\n")) < 0 and not self.has_ended:
            if len(self.came) > LONGEST_LINE:
                raise NotNats(f"the server sent a line of more than {LONGEST_LINE} bytes")
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        if self.error is not None:
            raise self.error
        return self._take(end + 1 if end >= 0 else len(self.came))

    async def read(self, buffer_size: int) -> bytes:
        """What has come."""
        return self._take(len(self.came))

    def _take(self, count: int) -> bytes:
        found = bytes(self.came[:count])
        del self.came[:count]
        return found

    def write(self, payload: bytes) -> None:
        """Send it."""
        self.transport.write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """Send them."""
        self.transport.write(b"".join(payload))

    async def drain(self) -> None:
        """A login is short."""

    async def wait_closed(self) -> None:
        """Whoever opened it sees to its end."""

    def close(self) -> None:
        """No login."""
        if self._is_open and not self.has_ended:
            self.transport.abort()

    def at_eof(self) -> bool:
        """Will nothing more come?"""
        return self.has_ended and not self.came

    def __bool__(self) -> bool:
        return True  # nats-py makes a transport of its own where there is none

    # ---- asyncio.Protocol --------------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self.transport, self._is_open = cast(asyncio.Transport, transport), True  # uvloop's are none by their class

    def data_received(self, data: bytes) -> None:
        """The next bytes."""
        self.came += data
        self._wake()

    def eof_received(self) -> None:
        """The server has closed its end."""
        self.has_ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        self.has_ended, self.error = True, error
        self._wake()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


class Login(Client):
    """One login. `wire` is what it was done over."""

    def __init__(self) -> None:
        super().__init__()
        self._transport = self.wire = Wire()

    async def enter(self, url: str, **options: Any) -> dict[str, Any]:
        """Log in; what the server says of itself. Raises what nats-py and the connection raise, NatsError where it is not let in."""
        await self.connect(url, allow_reconnect=False, name="vyked-host", **options)
        if not self.is_connected:  # nats-py takes a connection that was closed for one that let it in
            raise self.wire.error or EOFError("the server has hung up")
        return dict(self._server_info)

    async def _read_loop(self) -> None:
        """Ours."""

    async def _flusher(self) -> None:
        """Ours."""

    async def _ping_interval(self) -> None:
        """Ours."""


class SecureLogin(Login):
    """Over TLS or not at all. nats-py by itself logs in in the clear, password included, at a server that offers no TLS."""

    def _connect_command(self) -> bytes:
        if not self.wire.is_secure:
            raise NatsError("the server offers no TLS")
        command: bytes = super()._connect_command()
        return command


def lacks(client: type[Client] = Client, wire: type[Wire] = Wire) -> str:
    """What the nats-py that is installed has not, and this plugin needs, in words; "" where it has all."""
    missing = [name for name in (*REPLACED, *USED) if not hasattr(client, name)]
    missing += [f"{name} that is a coroutine" for name in REPLACED if not _is_coroutine(client, name)]
    if not missing:
        made = client()
        missing = [name for name in KEPT if not hasattr(made, name)]
    missing += [f"a Transport without {name}" for name in sorted(wire.__abstractmethods__)]
    if not missing:
        return ""
    return f"nats-py {version('nats-py')} can't be used: it has no {', '.join(missing)}; pip install '{WANTED}'"


def _is_coroutine(client: type[Client], name: str) -> bool:
    return inspect.iscoroutinefunction(getattr(client, name, None)) or not hasattr(client, name)
