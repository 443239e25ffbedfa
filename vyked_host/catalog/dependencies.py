"""What depends on what: cycles, what is missing, and which services of a node may be active.

Judged by each node from what it watches; the registry only stores. Pure, so every node comes to the same answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..model.description import Dependency, ServiceDescription
from ..model.topology import NodeRecord, Status
from ..model.values import Value
from ..model.version import compatible
from .query import serving

Edges = Mapping[str, Collection[str]]


class Activation(Value):
    """What a service of this node may be, and which of its required dependencies have no active instance."""

    status: Status
    missing: tuple[str, ...] = ()


def cycles(edges: Edges) -> tuple[tuple[str, ...], ...]:
    """The cycles among `edges` (service -> services it requires), in order of name. Each is a shortest one, starts with
    its smallest name not reported before and does not repeat it at the end. Every service that lies on a cycle and is in
    none of those reported is reported with one of its own. Empty: there is none."""
    found: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for start in sorted(edges):
        cycle = None if start in seen else _shortest(edges, start)
        if cycle is not None:
            seen.update(cycle)
            found.append(cycle)
    return tuple(found)


def _shortest(edges: Edges, start: str) -> tuple[str, ...] | None:
    """The shortest way from `start` back to itself; breadth first, so depth costs no stack."""
    came_from: dict[str, str] = {}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        for there in sorted(edges.get(here, ())):
            if there == start:
                return _path(came_from, start, here)
            if there not in came_from:
                came_from[there] = here
                waiting.append(there)
    return None


def _path(came_from: Mapping[str, str], start: str, end: str) -> tuple[str, ...]:
    back = [end]
    while back[-1] != start:
        back.append(came_from[back[-1]])
    return tuple(reversed(back))


def required(descriptions: Iterable[ServiceDescription]) -> dict[str, tuple[str, ...]]:
    """Service -> names of the services it can't do without: the edges for :func:`cycles`."""
    return {each.name: tuple(need.service for need in each.dependencies if need.required) for each in descriptions}


def required_everywhere(records: Iterable[NodeRecord]) -> dict[str, tuple[str, ...]]:
    """Service -> names of the services that each of its instances can't do without: the edges across nodes. A release that
    can do without one takes the edge away, since it can be active alone."""
    found: dict[str, set[str]] = {}
    for record in records:
        for each in record.instances:
            needs = set(each.requires)
            found[each.service] = found[each.service] & needs if each.service in found else needs
    return {service: tuple(sorted(needs)) for service, needs in sorted(found.items())}


def missing(requirements: Iterable[Dependency], records: Iterable[NodeRecord]) -> tuple[str, ...]:
    """Names of the services required by `requirements` that no active instance among `records` can serve."""
    known = tuple(records)
    lacking = (
        need.service for need in requirements if need.required and not serving(known, need.service, need.version)
    )
    return tuple(dict.fromkeys(lacking))


def activation(
    own: Sequence[ServiceDescription], others: Sequence[NodeRecord], active: Collection[str] = ()
) -> dict[str, Activation]:
    """What each of this node's services (by `release`) may be, given the records of the `others`.

    Bottom up: active is whose every required dependency has an active compatible instance, elsewhere or here. What is
    in `active` already stays so when a dependency goes away - one outage must not switch a mesh off step by step - and
    says what is missing. Services that require each other in a circle stay waiting: see :func:`cycles`.
    """
    running = [each for each in own if each.release in active]
    waiting = [each for each in own if each.release not in active]
    while ready := [each for each in waiting if not _lacking(each, running, others)]:
        running += ready
        waiting = [each for each in waiting if each not in ready]
    return {each.release: _judged(each, running, others) for each in own}


def _judged(
    each: ServiceDescription, running: Sequence[ServiceDescription], others: Sequence[NodeRecord]
) -> Activation:
    return Activation(status="active" if each in running else "waiting", missing=_lacking(each, running, others))


def _lacking(
    each: ServiceDescription, running: Sequence[ServiceDescription], others: Sequence[NodeRecord]
) -> tuple[str, ...]:
    return missing((need for need in each.dependencies if not _here(need, running)), others)


def _here(need: Dependency, running: Sequence[ServiceDescription]) -> bool:
    return any(each.name == need.service and compatible(each.version, need.version) for each in running)
