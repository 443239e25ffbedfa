"""Asks one node through its control service, whether or not it serves anything: beside the directory, which knows instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from ..model.description import Dependency
from ..model.report import CONTROL
from ..model.settings import ClientTable
from ..model.topology import Instance, NodeRecord
from ..runtime.client import ServiceClient
from ..runtime.directory import Target
from ..runtime.links import Link
from ..runtime.terms import Only
from ..service.clients import proxy
from .control import Control

if TYPE_CHECKING:
    from .build import Composition

TIMEOUT_S = 3.0
"""For an answer of one node, when nothing else is said: a node that hangs must not hang who asks."""


class Asker:
    """The control services of other nodes, for one host."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._links: list[Link] = []

    def node(self, record: NodeRecord) -> Control:
        """The control service of the node of `record`: a client of its own, which dials when it is first called."""
        composition = self._composition
        served = Instance(service=CONTROL, version="1.0.0", status="active")
        alone = msgspec.structs.replace(record, instances=(served,))
        link = self._link(alone)
        target = Target(CONTROL, None, ClientTable(timeout=TIMEOUT_S), Only(), home="")
        target.update([alone], lambda _record: link)
        invoker = ServiceClient(
            target=target, codecs=composition.codecs, clock=composition.workshop.clock, pending=composition.pending,
            chain=(), tasks=composition.workshop.tasks, caller="", balancer=None,
        )  # fmt: skip
        wanted = Dependency(attribute="", service=CONTROL, version=None, required=False, contract=Control)
        return cast(Control, proxy(wanted, invoker))

    def _link(self, record: NodeRecord) -> Link:
        if record.node_id == self._composition.record.node_id:
            return self._composition.home
        link = Link(record, self._composition.workshop.dial, TIMEOUT_S)
        self._links.append(link)
        return link

    async def aclose(self) -> None:
        """Close what was dialled."""
        links, self._links = self._links, []
        for link in links:
            await link.aclose()
