"""The servers: their addresses, a connection to one of them, and what its failures mean in words. Nothing that leaves here
shows a password.

nats-py connects, logs in and parses. Its reconnecting is left out (``allow_reconnect=False``): it resubscribes without telling,
so that a gap could not be seen, and keeps publications in a buffer of its own.
"""

from __future__ import annotations

import asyncio
import importlib.util
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
Ended = Callable[[], Awaitable[None]]


class Unreachable(VykedError):
    """No server can be used now, for the reason in the text."""


class _Stop(Exception):
    """Ends a connect of nats-py with its first failure, where it would try for minutes."""


class _Secure(Client):
    """Logs in over TLS or not at all. nats-py by itself logs in in the clear, password included, at a server that offers no TLS."""

    def _connect_command(self) -> bytes:
        writer = getattr(self._transport, "_io_writer", None)
        if writer is None or writer.get_extra_info("ssl_object") is None:
            raise NatsError("the server offers no TLS")
        return super()._connect_command()


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
            self._more["user_credentials"] = _credentials(os.path.join(env.folder, options.credentials), table)
        if options.ca or options.certificate or any(each.scheme == "tls" for each in parts):
            self._more["tls"] = _tls(options, env.folder, table)
        # over TLS 1.3 a server refuses whoever shows no certificate after the client's end of the handshake, so as a cut connection
        lacks_certificate = "tls" in self._more and not options.certificate
        self._hint = (
            f"; where it asks for a certificate, [{table}] certificate and key name ours" if lacks_certificate else ""
        )
        # a stale connection is found after one to two of these
        self._pings = (env.timing.ping + env.timing.pong) / 2
        self._next = 0

    async def dial(self, within: float, told: Told, ended: Ended, retires: Ended | None = None) -> Client:
        """A connection that is logged in, to the first that answers. `retires` is told when its server is about to end ("lame
        duck"). Raises Unreachable after `within` seconds at the latest."""
        causes = [f"no answer within {within:g} s"]
        try:
            async with asyncio.timeout(within):
                for _ in self._urls:
                    url = self._urls[self._next % len(self._urls)]
                    try:
                        return await self._connect(url, within, told, ended, causes, retires)
                    except (_Stop, *FAILURES) as error:
                        causes += [] if isinstance(error, _Stop) else [self.words(error)]
                        self._next += 1
        except TimeoutError:
            pass  # what happened before, if anything did, says more
        raise Unreachable(f"{self.place}: {causes[-1]}")

    async def _connect(
        self, url: str, within: float, told: Told, ended: Ended, causes: list[str], retires: Ended | None
    ) -> Client:  # fmt: skip
        client, is_open = _Secure() if "tls" in self._more else Client(), False

        async def noted(error: Exception) -> None:
            if is_open:
                await told(error)
            else:
                causes.append(self._at_login(error))
                raise _Stop

        try:
            await client.connect(
                url, error_cb=noted, closed_cb=ended, allow_reconnect=False, max_outstanding_pings=1, name="vyked-host",
                lame_duck_mode_cb=retires,
                skip_subject_validation=True,  # ours are made of names that were checked at start; theirs come from the server
                **{**self._more, "connect_timeout": within, "ping_interval": self._pings},
            )  # fmt: skip
        except BaseException:
            await hang_up(client)
            raise
        is_open = True
        return client

    def leave(self) -> bool:
        """From now on another one comes first. False: there is no other."""
        self._next += 1
        return len(self._urls) > 1

    def _at_login(self, error: Exception) -> str:
        # a server that does not let us in says so and hangs up, and the second may overtake the first
        is_cut = isinstance(error, (ConnectionError, EOFError)) and not isinstance(error, ConnectionRefusedError)
        words = self.words(error)
        if is_cut or "CERTIFICATE_REQUIRED" in words:
            words += f" during the login: perhaps it does not let us in{self._hint}"
        return words

    def words(self, error: BaseException) -> str:
        """What happened, without a password."""
        if isinstance(error, ssl.SSLError):
            said = f"TLS: {getattr(error, 'verify_message', '') or error.reason or error}"
        elif isinstance(error, OSError) and error.errno and error.errno > 0:
            said = os.strerror(error.errno)
        else:
            said = str(error)
        text = " ".join(said.split()).removeprefix("nats: ") or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


async def hang_up(client: Client) -> None:
    """Close a connection without waiting for long for whoever is at the other end. Idempotent."""
    # in a task of its own: a cancellation that comes meanwhile ended close() half-way, and the tasks of its subscriptions stayed
    closing = asyncio.ensure_future(client.close())
    closing.add_done_callback(_is_closed)
    try:
        await asyncio.wait({closing}, timeout=CLOSE_S)
    except asyncio.CancelledError:
        asyncio.get_running_loop().call_later(CLOSE_S, _abort, client)  # it has its time all the same
        raise
    _abort(client)


def _abort(client: Client) -> None:
    """End the socket: close() waits until everything is written, for ever where the server has stopped reading, and nats-py has
    no other way to its transport."""
    writer = getattr(client._transport, "_bare_io_writer", None)
    if writer is None:
        return
    found = writer.get_extra_info("socket")
    # an asyncio transport that was closed with bytes to write, and has written them, fails in abort() (cpython: _force_close)
    if found is not None and found.fileno() >= 0:
        writer.transport.abort()


def _is_closed(closing: asyncio.Future[None]) -> None:
    """A server that hangs, or has cut us off, is none of this host's failures any more; what else goes wrong is told."""
    error = None if closing.cancelled() else closing.exception()
    if error is not None and not isinstance(error, (TimeoutError, _Stop, *FAILURES)):
        asyncio.get_running_loop().call_exception_handler({"message": "closing a NATS connection", "exception": error})


def _credentials(path: str, table: str) -> str:
    """Raises ConfigError where they can't be used."""
    if importlib.util.find_spec("nkeys") is None:
        raise ConfigError(f"[{table}] credentials need the package nkeys: pip install vyked-nats[credentials]")
    if not os.path.isfile(path):
        raise ConfigError(f"[{table}] credentials: there is no file {path}")
    return path


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
