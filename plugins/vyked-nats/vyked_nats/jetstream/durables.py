"""What the durable consumers of a mesh are made as."""

from __future__ import annotations

from typing import Any

from .names import Names, Topic, consumer_of, consumer_of_later
from .store import NS

SERVER, DOUBT = "vyked.server", "vyked.doubt"
"""Metadata of a group's consumer: the server that it was last seen at, and the last event of before that one began."""
MOST_WAITING = 16_384


def of_group(
    names: Names, topic: Topic, group: str, ack_wait_s: float, start: dict[str, Any], *, server: str, doubt: int = 0
) -> dict[str, Any]:
    """That of a group, which begins at `start`."""
    return {
        **_durable(consumer_of(topic, group), ack_wait_s),
        "filter_subjects": [names.kept(topic), names.again(topic, group)],
        "metadata": {SERVER: server, DOUBT: str(doubt)}, **start,
    }  # fmt: skip


def of_later(names: Names, topic: Topic, ack_wait_s: float) -> dict[str, Any]:
    """That of a queue's jobs for later."""
    more = {"filter_subject": names.later(topic), "deliver_policy": "all"}
    return {**_durable(consumer_of_later(topic), ack_wait_s), **more}


def _durable(name: str, ack_wait_s: float) -> dict[str, Any]:
    return {
        "durable_name": name, "name": name, "ack_policy": "explicit", "max_deliver": -1, "ack_wait": int(ack_wait_s * NS),
        "max_ack_pending": -1, "max_waiting": MOST_WAITING,
    }  # fmt: skip
