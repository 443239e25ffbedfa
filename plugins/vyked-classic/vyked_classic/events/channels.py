"""Names of channels, and what they say."""

from __future__ import annotations

from typing import NamedTuple

from vyked_host import UsageError
from vyked_host.contracts import parse

BY_PATTERN = "by-pattern"
"""In the place of the node: somebody listens to an event of a major version by a pattern, of which Redis tells nobody. Nothing is published
there; that it is subscribed to says it."""
_GLOB = str.maketrans({each: f"\\{each}" for each in "*?[]\\"})


class Channel(NamedTuple):
    """``service/version/event``, or ``service/version/event/node``."""

    service: str
    version: str
    event: str
    node: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, self))

    @property
    def major(self) -> int | None:
        """The major version; None where the version is none."""
        try:
            return parse(self.version).major
        except UsageError:
            return None


def channel(text: str) -> Channel | None:
    """The channel called `text`; None where it is no channel of Vyked 2.x."""
    parts = text.split("/")
    return Channel(*parts) if len(parts) in (3, 4) and all(parts) else None


def pattern(service: str, event: str, node: str = "") -> str:
    """What PSUBSCRIBE takes for an event of any version. The star of Redis takes slashes too: look at what comes."""
    fixed = [each.translate(_GLOB) for each in (service, event, node)]
    return "/".join(filter(None, (fixed[0], "*", *fixed[1:])))


def listens(service: str, major: int, event: str) -> str:
    """The channel that says so."""
    return str(Channel(service, str(major), event, BY_PATTERN))
