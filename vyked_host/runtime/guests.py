"""The guest book of a hub: which nodes could take it over. A holder that stops waits for an heir only if there is one."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ..contracts import Term
from ..service.base import Service
from ..service.decorators import api

MOST = 1024
"""Nodes that are remembered, the latest: one that takes over is enough."""
NodeId = Annotated[str, Meta(max_length=256)]


class Guests(Service, name="vyked-hub", version="1.0.0"):
    """A desk that every holder has."""

    def __init__(self) -> None:
        self.heirs: dict[str, None] = {}

    async def open(self) -> None:
        """A new book."""

    async def close(self, heir: Term | None) -> None:
        """The next holder begins one of its own."""

    @api
    async def sign(self, node_id: NodeId) -> None:
        """This node would take the hub over."""
        self.heirs.pop(node_id, None)
        self.heirs[node_id] = None
        if len(self.heirs) > MOST:
            del self.heirs[next(iter(self.heirs))]

    @api
    async def leave(self, node_id: NodeId) -> None:
        """This node stops. One that dies without a word costs a holder that stops a few seconds, no more."""
        self.heirs.pop(node_id, None)
