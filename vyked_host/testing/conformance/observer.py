"""Who follows a watch as a host does: what it knows, whether the watch keeps the rules."""

from __future__ import annotations

from ...catalog.view import View, merge
from ...contracts import Change, Registry
from .company import QUICK, Member

QUIET_S = 5 * QUICK.lease


class Observer:
    """Follows a watch of everything, as a host does, and checks that it keeps the rules. `gone`: who was known and was not at some moment
    after; `warm_up_s`: seconds for which a registry that began anew need not know whom the one before knew."""

    def __init__(self, member: Member, warm_up_s: float = QUIET_S) -> None:
        self.view, self._member, self._warm_up_s = View(), member, warm_up_s
        self._seen: dict[int, int] = {}
        self.broken = ""
        self.gone: set[str] = set()
        self.stop = member.env.tasks(self._follow(member.registry), "observer")

    async def _follow(self, registry: Registry) -> None:
        async for change in registry.watch(None):
            self._check(change)
            before = set(self.view.nodes)
            self.view = merge(self.view, change, self._member.env.clock.now(), self._warm_up_s)
            self.gone |= before - set(self.view.nodes)

    def sees(self, *node_ids: str) -> bool:
        """Are exactly these there, without a doubt?"""
        known = self.view.nodes.items()
        return sorted(node_ids) == sorted(node for node, each in known if each.until is None and not each.doubt)

    def _check(self, change: Change) -> None:
        last = self._seen.get(change.epoch)
        if last is None and not change.snapshot:
            self.broken = f"epoch {change.epoch} began without a snapshot"
        elif last is not None and change.revision <= last and not (change.snapshot and change.revision == last):
            self.broken = f"revision {change.revision} came after {last}"
        elif self.view.epoch != change.epoch and last is not None:
            self.broken = f"epoch {change.epoch} came again"
        self._seen[change.epoch] = change.revision
