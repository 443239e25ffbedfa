"""Which names a request may ask for in its Host header: against DNS rebinding.

A page in a browser of this machine may only talk to the host that its own address names. Whoever owns that name can let it point
at 127.0.0.1, and the page then talks to a listener that nobody but this machine should reach. What it can't change is the name that the
browser asks for. An address in place of a name can't be rebound, and `localhost` belongs to the machine (RFC 6761 6.3), so both
are let in everywhere.
"""

from __future__ import annotations

import ipaddress
import logging

from .options import Options
from .provider import is_loopback
from .refusal import Refused

MOST_KNOWN = 256
"""Host headers that are remembered as let in, so that each is looked at once."""
MISDIRECTED = 421
SHOWN = 80


class Hosts:
    """The names of one listener."""

    def __init__(self, options: Options, log: logging.Logger) -> None:
        self._log, self._told = log, False
        own = [options.host, *([_name(options.advertise)] if options.advertise else [])]
        given = options.hosts
        self._anybody = "*" in given if given is not None else not is_loopback(options.host)
        self._names = frozenset(_plain(each) for each in (*(given or ()), *own))
        self._known: set[str] = set()

    def check(self, host: str | None) -> None:
        """Let in a request with this Host header (None: a client of HTTP/1.0 that has none). Raises Refused with 421, Misdirected
        Request (RFC 9110 15.5.20)."""
        if self._anybody or host is None or host in self._known:
            return
        if not self._is_own(_name(host)):
            raise self._refused(host)
        if len(self._known) < MOST_KNOWN:
            self._known.add(host)

    def _is_own(self, name: str) -> bool:
        plain = _plain(name)
        if (plain and plain in self._names) or plain == "localhost" or plain.endswith(".localhost"):
            return True
        return _is_address(plain) or any(each.startswith(".") and plain.endswith(each) for each in self._names)

    def _refused(self, host: str) -> Refused:
        text = f"this host does not go by the name {host[:SHOWN]!r}: list it in hosts of its table [transports.http]"
        if not self._told:
            self._told = True
            self._log.warning("a request was refused: %s (said once)", text)
        return Refused("PERMISSION_DENIED", text, status=MISDIRECTED)


def _name(host: str) -> str:
    """HOST or HOST:PORT without the port."""
    if host.startswith("["):
        inner, end, _ = host.partition("]")
        return inner + end if end else ""
    return host.partition(":")[0] if host.count(":") == 1 else host


def _plain(name: str) -> str:
    """As names are compared: lower case, without the root's dot and an address's brackets."""
    return name.lower().removesuffix(".").strip("[]")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
