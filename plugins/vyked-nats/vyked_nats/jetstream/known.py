"""What is said of each event of one topic, made once: its name in words, its subjects, what its id begins with at the server."""

from __future__ import annotations

from typing import NamedTuple

from vyked_host.contracts import is_queue, parse

from ..bus import TOPICS
from .names import Names, Topic


class Said(NamedTuple):
    """Of one topic."""

    topic: Topic
    name: str
    place: str
    kept: bytes
    later: bytes
    is_queue: bool


class Known(dict[tuple[str, str, str], Said]):
    """By service, version and name of the event; `TOPICS` of them at most."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names

    def of(self, key: tuple[str, str, str]) -> Said:
        """Made, and kept."""
        if len(self) >= TOPICS:
            self.clear()
        service, version, name = key
        topic = Topic(service, parse(version).major, name)
        found = self[key] = Said(
            topic, str(topic), f"{topic.subject}:", self._names.kept(topic).encode(), self._names.later(topic).encode(),
            is_queue(name),
        )  # fmt: skip
        return found
