"""The servers: their addresses, a connection to one of them, and what its failures mean in words. Nothing that leaves here
shows a password.

nats-py connects, logs in and parses. Its reconnecting is left out (``allow_reconnect=False``): it resubscribes without telling,
so that a gap could not be seen, and keeps publications in a buffer of its own.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.errors import Error as NatsError

from vyked_host import ConfigError, VykedError
from vyked_host.contracts import Environment

from .options import HIDDEN, ServerOptions

SCHEMES = ("nats", "tls")
FAILURES = (NatsError, OSError, EOFError, ValueError)
CLOSE_S = 0.5
Told = Callable[[Exception], Awaitable[None]]


class Unreachable(VykedError):
    """No server can be used now, for the reason in the text."""


class _Stop(Exception):
    """Ends a connect of nats-py with its first failure, where it would try for minutes."""


class Servers:
    """The servers of one table. `place` is their addresses as people may see them."""

    def __init__(self, options: ServerOptions, env: Environment, table: str) -> None:
        self._urls = [each.strip() for each in options.url.split(",")]
        parts = [_parts(each, table) for each in self._urls]
        self._secrets = [
            text for each in parts for text in (each.password, each.username if not each.password else None) if text
        ]
        self.place = ",".join(f"{each.scheme}://{each.hostname}:{each.port or 4222}" for each in parts)
        self._more: dict[str, Any] = {}
        if options.credentials:
            self._more["user_credentials"] = os.path.join(env.folder, options.credentials)
        if options.ca or options.certificate or any(each.scheme == "tls" for each in parts):
            self._more["tls"] = _tls(options, env.folder, table)
        # a stale connection is found after one to two of these
        self._pings = (env.timing.ping + env.timing.pong) / 2
        self._next = 0

    async def dial(self, within: float, told: Told, ended: Callable[[], Awaitable[None]]) -> Client:
        """A connection that is logged in, to the first that answers. Raises Unreachable after `within` seconds at the latest."""
        cause = ""
        try:
            async with asyncio.timeout(within):
                for _ in self._urls:
                    url = self._urls[self._next % len(self._urls)]
                    try:
                        return await self._connect(url, within, told, ended)
                    except (Unreachable, *FAILURES) as error:
                        cause = self.words(error)
                        self._next += 1
        except TimeoutError:
            cause = f"no answer within {within:g} s"
        raise Unreachable(f"{self.place}: {cause}")

    async def _connect(self, url: str, within: float, told: Told, ended: Callable[[], Awaitable[None]]) -> Client:
        client, is_open, failed = Client(), False, [""]

        async def noted(error: Exception) -> None:
            if is_open:
                await told(error)
            else:
                failed[0] = self.words(error)
                raise _Stop

        try:
            await client.connect(
                url, error_cb=noted, closed_cb=ended, allow_reconnect=False, max_outstanding_pings=1, name="vyked-host",
                **{**self._more, "connect_timeout": within, "ping_interval": self._pings},
            )  # fmt: skip
        except _Stop:
            await hang_up(client)
            raise Unreachable(failed[0]) from None
        except BaseException:
            await hang_up(client)
            raise
        is_open = True
        return client

    def words(self, error: BaseException) -> str:
        """What happened, without a password."""
        said = (
            os.strerror(error.errno) if isinstance(error, OSError) and error.errno and error.errno > 0 else str(error)
        )
        text = " ".join(said.split()).removeprefix("nats: ") or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


async def hang_up(client: Client) -> None:
    """Close a connection without waiting for long for whoever is at the other end. Idempotent."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await client.close()
    except (TimeoutError, *FAILURES):
        pass  # a server that hangs: it is cut off below
    finally:
        # close() waits until everything is written, for ever where the server has stopped reading: only the socket's
        # transport can be aborted, and nats-py has no way to it but this
        writer = getattr(client._transport, "_bare_io_writer", None)
        if writer is not None:
            writer.transport.abort()


def _tls(options: ServerOptions, folder: str, table: str) -> ssl.SSLContext:
    """Raises ConfigError where a file can't be used."""
    try:
        context = ssl.create_default_context(cafile=os.path.join(folder, options.ca) if options.ca else None)
        if options.certificate:
            key = os.path.join(folder, options.key) if options.key else None
            context.load_cert_chain(os.path.join(folder, options.certificate), key)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(each for each in (options.ca, options.certificate, options.key) if each)
        raise ConfigError(f"[{table}] ca, certificate, key: {files} can't be used: {error}") from None
    return context


def _parts(url: str, table: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _unfit("a part of it is no number", table) from None  # the cause quotes the url, and a password with it
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise _unfit("it has no scheme or no host", table)
    return parts


def _unfit(what: str, table: str) -> ConfigError:
    return ConfigError(
        f"[{table}] url is no address of a NATS server: {what}; write nats://USER:PASSWORD@HOST:4222 or tls:// for TLS"
    )
