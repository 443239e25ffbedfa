"""How far the groups of this node are behind, for who looks at its counters now and then: the bus is asked when somebody looks,
and what it says is there for the next look. Nobody looks: nobody is asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from ..contracts import Clock, GroupLag, KnowsLag, PubSub
from ..errors import VykedError
from .tasks import TaskScope

FRESH_S = 1.0
"""What the bus said is not asked for again so soon."""
OLD_S = 300.0
"""What it said so long ago is not shown any more."""


class Behind:
    """`groups` are those that this node has members of."""

    def __init__(
        self, pubsub: PubSub, groups: Iterable[str], tasks: TaskScope, clock: Clock, log: logging.Logger
    ) -> None:  # fmt: skip
        self._bus, self._groups = pubsub, frozenset(groups)
        self._tasks, self._clock, self._log = tasks, clock, log
        self._said: list[GroupLag] = []
        self._said_at = -OLD_S
        self._is_asking = False

    def latest(self) -> list[dict[str, Any]]:
        """What the bus said when somebody looked last, as plain data."""
        age = self._clock.now() - self._said_at
        if self._groups and isinstance(self._bus, KnowsLag) and not self._is_asking and age > FRESH_S:
            self._is_asking = True
            self._tasks(self._ask(self._bus), "asking how far groups are behind")
        return [_plain(each) for each in self._said] if age < OLD_S else []

    async def _ask(self, bus: KnowsLag) -> None:
        try:
            self._said, self._said_at = await bus.lag(self._groups), self._clock.now()
        except VykedError as error:
            self._log.debug("the bus does not say how far groups are behind: %s", error)
        finally:
            self._is_asking = False


def _plain(each: GroupLag) -> dict[str, Any]:
    return {
        "topic": each.topic, "group": each.group, "members": each.members, "waiting": each.waiting,
        "in_flight": each.in_flight, "oldest_s": each.oldest_s, "dead": each.dead,
    }  # fmt: skip
