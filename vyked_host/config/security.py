"""``[security]`` checked before anything is bound: secrets by reference, certificates that peers will take, and tables that
can't mean what they say."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable

from ..model.identity import EVERY
from ..model.settings import SecurityTable, Settings
from .certificates import Unusable, examine, paths
from .document import Document
from .paths import Path
from .services import Service
from .suggest import did_you_mean, join, listing

SOON_S = 7 * 86400.0
"""From so many seconds before its end on a certificate is warned of."""

_REFERENCE = 'write it into a file that nobody else can read, and secret = "${file:secret}"'


def check(settings: Settings, services: Iterable[Service], document: Document) -> None:
    """Note every fault of ``[security]``, and of allow lists that nobody could be in."""
    table = settings.security
    _check_secrets(table, document)
    if table.tls is not None:
        _check_tls(table, settings.folder, document)
    if table.identity and table.tls is None:
        text = "security.identity: without [security.tls] this travels unencrypted, and everybody on the way can use it"
        document.findings.add(("security", "identity"), text, "set [security.tls]", severity="warning")
    _check_methods(services, document)
    if not (table.proves or table.authenticator is not None):
        _check_unprovable(settings, services, document)


def _check_secrets(table: SecurityTable, document: Document) -> None:
    given: list[Path] = [("security", "secret")] if table.secret is not None else []
    given += [("security", "accept_secrets", index) for index in range(len(table.accept_secrets))]
    given += [("security", "identity", name) for name in table.identity]
    for path in given:
        if document.written.get(path):
            continue
        if document.flag(path) is not None:
            text = "a secret on a command line can be seen by every user of this machine"
            document.findings.add(path, text, "set it to a reference: 'security.secret=${file:secret}'")
        else:
            text = f"{path[1]}: a secret that stands in the file itself is seen by everybody who sees the file"
            document.findings.add(path, text, _REFERENCE, severity="warning")
    if table.accept_secrets and table.secret is None:
        text = "security.accept_secrets: there is no secret that these could stand beside"
        document.findings.add(("security", "accept_secrets"), text, "set security.secret", at="key")


def _check_tls(table: SecurityTable, folder: str, document: Document) -> None:
    assert table.tls is not None
    files = paths(table.tls, folder)
    try:
        found = examine(files)
    except Unusable as error:
        document.findings.add(
            ("security", "tls", error.key), f"security.tls.{error.key}: {error.message}", error.remedy
        )
        return
    left = found.expires - time.time()
    if left < SOON_S:
        text = f"security.tls.cert: the certificate expires in {left / 86400:.1f} days"
        document.findings.add(
            ("security", "tls", "cert"), text, "renew it: it is read again on change", severity="warning"
        )
    if os.stat(files["key"]).st_mode & stat.S_IROTH:
        text = f'every user of this machine can read "{table.tls.key}"'
        document.findings.add(("security", "tls", "key"), text, f"chmod o-r {table.tls.key}", severity="warning")


def _check_methods(services: Iterable[Service], document: Document) -> None:
    """A list for a method that is not there would leave the one that was meant to the others."""
    for each in services:
        known = [endpoint.name for endpoint in each.description.endpoints]
        for name in each.table.allow if isinstance(each.table.allow, dict) else ():
            if name != EVERY and name not in known:
                path: Path = ("services", each.key, "allow", name)
                remedy = join(did_you_mean(name, known), f'there are: {listing(known)}; "{EVERY}" is all others')
                document.findings.add(path, f"{each.description.name} has no method {name}", remedy, at="key")


def _check_unprovable(settings: Settings, services: Iterable[Service], document: Document) -> None:
    """Lists of identities, where no peer can have one."""
    given: list[Path] = [("services", each.key, "allow") for each in services if each.table.allow is not None]
    given += [("security", "serve")] if settings.security.serve else []
    for path in given:
        text = f"{'.'.join(map(str, path))}: nobody has an identity here, so nobody is in the list"
        remedy = "set [security] secret, tls or authenticator"
        document.findings.add(path, text, remedy, at="key")
