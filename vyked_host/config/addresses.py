"""What the file binds: no port twice, and nothing beyond loopback unless the file says that it is meant.

A port is what stands under `port` (with `host` beside it) or in `address` as ``host:port``, in the options of any plugin.
Only ports that were given count: a default that is taken gives way to a free one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..model.settings import Settings
from ..model.values import Value
from .document import DEFAULT, Document
from .paths import Path, dotted

_ANY = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 - compared with, not bound


class Bind(Value):
    """A port that the file gives, and the path that gives it; `host_path` is where the host stands."""

    host: str
    port: int
    path: Path
    host_path: Path


def binds(settings: Settings) -> Iterator[Bind]:
    """Everything in `settings` that listens on an address."""
    for name, table in settings.transports.items():
        yield from _of(table.options, ("transports", name))
    for kind, choice in (("registry", settings.registry), ("pubsub", settings.pubsub)):
        yield from _of(choice.options, (kind, choice.use.rpartition(":")[2]))


def _of(options: Any, path: Path) -> Iterator[Bind]:
    port, host = getattr(options, "port", None), getattr(options, "host", "127.0.0.1")
    if isinstance(host, str) and hasattr(options, "port"):
        yield Bind(host=host, port=port or 0, path=(*path, "port"), host_path=(*path, "host"))
    address = getattr(options, "address", None)
    if isinstance(address, str) and not address.startswith("unix:"):
        host, _, number = address.rpartition("://")[2].rpartition(":")
        if number.isdigit():
            place = (*path, "address")
            yield Bind(host=host.strip("[]"), port=int(number), path=place, host_path=place)


def check_ports(found: Iterable[Bind], document: Document) -> None:
    """Each given port is given once. Where two back ends name one address, they share what listens there: a hub."""
    first: dict[int, list[Bind]] = {}
    for bind in found:
        if not bind.port or not _given(document, bind.path):
            continue
        rivals = first.setdefault(bind.port, [])
        rival = next((each for each in rivals if _same(each.host, bind.host) and not _shared(each, bind)), None)
        rivals.append(bind)
        if rival is not None:
            _port_fault(document, bind, rival)


def _shared(one: Bind, other: Bind) -> bool:
    """The registry and the bus of one back end meet at one place."""
    return one.path[0] != other.path[0] and one.path[1:] == other.path[1:] and one.path[-1] == "address"


def _given(document: Document, path: Path) -> bool:
    inner: Any = document.data
    for part in path:
        if not isinstance(inner, Mapping) or part not in inner:
            return False
        inner = inner[part]
    return True


def _port_fault(document: Document, bind: Bind, rival: Bind) -> None:
    origin = document.origin(rival.path)
    where = f" ({origin})" if origin != DEFAULT else ""
    message = f"{dotted(bind.path)}: port {bind.port} is taken by {dotted(rival.path)}{where}"
    document.findings.add(bind.path, message, "give another one; port = 0 picks a free one")


def _same(one: str, other: str) -> bool:
    return one == other or bool({one, other} & _ANY) or {one, other} == {"localhost", "127.0.0.1"}


def is_loopback(host: str) -> bool:
    """Can only this machine reach `host`? A name counts as reachable from elsewhere, but for localhost."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(found: Iterable[Bind], settings: Settings, document: Document) -> None:
    """Beyond loopback there has to be mutual TLS, or a word that it is meant: a secret alone proves who calls, but everybody
    on the way reads along and can change what is said after the proof (docs/security.md)."""
    if settings.security.insecure or settings.security.tls is not None:
        return
    lacking = "without encryption" if settings.security.secret else "without identity or encryption"
    for bind in found:
        if not is_loopback(bind.host) and _given(document, bind.host_path):
            message = f'{dotted(bind.host_path)}: "{bind.host}" can be reached from other machines, {lacking}'
            remedy = 'set [security.tls], bind "127.0.0.1", or say that it is meant: [security] insecure = true'
            document.findings.add(bind.host_path, message, remedy)
