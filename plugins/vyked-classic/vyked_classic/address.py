"""Addresses of the old wire: ``classic://HOST:PORT/NODE/VERSION``. A node of Vyked 2.x is asked for by its id and by its version
exactly as it registered it; a host of ours takes any compatible version, so its address has none. ``?tls=SERVICE``: this process dials it
with the TLS context that it has for that service."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from vyked_host import NotSupported
from vyked_host.contracts import Address

TRANSPORT = "classic"


class OldAddress(NamedTuple):
    """Read from a URI. `version` is empty where any compatible one will do; `secured`: the service whose context it is dialled with."""

    host: str
    port: int
    node_id: str
    version: str = ""
    secured: str = ""

    @property
    def tcp(self) -> str:
        """What a socket connects to."""
        return f"tcp://{bracketed(self.host)}:{self.port}"

    def address(self) -> Address:
        """As it stands in the record of a node."""
        path = "/".join(quote(each, safe="") for each in (self.node_id, self.version) if each)
        more = f"?tls={quote(self.secured, safe='')}" if self.secured else ""
        return Address(transport=TRANSPORT, uri=f"{TRANSPORT}://{bracketed(self.host)}:{self.port}/{path}{more}")


def bracketed(host: str) -> str:
    """IPv6 addresses stand in brackets before a port."""
    return f"[{host}]" if ":" in host else host


def read(uri: str) -> OldAddress:
    """The address in `uri`. Raises NotSupported when it is none."""
    split = urlsplit(uri)
    parts = [unquote(each) for each in split.path.split("/") if each]
    if split.scheme != TRANSPORT or not split.hostname or split.port is None or not parts:
        raise NotSupported(f"{uri!r} is no address of the old wire: {TRANSPORT}://HOST:PORT/NODE or .../NODE/VERSION")
    secured = unquote(split.query.removeprefix("tls="))
    return OldAddress(split.hostname, split.port, parts[0], parts[1] if len(parts) > 1 else "", secured)
