"""Names of keys. Everything of one topic begins with the name of its stream:

vyked:MESH:SERVICE@MAJOR:EVENT                  the stream: every event, under an id that the server gives
...:id:ID                                       an id that a publisher gave, for as long as it is known
...:GROUP:again                                 a second stream of one group: dead letters that were brought back
...:GROUP:held, ...:GROUP:again:held            sorted sets: entries that come again at a time, not when the ack wait is over
...:GROUP:later                                  a sorted set: jobs that are not due, by the time when they are
...:GROUP:clock                                  what the server's clock said last, so that one that is set back is seen
...:GROUP:dead, :dead:order, :dead:number       dead letters of the group, their order, and a counter for it
vyked:MESH:dead                                 a set: the names up to GROUP that have had dead letters
vyked:MESH:groups                               a set: the names up to GROUP of all groups
"""

from __future__ import annotations

from typing import NamedTuple


class Lane(NamedTuple):
    """One stream as one group reads it, and where its entries are held back."""

    stream: str
    held: str


class GroupKeys(NamedTuple):
    """The keys of one group at one topic: `lanes` are the topic itself, and what is brought back for this group alone."""

    lanes: tuple[Lane, Lane]
    dead: str
    order: str
    number: str
    later: str
    clock: str
    base: str


def of_topic(prefix: str, mesh: str, service: str, major: int, name: str) -> str:
    """The stream of a topic."""
    return f"{prefix}:{mesh}:{service}@{major}:{name}"


def of_id(stream: str, event_id: str) -> str:
    """What says that an event of this id was published to the topic of `stream`. A group's name is none of its parts."""
    return f"{stream}:id:{event_id}"


def index_of(prefix: str, mesh: str) -> str:
    """The set that knows where dead letters are."""
    return f"{prefix}:{mesh}:dead"


def groups_of(prefix: str, mesh: str) -> str:
    """The set that knows all groups."""
    return f"{prefix}:{mesh}:groups"


def of_group(stream: str, group: str) -> GroupKeys:
    """The keys of `group` at the topic of `stream`."""
    return of_base(f"{stream}:{group}", stream)


def told(base: str, prefix: str, mesh: str) -> tuple[str, int, str, str]:
    """(service, major, event, group) of what the index holds."""
    topic, name, group = base.removeprefix(f"{prefix}:{mesh}:").split(":")
    service, _, major = topic.rpartition("@")
    return service, int(major), name, group


def of_base(base: str, stream: str) -> GroupKeys:
    """The same from what the index holds."""
    lanes = (Lane(stream, f"{base}:held"), Lane(f"{base}:again", f"{base}:again:held"))
    letters = (f"{base}:dead", f"{base}:dead:order", f"{base}:dead:number")
    return GroupKeys(lanes, *letters, f"{base}:later", f"{base}:clock", base)
