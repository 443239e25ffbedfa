"""Which services of this node are active, and what becomes of it: routes open and close, services hear of it, circles are named.

Each node judges for itself, from its own watch. Before a service has been active once it takes no calls; losing a dependency later
is told and stops nothing, so that one fault does not run through a whole mesh.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ..catalog.dependencies import Activation, activation, cycles, required_everywhere
from ..model.description import ServiceDescription
from ..model.topology import Instance, NodeRecord, Status
from ..service import places
from .dispatcher import Dispatcher
from .hosted import Hosted
from .routes import Route

_WAITING = Activation(status="waiting")


class Activator:
    """The services of one node."""

    def __init__(self, hosted: Sequence[Hosted], dispatcher: Dispatcher, log: logging.Logger) -> None:
        self._hosted, self._dispatcher, self._log = hosted, dispatcher, log
        self._descriptions = joined(each.description for each in hosted)
        self._judged: Mapping[str, Activation] = {}
        self._told: dict[str, tuple[str, ...]] = {}
        self._circles: dict[tuple[str, ...], str] = {}

    # ---- judging -----------------------------------------------------------------------------------------------------
    def judge(self, home: NodeRecord, nodes: Mapping[str, NodeRecord]) -> None:
        """Look at `nodes`, all that are known and not down; `home` is what this node said last."""
        others = [record for node_id, record in nodes.items() if node_id != home.node_id]
        active = {each.description.release for each in self._hosted if each.was_active}
        self._judged = activation(self._descriptions, others, active)
        self._find_circles([home, *others])
        for hosted in self._hosted:
            found = self._judged[hosted.description.release]
            if found.status == "waiting":
                self._close(hosted.description, f"{hosted.name} waits for {', '.join(found.missing)}")
            elif not hosted.was_active:
                self._open(hosted.description)

    @property
    def instances(self) -> tuple[Instance, ...]:
        """What this node says of its services now."""
        return tuple(
            Instance(
                service=each.name,
                version=each.version,
                status=self._judged.get(each.release, _WAITING).status,
                weight=each.weight,
                requires=tuple(need.service for need in each.dependencies if need.required),
            )
            for each in self._descriptions
        )

    def reasons(self) -> dict[str, str]:
        """Service -> why it is not all it could be, for ``/-/ready``."""
        found: dict[str, str] = {}
        for each in self._descriptions:
            judged = self._judged.get(each.release, _WAITING)
            if judged.missing:
                circles = [text for circle, text in self._circles.items() if each.name in circle]
                told = circles if judged.status == "waiting" else []
                found[each.name] = "; ".join([_reason(judged.status, judged.missing), *told])
        return found

    @property
    def missing(self) -> dict[str, tuple[str, ...]]:
        """``name/version`` of each service -> required services without an active instance."""
        return {release: each.missing for release, each in self._judged.items()}

    # ---- telling -----------------------------------------------------------------------------------------------------
    async def turn(self) -> None:
        """Let the services hear what was judged."""
        before, self._told = self._told, self.missing
        for hosted in self._hosted:
            release = hosted.description.release
            await self._turn(hosted, self._judged[release].status, before.get(release))

    async def _turn(self, hosted: Hosted, status: Status, before: tuple[str, ...] | None) -> None:
        lacking = self._told[hosted.description.release]
        if status == "waiting":
            if before is None:
                self._log.info("%s is waiting (%s)", hosted.name, ", ".join(lacking))
        elif not hosted.was_active:
            self._log.info("%s is active", hosted.name)
            await hosted.activate()
        elif lacking and not before:
            self._log.warning("%s lacks %s", hosted.name, ", ".join(lacking))
            await hosted.deactivate(lacking)
        elif before and not lacking:
            self._log.info("%s has all it needs again", hosted.name)
            await hosted.activate()

    def _open(self, service: ServiceDescription) -> None:
        for route in self._routes(service):
            route.open, route.closed_reason = True, ""

    def _close(self, service: ServiceDescription, reason: str) -> None:
        for route in self._routes(service):
            if route.endpoint.lane == "normal":
                route.open, route.closed_reason = False, reason

    def _routes(self, service: ServiceDescription) -> list[Route]:
        routes = self._dispatcher.routes
        return [
            each for each in routes if (each.endpoint.service, each.endpoint.version) == (service.name, service.version)
        ]

    # ---- circles -----------------------------------------------------------------------------------------------------
    def _find_circles(self, records: Sequence[NodeRecord]) -> None:
        """Name each circle with a service of this node in it, once."""
        own = {each.name for each in self._descriptions}
        found = [each for each in cycles(required_everywhere(records)) if own.intersection(each)]
        for circle in found:
            if circle not in self._circles:
                self._log.error("services that wait for each other: %s", self._described(circle, records))
        self._circles = {circle: f"in a circle: {self._described(circle, records)}" for circle in found}

    def _described(self, circle: tuple[str, ...], records: Sequence[NodeRecord]) -> str:
        where = ", ".join(f"{name} is {self._place(name, records)}" for name in circle)
        path = " -> ".join((*circle, circle[0]))
        return f'{path} ({where}); let one of them start alone: client("{circle[0]}", required=False)'

    def _place(self, name: str, records: Sequence[NodeRecord]) -> str:
        nodes = [each.node_id for each in records if any(one.service == name for one in each.instances)]
        found = next((each.cls for each in self._descriptions if each.name == name and each.cls is not None), None)
        place = places.of_class(found) if found is not None else None
        source = f", {place.file}:{place.line}" if place is not None and place.file else ""
        return f"at {' and '.join(nodes[:3])}{source}"


def _reason(status: Status, missing: tuple[str, ...]) -> str:
    names = ", ".join(missing)
    return f"waiting ({names})" if status == "waiting" else f"it lacks {names}"


def joined(descriptions: Iterable[ServiceDescription]) -> list[ServiceDescription]:
    """One description for each name and version: two objects that share them (Vyked 2.x: TCP and HTTP) are one instance."""
    found: dict[tuple[str, str], ServiceDescription] = {}
    for each in descriptions:
        known = found.get((each.name, each.version))
        needs = (*known.dependencies, *each.dependencies) if known else each.dependencies
        found[each.name, each.version] = msgspec.structs.replace(each, dependencies=needs)
    return list(found.values())
