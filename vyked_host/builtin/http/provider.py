"""What the catalogue imports to learn of the HTTP transport: light, without aiohttp."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...contracts import Environment, Guarantees, Provider, Transport, hookimpl
from .options import Options


def _build(options: Options, env: Environment) -> Transport:
    from .transport import HttpTransport

    return HttpTransport(options, env)


@hookimpl
def vyked_transports() -> Iterable[Provider[Transport]]:
    """The transport ``http``."""
    return [
        Provider(
            name="http",
            summary="routes and calls over HTTP/1.1",
            options=Options,
            build=_build,
            guarantees=lambda _options: Guarantees(streams=True, cancels=True),
        )
    ]


def is_loopback(host: str) -> bool:
    """Can only this machine reach `host`? A name other than localhost counts as reachable from elsewhere."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, table in settings.get("transports", {}).items():
        if table.get("use", name) == "http":
            options = table.get("options") or table
            yield name, options.get("host", Options().host)


@hookimpl
def vyked_check_settings(settings: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """A bind beyond loopback is refused without TLS unless the file says that it is meant."""
    security = settings.get("security", {})
    if security.get("insecure", False) or security.get("tls") is not None:
        return
    for name, host in _hosts(settings):
        if not is_loopback(host):
            yield (
                f"transports.{name}.host",
                f"{host!r} can be reached from other machines, and HTTP here is not encrypted",
                'set [security.tls], bind "127.0.0.1", or say that it is meant: [security] insecure = true',
            )
