"""The certificates of a running host: read at start, read again when a file has changed, and watched for their end.

A listener has one context for its whole life; what it shows is chosen per handshake, so that new connections get what the files
hold now while those that are open stay. Files that don't fit - one of two was written - change nothing until they do.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from ..config import certificates as files
from ..config.certificates import Certificate, Clients, Unusable
from ..config.security import SOON_S
from ..contracts import TaskScope
from ..errors import VykedError
from ..model.settings import TlsTable

LOOK_S = 5.0
"""Seconds between two looks at the files, times `[timing] scale`."""
REMIND_S = 86400.0

Stamp = tuple[tuple[int, int, int], ...]


class Certificates:
    """`contracts.Tls` out of ``[security.tls]``. Raises Unusable when the files can't be used."""

    def __init__(
        self, table: TlsTable, folder: str, log: logging.Logger, unix: Callable[[], float] = time.time
    ) -> None:
        self._files, self._log, self._unix = files.paths(table, folder), log, unix
        self._names = not table.peers
        self._servers: dict[Clients, ssl.SSLContext] = {}
        self._fronts: dict[Clients, ssl.SSLContext] = {}
        self._client: ssl.SSLContext
        self.current: Certificate
        self._told = -REMIND_S
        self._stamp = self._stamped()
        self._read()

    def __call__(self, side: Literal["server", "client"], /, *, clients: Clients = "required") -> ssl.SSLContext:
        """The context for one side."""
        return self._client if side == "client" else self._front(clients)

    def _front(self, clients: Clients) -> ssl.SSLContext:
        """What a listener keeps: each handshake goes on with what is current."""
        found = self._fronts.get(clients)
        if found is None:
            found = self._fronts[clients] = files.server(self._files, clients)

            def choose(link: Any, _name: str | None, _context: ssl.SSLContext) -> None:
                link.context = self._server(clients)

            found.sni_callback = choose
        return found

    def _server(self, clients: Clients) -> ssl.SSLContext:
        found = self._servers.get(clients)
        if found is None:
            found = self._servers[clients] = files.server(self._files, clients)
        return found

    def _read(self) -> None:
        current, client = files.examine(self._files), files.client(self._files, names=self._names)
        servers: dict[Clients, ssl.SSLContext] = {each: files.server(self._files, each) for each in self._fronts}
        self.current, self._client, self._servers = current, client, servers
        self._warn()

    def _stamped(self) -> Stamp:
        """What changes when a file is written or replaced, also through a link."""
        found = []
        for path in self._files.values():
            try:
                stat = os.stat(path)
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(found)

    # ---- while it runs -----------------------------------------------------------------------------------------------
    def look(self) -> None:
        """Read the files again if one has changed; what can't be used is logged, and the old ones stay."""
        stamp = self._stamped()
        if stamp == self._stamp:
            self._warn()
            return
        self._stamp = stamp
        try:
            self._read()
        except (VykedError, OSError, ValueError) as error:
            self._log.error("the certificates have changed and can't be used, the old ones stay: %s", error)
        else:
            self._log.info("the certificates were read again: %s", self.current.identity)

    @asynccontextmanager
    async def watched(self, tasks: TaskScope, scale: float) -> AsyncIterator[None]:
        """Look now and then until left."""
        stop = tasks(self._watch(LOOK_S * scale), "certificates")
        try:
            yield
        finally:
            stop()

    async def _watch(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            self.look()

    @property
    def left_s(self) -> float:
        """Seconds until the certificate ends."""
        return self.current.expires - self._unix()

    def _warn(self) -> None:
        if self.left_s < SOON_S and self._unix() - self._told >= REMIND_S:
            self._told = self._unix()
            self._log.warning("the certificate of this host expires in %.1f days: renew it", self.left_s / 86400)

    def note(self) -> str | None:
        """What there is to say of a certificate that ends soon."""
        return f"it expires in {self.left_s / 86400:.1f} days" if self.left_s < SOON_S else None

    async def health(self) -> str | None:
        """A check: nobody would accept an expired certificate."""
        return None if self.left_s > 0 else "it has expired: no peer accepts this host"


__all__ = ["Certificates", "Unusable"]
