"""What an old registry has told: instances of the services that ours depend on, as records of nodes. No I/O, no clock.

Instances are known by their node, so that telling one twice changes nothing, and each registration of ours adds to the same view.
When a registry starts anew it knows but those who have come back: the others stay as suspect until they are told of again, told
gone, or `forget` is called for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vyked_host import UsageError
from vyked_host.contracts import Address, Doubt, Instance, NodeRecord, parse

from .address import OldAddress, bracketed
from .wire.packets import Gone, NewInstance, Place, Registered

Key = tuple[str, str]


class Found(NamedTuple):
    """One instance; `version` as it was asked for."""

    name: str
    version: str
    place: Place


class Known:
    """`own`: ids of our own registrations, which are no other nodes; `secured`: services that are dialled with a TLS context of their own."""

    def __init__(self, namespace: str, secured: frozenset[str] = frozenset()) -> None:
        self._namespace, self._secured = namespace, secured
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
        """A record for each node, and what speaks against some. A service that is there over tcp is called there: its HTTP side,
        which the original registers as a node of its own, is left out."""
        over_tcp = {each.name for each in self._found.values() if each.place.type == "tcp"}
        by_node: dict[str, list[Found]] = {}
        for each in self._found.values():
            if each.place.type == "tcp" or each.name not in over_tcp:
                by_node.setdefault(each.place.id, []).append(each)
        doubts: dict[str, Doubt] = {node: "suspect" for _, _, node in self._doubtful}
        return [self._record(node, found) for node, found in sorted(by_node.items())], doubts

    def _record(self, node_id: str, found: list[Found]) -> NodeRecord:
        best = max(found, key=lambda each: parse(each.version).key())
        instances = tuple(
            Instance(service=each.name, version=str(parse(each.version)), status="active")
            for each in sorted(found, key=lambda each: (each.name, parse(each.version).key()))
        )
        return NodeRecord(
            node_id=node_id, namespace=self._namespace, addresses=(self._address(node_id, best),), instances=instances,
            labels={"vyked": "2"},
        )  # fmt: skip

    def _address(self, node_id: str, found: Found) -> Address:
        place = found.place
        if place.type == "http":
            return Address(transport="http", uri=f"http://{bracketed(place.host)}:{place.port_number}")
        secured = found.name if found.name in self._secured else ""
        return OldAddress(place.host, place.port_number, node_id, found.version, secured).address()
