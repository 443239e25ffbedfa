"""What the catalogue imports to learn of the TCP transport: light, without a socket."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...contracts import Environment, Guarantees, Provider, Transport, hookimpl
from .options import Options

_ANY = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - recognised so that it can be refused


def _build(options: Options, env: Environment) -> Transport:
    from .transport import TcpTransport

    return TcpTransport(options, env)


def _guarantees(_options: Options) -> Guarantees:
    return Guarantees(streams=True, cancels=True, push=True)


@hookimpl
def vyked_transports() -> Iterable[Provider[Transport]]:
    """The transport ``tcp``."""
    summary = "calls between hosts over the native binary protocol"
    return [Provider(name="tcp", summary=summary, options=Options, build=_build, guarantees=_guarantees)]


def is_loopback(host: str) -> bool:
    """Can only this machine reach `host`? A name other than localhost counts as reachable from elsewhere."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tables(settings: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, table in settings.get("transports", {}).items():
        if table.get("use", name) == "tcp":
            yield f"transports.{name}", table.get("options") or table


@hookimpl
def vyked_check_settings(settings: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """A bind beyond loopback is refused without TLS unless the file says that it is meant; so is one that others can't dial."""
    security = settings.get("security", {})
    insecure = security.get("insecure", False) or security.get("tls") is not None
    for path, options in _tables(settings):
        host = options.get("host") or Options().host
        if not insecure and not is_loopback(host):
            yield (
                f"{path}.host",
                f"{host!r} can be reached from other machines, and calls are not encrypted",
                'set [security.tls], bind "127.0.0.1", or say that it is meant: [security] insecure = true',
            )
        if host in _ANY and not options.get("advertise"):
            yield (
                f"{path}.host",
                f"{host!r} is every address of this machine, so other hosts do not learn which one to dial",
                'say it, such as advertise = "10.0.0.7"',
            )
