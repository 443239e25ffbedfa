"""Addresses of Unix sockets: ``unix://HOST/PATH?MARK``.

A path means something on one machine only, and in one container. The mark tells which file of which boot is meant: whoever does not
see that very file behind the path is somewhere else. HOST is the one that the certificate of who listens has to be for.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

SCHEME = "unix"
LONGEST = 107
"""Bytes of a path that the kernel takes (unix(7), `sun_path`)."""


class UnixAddress(NamedTuple):
    """One such address, in parts; `host` and `mark` may be empty."""

    path: str
    host: str = ""
    mark: str = ""

    @property
    def uri(self) -> str:
        """As it is announced."""
        return f"{SCHEME}://{self.host}{quote(self.path)}" + (f"?{self.mark}" if self.mark else "")


def of(uri: str) -> UnixAddress | None:
    """The address in `uri`; None when it is of another kind. ``unix:/PATH`` is one, too."""
    split = urlsplit(uri)
    if split.scheme != SCHEME or not split.path.startswith("/"):
        return None
    return UnixAddress(unquote(split.path), split.netloc, split.query)
