"""What waits for one watch of a registry. A slow one gets a snapshot instead of what it missed, so it costs no memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from ..model.topology import Change, Doubt
from .query import touching

BEHIND = 64
"""Changes that wait for one watch; with more it gets a snapshot."""


class News:
    """Of `services` (None: of all). `snapshot` gives all that is known, None: nothing yet; `came` is called when there may be
    something to take. `is_behind`: what comes next is a snapshot."""

    def __init__(
        self, services: frozenset[str] | None, snapshot: Callable[[], Change | None], came: Callable[[], None]
    ) -> None:
        self._services, self._snapshot, self._came = services, snapshot, came
        self._known: frozenset[str] = frozenset()
        self._waiting: deque[Change] = deque()
        self.is_behind = True

    def tell(self, change: Change) -> None:
        """One more change."""
        if not self.is_behind:
            self._waiting.append(change)
            if len(self._waiting) > BEHIND:
                self.begin()
        self._came()

    def begin(self) -> None:
        """What comes next is a snapshot."""
        self._waiting.clear()
        self.is_behind = True
        self._came()

    def take(self) -> Change | None:
        """The next change; None: none yet."""
        if self.is_behind:
            whole = self._snapshot()
            if whole is None:
                return None
            self.is_behind = False
            return self._visible(whole)
        while self._waiting:
            change = self._visible(self._waiting.popleft())
            if change.nodes or change.gone:
                return change
        return None

    def _visible(self, change: Change) -> Change:
        """`change` without what this watch is not about. A node that drops a watched service is told once more."""
        if self._services is None:
            return change
        before = frozenset() if change.snapshot else self._known
        nodes = touching(change, self._services, before)
        gone = tuple(node_id for node_id in change.gone if node_id in before)
        still = {record.node_id for _, record in touching(change, self._services)}
        touched = {record.node_id for _, record in change.nodes} | set(gone)
        self._known = (before - touched) | still
        told = {record.node_id for _, record in nodes}
        doubts: Mapping[str, Doubt] = {node_id: doubt for node_id, doubt in change.doubts.items() if node_id in told}
        return replace(change, nodes=nodes, gone=gone, doubts=doubts)
