"""Who may say what at the registry's desk: announce a service, and speak for a node that somebody else announced.

What counts is the identity that the connection proved (``context().caller.identity``). The holder itself calls its desk without
one: who runs the registry is trusted with it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from ...contracts import NodeRecord, Peer, Trust
from ...errors import UsageError
from ...service.context import context

HOLDER: Final = object()
"""Owns what the holder announces: no identity that a connection proves is the same."""


def _peer() -> Peer | None:
    """Who calls; None: the holder itself."""
    try:
        return context().call.peer
    except UsageError:
        return None


class Admission:
    """The rules of one desk. `owners`: node -> the identity that announced it."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._owners: dict[str, object] = {}

    def refusal(self, node_id: str, record: NodeRecord | None, known: Container[str]) -> str:
        """Why who calls now may not speak for `node_id`, or announce `record` for it; empty when it may. `known` are the nodes
        that the registry still knows."""
        peer = _peer()
        if peer is None:
            if record is not None:
                self._owners[node_id] = HOLDER
            return ""
        who = peer.identity
        if node_id in known and node_id in self._owners and self._owners[node_id] != who:
            return f"node {node_id} was announced by somebody else than {who or 'somebody without an identity'}"
        if record is None:
            return ""
        for instance in record.instances:
            if not self._trust.may_serve(who, instance.service):
                return f"{who or 'nobody without an identity'} may not serve {instance.service} ([security.serve])"
        self._owners = {node: owner for node, owner in self._owners.items() if node in known}
        self._owners[node_id] = who
        return ""
