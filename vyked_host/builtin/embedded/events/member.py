"""One member of a consumer group: what it has and did not settle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entry import Given, Receiver

if TYPE_CHECKING:
    from .group import GroupQueue


class Member:
    """One member of a group, behind the session of its node, where `index` is its number."""

    def __init__(self, group: GroupQueue, name: str, concurrency: int, receiver: Receiver, index: int) -> None:
        self.group, self.name, self._concurrency, self.receiver, self.index = group, name, concurrency, receiver, index
        self.unsettled: dict[int, Given] = {}

    @property
    def has_room(self) -> bool:
        """Can it take one more now?"""
        return len(self.unsettled) < self._concurrency and self.receiver.is_attached

    def close(self) -> None:
        """Leave; what was not settled goes back. Idempotent."""
        self.group.leave(self)
        for given in list(self.unsettled.values()):
            self.group.give_back(given)
