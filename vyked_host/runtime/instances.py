"""The instances of a service as one client sees them: their load, their failures, and whether calls may go there now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..routing.outliers import FAILURES, panic
from .links import Link


def _nobody_listens(_instance: Instance) -> None:
    """Nobody chooses among it and others."""


class Instance:
    """`contracts.Candidate`: one instance that a call may go to."""

    __slots__ = (
        "_changed", "_usable", "ejected", "ejections", "ewma_s", "failures", "in_flight", "labels", "link", "node_id",
        "weight",
    )  # fmt: skip

    def __init__(
        self, node_id: str, labels: Mapping[str, str], weight: float, link: Link,
        changed: Callable[[Instance], None] = _nobody_listens,
    ) -> None:  # fmt: skip
        self.node_id, self.labels, self.weight, self.link = node_id, labels, weight, link
        self.in_flight, self.ewma_s = 0, 0.0
        self._usable, self._changed = True, changed
        self.failures = self.ejections = 0  # in a row; times that it was passed over for them
        self.ejected = False  # passed over for its failures now

    @property
    def usable(self) -> bool:
        """May calls go there now? Who sets it tells whoever chooses, so that nobody has to ask each time."""
        return self._usable

    @usable.setter
    def usable(self, value: bool) -> None:
        if value is not self._usable:
            self._usable = value
            self._changed(self)

    def recover(self) -> None:
        """It may be chosen again; one more failure is enough, where it was out for too many."""
        self.usable, self.ejected = True, False
        self.failures = min(self.failures, FAILURES - 1)


def pardon(instances: Sequence[Instance]) -> None:
    """Where more than half can't be chosen, those that are passed over for their failures can be again."""
    if panic(sum(not each.usable for each in instances), len(instances)):
        for each in instances:
            if each.ejected:
                each.recover()
