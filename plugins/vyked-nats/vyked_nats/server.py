"""The servers: their addresses, a connection to one of them, and what its failures mean in words. Nothing that leaves here
shows a password.

nats-py connects and logs in (:mod:`login`). Its reconnecting is left out: it resubscribes without telling, so that a gap could not be
seen, and keeps publications in a buffer of its own.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import ssl
from typing import Any, ClassVar
from urllib.parse import urlsplit

from nats.errors import Error as NatsError

from vyked_host import ConfigError, StartError, VykedError
from vyked_host.contracts import Environment

from .connection import Connection, Watch
from .login import Login, SecureLogin, lacks
from .options import HIDDEN, ServerOptions
from .parser import NotNats

SCHEMES = ("nats", "tls")
FAILURES = (NatsError, NotNats, OSError, EOFError, ValueError)
CLOSE_S = 0.5


DENIALS = ("authorization", "authentication", "during the login", "user", "permission")
"""Words of a server, and of ours, that does not let us in."""


class Unreachable(VykedError):
    """No server can be used now, for the reason in the text. `todo`: what to do about it, `{table}` being where its url stands."""

    todo: ClassVar[str] = "start the server, correct [{table}] url"


class Denied(Unreachable):
    """It answered, and does not let us in: trying again is of no use."""

    todo: ClassVar[str] = (
        "correct user and password in [{table}] url, or credentials, or what the server knows of this user (its log says more)"
    )


class _Stop(Exception):
    """Ends a connect of nats-py with its first failure, where it would try for minutes."""


class Servers:
    """The servers of one table. `place` is their addresses as people may see them."""

    def __init__(self, options: ServerOptions, env: Environment, table: str) -> None:
        if missing := lacks():
            raise StartError(f"[{table}]: {missing}")
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
        self._next = 0

    async def dial(self, within: float, watch: Watch) -> Connection:
        """A connection that is logged in, to the first that answers. Raises Unreachable after `within` seconds at the latest."""
        causes = [f"no answer within {within:g} s"]
        try:
            async with asyncio.timeout(within):
                for _ in self._urls:
                    url = self._urls[self._next % len(self._urls)]
                    try:
                        return await self._connect(url, within, watch, causes)
                    except (_Stop, *FAILURES) as error:
                        causes += [] if isinstance(error, _Stop) else [self._at_login(error)]
                        self._next += 1
        except TimeoutError:
            pass  # what happened before, if anything did, says more
        denied = any(word in causes[-1].lower() for word in DENIALS)
        raise (Denied if denied else Unreachable)(f"{self.place}: {causes[-1]}")

    async def _connect(self, url: str, within: float, watch: Watch, causes: list[str]) -> Connection:
        login = SecureLogin() if "tls" in self._more else Login()

        async def noted(error: Exception) -> None:
            causes.append(self._at_login(error))
            raise _Stop

        try:
            told = await login.enter(url, error_cb=noted, **{**self._more, "connect_timeout": within})
            return Connection(told, login.wire, watch, login.connected_url)
        except BaseException:
            login.wire.close()
            raise

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


async def hang_up(connection: Connection) -> None:
    """Close a connection without waiting for long for whoever is at the other end. Idempotent."""
    await connection.aclose(CLOSE_S)


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
