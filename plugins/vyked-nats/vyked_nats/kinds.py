"""Which events are of one topic: each version that is published there is looked at once."""

from __future__ import annotations

from vyked_host.contracts import parse

VERSIONS = 64
"""That are remembered."""


class Kinds(set[tuple[str, str, str]]):
    """Service, version and name of what is known to be of the topic ``service.name@major``."""

    def __init__(self, service: str, major: int, name: str) -> None:
        super().__init__()
        self._topic = service, major, name
        self.last = "", "", ""
        """Of the event before: most are of the same."""

    def takes(self, kind: tuple[str, str, str]) -> bool:
        """Is it of the topic, too? It is remembered then."""
        if kind not in self and not self._reads(kind):
            return False
        self.last = kind
        return True

    def _reads(self, kind: tuple[str, str, str]) -> bool:
        service, version, name = kind
        if (service, parse(version).major, name) != self._topic:
            return False
        if len(self) >= VERSIONS:
            self.clear()
        self.add(kind)
        return True
