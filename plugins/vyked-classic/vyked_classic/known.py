"""What an old registry has told: instances of the services that ours depend on, as records of nodes. No I/O, no clock.

Instances are known by their node, so that telling one twice changes nothing, and each registration of ours adds to the same view.
When a registry starts anew it knows but those who have come back: the others stay as suspect until they are told of again, told
gone, or `forget` is called for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from vyked_host import UsageError
from vyked_host.contracts import Address, Doubt, Instance, NodeRecord, parse

from .address import OldAddress, bracketed
from .wire.packets import Gone, NewInstance, Place, Registered

HTTP = "http"
Key = tuple[str, str]


class Found(NamedTuple):
    """One instance; `version` as it was asked for."""

    name: str
    version: str
    place: Place

    @property
    def of(self) -> Key:
        """The service, as it was asked for."""
        return self.name, self.version


class Known:
    """`own`: ids of our own registrations, which are no other nodes; `secured`: services that are dialled with a TLS context of their own;
    `https`: those whose HTTP sides speak HTTPS."""

    def __init__(
        self, namespace: str, secured: frozenset[str] = frozenset(), https: frozenset[str] = frozenset()
    ) -> None:
        self._namespace, self._secured, self._https = namespace, secured, https
        self._found: dict[tuple[str, str, str], Found] = {}
        self._doubtful: set[tuple[str, str, str]] = set()
        self.own: set[str] = set()
        self.faults: list[str] = []

    # ---- told --------------------------------------------------------------------------------------------------------
    def registered(self, said: Registered) -> list[tuple[str, str, str]]:
        """All that there is of each dependency. The answer is what was known and is not in it any more: suspect from now on."""
        missing = []
        for vendor in said.found:
            here = {place.id for place in vendor.addresses or ()}
            missing += [key for key in self._found if key[:2] == vendor.of and key[2] not in here]
            for place in vendor.addresses or ():
                self._came(*vendor.of, place)
        self._doubtful |= set(missing)
        return missing

    def came(self, said: NewInstance) -> None:
        """One more instance."""
        self._came(*said.of, said.place)

    def went(self, said: Gone) -> None:
        """One less: under every version that it was asked for."""
        for key in [each for each in self._found if each[2] == said.node_id]:
            self._drop(key)

    def forget(self, keys: Iterable[tuple[str, str, str]]) -> bool:
        """Leave out those of `keys` that are still suspect. True: something changed."""
        gone = [key for key in keys if key in self._doubtful]
        for key in gone:
            self._drop(key)
        return bool(gone)

    def _drop(self, key: tuple[str, str, str]) -> None:
        self._found.pop(key, None)
        self._doubtful.discard(key)

    def _came(self, name: str, version: str, place: Place) -> None:
        if place.id in self.own:
            return
        try:
            parse(version), place.port_number
        except (UsageError, ValueError) as error:
            self.faults.append(f"{name} {version} at {place.host}:{place.port} is left out: {error}")
            return
        key = (name, version, place.id)
        self._found[key] = Found(name, version, place)
        self._doubtful.discard(key)

    # ---- as the host sees it -----------------------------------------------------------------------------------------
    def nodes(self) -> tuple[list[NodeRecord], dict[str, Doubt]]:
        """A record for each node, and what speaks against some. A service that is there over tcp is called there; its HTTP sides, which the
        original registers as nodes of their own, are further addresses of those."""
        over_tcp: dict[str, list[Found]] = {}
        over_http: dict[str, list[Found]] = {}
        for each in self._found.values():
            (over_http if each.place.type == HTTP else over_tcp).setdefault(each.place.id, []).append(each)
        services = {each.name for found in over_tcp.values() for each in found}
        sides = [found[0] for _, found in sorted(over_http.items()) if found[0].name in services]
        beside = shared_out(sides, over_tcp)
        alone = {node: found for node, found in over_http.items() if found[0].name not in services}
        records = [
            self._record(node, found, beside.get(node, ())) for node, found in sorted({**over_tcp, **alone}.items())
        ]
        doubts: dict[str, Doubt] = {node: "suspect" for _, _, node in self._doubtful}
        return records, doubts

    def _record(self, node_id: str, found: list[Found], sides: Sequence[Found]) -> NodeRecord:
        best = max(found, key=lambda each: parse(each.version).key())
        instances = tuple(
            Instance(service=each.name, version=str(parse(each.version)), status="active")
            for each in sorted(found, key=lambda each: (each.name, parse(each.version).key()))
        )
        addresses = tuple(self._address(node_id, each) for each in (best, *sides))
        return NodeRecord(
            node_id=node_id, namespace=self._namespace, addresses=addresses, instances=instances, labels={"vyked": "2"}
        )  # fmt: skip

    def _address(self, node_id: str, found: Found) -> Address:
        place = found.place
        if place.type == HTTP:  # with the node in it: who listens there need not be a host of ours
            scheme = "https" if found.name in self._https else "http"
            return Address(transport=HTTP, uri=f"{scheme}://{bracketed(place.host)}:{place.port_number}/{node_id}")
        secured = found.name if found.name in self._secured else ""
        return OldAddress(place.host, place.port_number, node_id, found.version, secured).address()


def shared_out(sides: Sequence[Found], over_tcp: Mapping[str, Sequence[Found]]) -> dict[str, list[Found]]:
    """HTTP `sides` to the nodes that serve the same over tcp: each to one of them, on its own machine where there is one; nodes that are left
    without share the first."""
    given: dict[str, list[Found]] = {}
    for side in sides:
        same = [node for node, found in over_tcp.items() if any(each.of == side.of for each in found)]
        near = [node for node in same if over_tcp[node][0].place.host == side.place.host] or same
        if near:
            given.setdefault(min(near, key=lambda node: (len(given.get(node, ())), node)), []).append(side)
    for node, found in over_tcp.items():
        others = [side for side in sides if any(each.of == side.of for each in found)]
        if others and node not in given:
            given[node] = others[:1]
    return given
