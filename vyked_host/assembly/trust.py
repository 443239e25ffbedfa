"""``[security]`` made into what transports use: the one place where secrets and certificates become objects."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast

from ..contracts import Authenticator, Tls, Trust
from ..model.identity import of_mesh
from ..model.settings import SecurityTable, Settings
from ..wire.proof import Seal

if TYPE_CHECKING:
    from ..runtime.node import Node
    from .certificates import Certificates
    from .environment import Workshop


def trust(table: SecurityTable, mesh: str, authenticator: Authenticator | None) -> Trust:
    """How a host of `mesh` proves itself, and what it makes of its peers."""
    return Trust(
        mesh,
        seal=None if table.secret is None else Seal((table.secret, *table.accept_secrets)),
        claims=table.identity,
        peers=table.tls.peers if table.tls is not None else (),
        identify=None if authenticator is None else authenticator.identify,
        encrypted=table.tls is not None,
        serve=table.serve,
    )


def certificates(settings: Settings, log: logging.Logger) -> Certificates | Tls:
    """What makes TLS contexts: `Certificates` where there is a ``[security.tls]``, which alone needs ssl imported."""
    if settings.security.tls is None:
        return _plain
    from .certificates import Certificates

    return Certificates(settings.security.tls, os.path.abspath(settings.folder), log)


def watch_certificates(workshop: Workshop, node: Node) -> None:
    """Read them again on change while `node` runs, and let readiness tell of their end."""
    if workshop.certificates is _plain:
        return
    found = cast("Certificates", workshop.certificates)
    node.lifespans.append(("[security.tls]", found.watched(workshop.tasks, workshop.settings.timing.scale)))
    node.health.add([("certificate", found.health)])
    node.health.note("certificate", found.note)


def own_identity(table: SecurityTable, mesh: str, made: Certificates | Tls) -> Callable[[], str]:
    """Who this host is to its peers: what calls inside it are to those that come over a connection. "" where nobody has to prove
    anything, or an authenticator of the peers decides."""
    if table.authenticator is not None:
        return lambda: ""
    if made is not _plain:
        return lambda: cast("Certificates", made).current.identity or ""
    return lambda: of_mesh(mesh) if table.secret is not None else ""


def _plain(_side: Literal["server", "client"], /, **_: Any) -> None:
    return None
