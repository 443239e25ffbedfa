"""Names at the server. A mesh has two streams, and each group of a topic has a durable consumer of the first:

PREFIX+MESH+events      subjects PREFIX.MESH.kept.SERVICE.MAJOR.EVENT          every event
                        and PREFIX.MESH.again.SERVICE.MAJOR.EVENT.GROUP        dead letters that were brought back for one group
                        and PREFIX.MESH.later.SERVICE.MAJOR.EVENT              jobs that are not due yet
PREFIX+MESH+letters     subjects PREFIX.MESH.dead.SERVICE.MAJOR.EVENT.GROUP    dead letters

A consumer is called SERVICE@MAJOR+EVENT+GROUP, with = where the group has a slash, which names of consumers must not have; that of
jobs for later is called later+SERVICE@MAJOR+EVENT.
"""

from __future__ import annotations

from typing import NamedTuple

from vyked_host.contracts import is_queue


class Topic(NamedTuple):
    """What an event belongs to."""

    service: str
    major: int
    name: str

    @property
    def subject(self) -> str:
        """Its part of a subject."""
        return f"{self.service}.{self.major}.{self.name}"

    def __str__(self) -> str:
        return f"{self.service}.{self.name}@{self.major}"


class Names:
    """Of one mesh."""

    def __init__(self, prefix: str, mesh: str) -> None:
        self._root = f"{prefix}.{mesh}"
        self.events, self.letters = f"{prefix}+{mesh}+events", f"{prefix}+{mesh}+letters"
        self.all_kept, self.all_again, self.all_later, self.all_dead = (
            f"{self._root}.{each}.>" for each in ("kept", "again", "later", "dead")
        )

    def kept(self, topic: Topic) -> str:
        """Where events of `topic` are published to."""
        return f"{self._root}.kept.{topic.subject}"

    def again(self, topic: Topic, group: str) -> str:
        """Where its dead letters are brought back to."""
        return f"{self._root}.again.{topic.subject}.{group}"

    def later(self, topic: Topic) -> str:
        """Where its jobs wait until they are due."""
        return f"{self._root}.later.{topic.subject}"

    def is_queue(self, subject: str) -> bool:
        """Does `subject` carry jobs, which wait for their group also before it is there?"""
        return subject.startswith((f"{self._root}.kept.", f"{self._root}.later.")) and is_queue(
            subject.rpartition(".")[2]
        )

    def member(self, topic: Topic, group: str) -> str:
        """What hosts listen to that have members of it."""
        return f"{self._root}.member.{topic.subject}.{group}"

    def dead(self, topic: Topic, group: str) -> str:
        """Where its dead letters are."""
        return f"{self._root}.dead.{topic.subject}.{group}"

    def told(self, subject: str) -> tuple[Topic, str]:
        """The topic and the group of a subject of dead letters."""
        service, major, name, group = subject.removeprefix(f"{self._root}.dead.").split(".", 3)
        return Topic(service, int(major), name), group


def consumer_of(topic: Topic, group: str) -> str:
    """The name of a group's consumer."""
    return f"{topic.service}@{topic.major}+{topic.name}+{group.replace('/', '=')}"


def consumer_of_later(topic: Topic) -> str:
    """The name of the consumer of a queue's jobs for later: it is none of a group."""
    return f"later+{topic.service}@{topic.major}+{topic.name}"


def group_of(consumer: str, topic: Topic) -> str | None:
    """The group that a consumer is of, where it is one of `topic`."""
    start = consumer_of(topic, "")
    return consumer.removeprefix(start).replace("=", "/") if consumer.startswith(start) else None


def topic_of(consumer: str) -> Topic | None:
    """The topic that a group's consumer is of; None: somebody else made it."""
    match consumer.split("+", 2):
        case [version, name, _]:
            service, _, major = version.rpartition("@")
            return Topic(service, int(major), name) if service and major.isdecimal() else None
        case _:
            return None
