"""The server: its address, a connection to it, and what its failures mean in words. Nothing that leaves here shows the
user's password: not the place, not a message that a server sent back with our own words in it.

Of redis-py only single connections are used. Its pool, pub/sub object and retries are left out: they wait and
reconnect without telling, so that a gap in a subscription could not be seen.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from typing import Any, cast

from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as NoConnection

from ...errors import ConfigError
from .address import TLS_FILES, Address, Place, parsed
from .faults import Denied, NotLetIn, Unreachable
from .finding import Finder
from .options import HIDDEN
from .wire import FAILURES, Wire, hang_up


class Server:
    """One server, or one of several that takes over from another. `place` is its address as people may see it; `table` is where its
    url was written; `mesh` decides which node of a Cluster it is, and stands in the
    names of keys there."""

    def __init__(self, url: str, table: str = "pubsub.redis", mesh: str = "") -> None:
        self._table = table
        self.address = address = parsed(url, table)
        self.place = address.shown
        # in a Cluster all keys of a mesh are at one node: scripts need several together, and one connection serves all
        self.mesh = f"{{{mesh}}}" if address.kind == "cluster" else mesh
        self._settings = dict(address.settings)
        kind = UnixDomainSocketConnection if "path" in self._settings else Connection
        self._class = SSLConnection if address.has_tls else kind
        _look_at_files(address, table)
        asking = address.asking if address.kind == "sentinel" else self._settings
        self._finder = Finder(address, f"{{{mesh}}}", lambda place: self._wire(place, asking))

    @property
    def is_cluster(self) -> bool:
        """Has it to be asked which node a key is at?"""
        return self.address.kind == "cluster"

    async def dial(self, within: float) -> Wire:
        """A connection that is logged in, to a server that has its data. Raises Unreachable after `within` seconds at the latest."""
        wire: Wire | None = None
        try:
            async with asyncio.timeout(within):
                wire = self._wire(await self._finder.found(), self._settings)
                await wire.connect()
                await _loaded(wire)
                if self.address.kind == "sentinel":
                    await self._writable(wire)
        except TimeoutError:
            await _ended(wire)
            raise Unreachable(self.silent(within)) from None
        except FAILURES as error:
            await _ended(wire)
            raise self.unreachable(error) from None  # the cause may quote the password
        except BaseException:
            await _ended(wire)
            raise
        return wire

    def _wire(self, where: Place | None, settings: dict[str, Any]) -> Wire:
        at: dict[str, Any] = {} if where is None else {"host": where[0], "port": where[1]}
        # RESP2: answers and pushed messages differ by their shape, on every server there is
        return cast(Wire, self._class(**settings, **at, protocol=2, socket_timeout=None, socket_connect_timeout=None))

    async def _writable(self, wire: Wire) -> None:
        """A Sentinel that has not heard yet names a master that is none any more."""
        role = await _asked(wire, "ROLE")
        if role[0] != b"master":
            raise NoConnection(f"the Sentinels name a server that is a {bytes(role[0]).decode()}")

    def silent(self, within: float) -> str:
        """That it has said nothing for `within` seconds."""
        maybe = "; rediss:// is TLS, to which a server without it says nothing" if self.address.has_tls else ""
        return f"{self.place} did not answer within {within:g} s{maybe}"

    def unreachable(self, error: Exception) -> Unreachable:
        """What to raise of a failure: does it not let us in, is it no such server, or is it away?"""
        inner = _inner(error)
        if isinstance(inner, AuthenticationError | NoPermissionError):
            return NotLetIn(self.words(error))
        return (Denied if isinstance(inner, InvalidResponse) else Unreachable)(self.words(error))

    def words(self, error: Exception) -> str:
        """What happened, and what to do about it."""
        error = _inner(error)
        text = " ".join(_said(error).split()).rstrip(".")
        for secret in self.address.secrets:
            text = text.replace(secret, HIDDEN)
        if isinstance(error, AuthenticationError):
            return f"{self.place} refused the user or password of [{self._table}] url: {text}"
        if isinstance(error, InvalidResponse):
            return f"what answers at {self.place} is no Redis or Valkey: {text}"
        return f"{self.place}: {text}"


def _look_at_files(address: Address, table: str) -> None:
    """redis-py reads them with each connection, and does not say which of them it can't. Raises ConfigError."""
    files = {name: str(address.settings[name]) for name in TLS_FILES if name in address.settings}
    try:
        if "ssl_ca_certs" in files:
            ssl.create_default_context(cafile=files["ssl_ca_certs"])
        if "ssl_certfile" in files:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"))
    except OSError as error:
        named = ", ".join(f"{name}={file}" for name, file in files.items())
        raise ConfigError(f"[{table}] url: of {named} one can't be used: {error}") from None


def _inner(error: Exception) -> Exception:
    """redis-py wraps what was wrong with a login on a Unix socket."""
    return error.args[0] if error.args and isinstance(error.args[0], Exception) else error


def _said(error: Exception) -> str:
    """What the system said, where redis-py only passes its number on."""
    cause = error if isinstance(error, OSError) else error.__context__
    if not isinstance(cause, OSError):
        return str(error)
    if isinstance(cause, ssl.SSLError) or not cause.errno:
        return str(cause)
    return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)


async def _loaded(wire: Wire) -> None:
    """A server that still loads its data lets everybody in, and answers every command that it does: raises BusyLoadingError then.
    What else it may say against a PING is said again of the commands that matter."""
    with suppress(ResponseError):
        await _asked(wire, "PING")


async def _asked(wire: Wire, *words: str) -> Any:
    """The answer to one command. Raises what redis-py raises."""
    await wire.send_packed_command(wire.pack_commands([words]))
    return await wire.read_response(disable_decoding=True, disconnect_on_error=False)


async def _ended(wire: Wire | None) -> None:
    if wire is not None:
        await hang_up(wire)
