"""TLS contexts that old code made itself: `ssl_context` of services and clients, `Host.registry_client_ssl`."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import Literal

from vyked_host.contracts import Tls


class Contexts:
    """`contracts.Tls` of one table. `server`: of what is listened on; `client`: of what is dialled; `vendors`: service -> of what its instances
    are dialled with instead; `pages`: services whose HTTP sides speak HTTPS."""

    def __init__(
        self, server: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None,
        vendors: Mapping[str, ssl.SSLContext] | None = None, pages: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self._server, self._client, self.vendors, self.pages = server, client, dict(vendors or {}), frozenset(pages)

    def __call__(
        self, side: Literal["server", "client"], /, *, clients: Literal["required", "optional", "none"] = "required"
    ) -> ssl.SSLContext | None:
        """The context for one side. Whether it asks for certificates was decided when it was made."""
        return self._server if side == "server" else self._client


def secured(tls: Tls) -> frozenset[str]:
    """Services that are dialled with a context of their own."""
    return frozenset(tls.vendors) if isinstance(tls, Contexts) else frozenset()


def over_https(tls: Tls) -> frozenset[str]:
    """Services whose HTTP sides are dialled over HTTPS."""
    return tls.pages if isinstance(tls, Contexts) else frozenset()


def towards(tls: Tls, service: str) -> ssl.SSLContext | None:
    """What an instance of `service` is dialled with; "": of none in particular."""
    own = tls.vendors.get(service) if isinstance(tls, Contexts) else None
    return own or tls("client")
