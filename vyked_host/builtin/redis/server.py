"""The server: its address, a connection to it, and what its failures mean in words. Nothing that leaves here shows the
user's password: not the place, not a message that a server sent back with our own words in it.

Of redis-py only single connections are used. Its pool, pub/sub object and retries are left out: they wait and
reconnect without telling, so that a gap in a subscription could not be seen.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterable
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import AuthenticationError, InvalidResponse, RedisError

from ...errors import ConfigError
from .faults import Denied, Unreachable
from .options import HIDDEN

Word = str | bytes
CLASSES = {"redis": Connection, "rediss": SSLConnection, "unix": UnixDomainSocketConnection}
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
FAILURES = (RedisError, OSError, EOFError, ValueError, RecursionError)
"""What redis-py raises when a connection can't be used; the last three come out of its parser when garbage comes in."""


class Wire(Protocol):
    """What is used of a connection of redis-py (5.0 and later)."""

    async def connect(self) -> None:
        """Open it, log in and choose the database."""

    def pack_commands(self, commands: Iterable[Iterable[Word]]) -> list[bytes]:
        """Commands as bytes."""
        ...

    async def send_packed_command(self, command: Iterable[bytes]) -> None:
        """Write."""

    async def read_response(self, *, disable_decoding: bool, disconnect_on_error: bool) -> Any:
        """The next reply."""

    async def disconnect(self, nowait: bool = False) -> None:
        """Close it."""


class Server:
    """One Redis or Valkey server. `place` is its address as people may see it; `table` is where its url was written."""

    def __init__(self, url: str, table: str = "pubsub.redis") -> None:
        self._table = table
        try:
            parts = urlsplit(url)
            port, database = parts.port, _database(parts.path if parts.scheme != "unix" else "", parts.query)
        except ValueError:
            # from None: the cause quotes the url, and a password with it
            raise _unfit(table, "a part of it is no number") from None
        if "@" in f"{parts.path}{parts.query}{parts.fragment}":
            raise _unfit(table, "there is an '@' behind the host")
        if parts.scheme not in CLASSES or not (parts.path if parts.scheme == "unix" else parts.hostname):
            raise _unfit(table, "it has no scheme or no host")
        self._class = CLASSES[parts.scheme]
        self._password = unquote(parts.password or "")
        self._settings: dict[str, Any] = {"db": database, **_tls(table, parts.scheme, parts.query)}
        if parts.scheme == "unix":
            self._settings["path"] = unquote(parts.path)
            self.place = f"unix://{parts.path}"
        else:
            host = cast(str, parts.hostname)
            self._settings |= {"host": host, "port": port or 6379}
            self.place = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port or 6379}/{database}"
        if parts.username:
            self._settings["username"] = unquote(parts.username)
        if self._password:
            self._settings["password"] = self._password

    async def dial(self, within: float) -> Wire:
        """A connection that is logged in. Raises Unreachable after `within` seconds at the latest."""
        # RESP2: answers and pushed messages differ by their shape, on every server there is
        wire = cast(Wire, self._class(**self._settings, protocol=2, socket_timeout=None, socket_connect_timeout=None))
        try:
            async with asyncio.timeout(within):
                await wire.connect()
        except TimeoutError:
            await hang_up(wire)
            raise Unreachable(f"{self.place} did not answer within {within:g} s") from None
        except FAILURES as error:
            await hang_up(wire)
            kind = Denied if isinstance(_inner(error), AuthenticationError | InvalidResponse) else Unreachable
            raise kind(self.words(error)) from None  # the cause may quote the password
        except BaseException:
            await hang_up(wire)
            raise
        return wire

    def words(self, error: Exception) -> str:
        """What happened, and what to do about it."""
        error = _inner(error)
        text = " ".join(_said(error).split()).rstrip(".")
        if self._password:
            text = text.replace(self._password, HIDDEN)
        if isinstance(error, AuthenticationError):
            return f"{self.place} refused the user or password of [{self._table}] url: {text}"
        if isinstance(error, InvalidResponse):
            return f"what answers at {self.place} is no Redis or Valkey: {text}"
        return f"{self.place}: {text}"


def _inner(error: Exception) -> Exception:
    """redis-py wraps what was wrong with a login on a Unix socket."""
    return error.args[0] if error.args and isinstance(error.args[0], Exception) else error


def _said(error: Exception) -> str:
    """What the system said, where redis-py only passes its number on."""
    cause = error.__context__
    if not isinstance(cause, OSError):
        return str(error)
    if isinstance(cause, ssl.SSLError) or not cause.errno:
        return str(cause)
    return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)


async def hang_up(wire: Wire) -> None:
    """Close a connection without waiting for whoever is at the other end. Idempotent."""
    cut(wire)
    await wire.disconnect(nowait=True)


def cut(wire: Wire) -> None:
    """Break a connection off: whoever reads or writes it is told by an exception."""
    # a plain close() waits until everything is written, for ever where the server has stopped reading: only the
    # transport can be aborted, and redis-py has no way to it but this
    writer = getattr(wire, "_writer", None)
    if writer is not None:
        writer.transport.abort()


def _database(path: str, query: str) -> int:
    return int(dict(parse_qsl(query)).get("db") or path.strip("/") or 0)


def _tls(table: str, scheme: str, query: str) -> dict[str, Any]:
    given = dict(parse_qsl(query))
    unknown = sorted(set(given) - {"db"} - (set(TLS_FILES) if scheme == "rediss" else set()))
    if unknown:
        raise _unfit(
            table,
            f"it may not have {', '.join(unknown)} behind the '?'; db, and for rediss {', '.join(TLS_FILES)}, may",
        )
    files: dict[str, Any] = {name: given[name] for name in TLS_FILES if name in given}
    return files | {"ssl_check_hostname": True} if scheme == "rediss" else {}  # not every redis-py does by itself


def _unfit(table: str, what: str) -> ConfigError:
    return ConfigError(
        f"[{table}] url is no address of a Redis server: {what}; write redis://USER:PASSWORD@HOST:PORT/DATABASE, "
        "rediss:// for TLS or unix:///PATH, with any of / ? # @ : % in a password percent-encoded"
    )
