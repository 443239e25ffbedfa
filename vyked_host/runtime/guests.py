"""The guest book of a hub: which nodes could take it over. A holder that stops waits for an heir only if there is one."""

from __future__ import annotations

from ..contracts import Term
from ..service.base import Service
from ..service.decorators import api


class Guests(Service, name="vyked-hub", version="1.0.0"):
    """A desk that every holder has."""

    def __init__(self) -> None:
        self.heirs: set[str] = set()

    async def open(self) -> None:
        """A new book."""

    async def close(self, heir: Term | None) -> None:
        """The next holder begins one of its own."""

    @api
    async def sign(self, node_id: str) -> None:
        """This node would take the hub over."""
        self.heirs.add(node_id)

    @api
    async def leave(self, node_id: str) -> None:
        """This node stops. One that dies without a word costs a holder that stops a few seconds, no more."""
        self.heirs.discard(node_id)
