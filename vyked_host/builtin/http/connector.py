"""Connections of the client side, opened through the host's own `Net`, so that simulation and TLS settings hold for HTTP too."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from ...contracts import Net, Trust
from ...errors import PermissionDenied
from ...wire.alerts import in_words


class NotConnected(aiohttp.ClientConnectionError):
    """No connection could be opened: nothing was sent."""


class NetConnector(aiohttp.BaseConnector):
    """A pool of connections to one node, `limit` at once (0: no bound). `tls` is asked for each of them: certificates change."""

    def __init__(
        self, net: Net, uri: str, tls: Callable[[], ssl.SSLContext | None], trust: Trust, *, dial_s: float, limit: int
    ) -> None:
        super().__init__(limit=limit, keepalive_timeout=15.0)
        self._net, self._uri, self._tls, self._trust, self._dial_s = net, uri, tls, trust, dial_s

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        """aiohttp's hook for connectors. Raises NotConnected."""
        if f"tcp://{req.url.raw_authority}" != self._uri:
            raise NotConnected(f"{req.url.origin()} is another host: such redirects are not followed")
        link: ResponseHandler = self._factory()
        try:
            async with asyncio.timeout(self._dial_s):
                await self._net.connect(self._uri, lambda: link, self._tls())
                self._check(link)
        except TimeoutError:
            raise NotConnected(f"{self._uri}: no connection within {self._dial_s:g} s") from None
        except OSError as error:
            raise NotConnected(f"{self._uri}: {in_words(error) or _cause(error)}") from error
        return link

    def _check(self, link: ResponseHandler) -> None:
        """The certificate is of one who may be a peer."""
        if not self._trust.encrypted:
            return
        try:
            self._trust.check(self._trust.peer(link.transport, self._uri).identity)
        except PermissionDenied as error:
            link.close()
            raise NotConnected(f"{self._uri}: {error}") from None


def _cause(error: OSError) -> str:
    """As the system says it: event loops put the address, which is told already, into their texts."""
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)
