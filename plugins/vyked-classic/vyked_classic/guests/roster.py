"""Who of Vyked 2.x is here, what each of them was told, and what it has to be told now. No I/O, no clock.

There is one rule for telling: what a guest should know of its dependencies is compared with what it was told. So nobody is told
twice, nobody is forgotten, and the order in which things happen does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from vyked_host import UsageError
from vyked_host.contracts import GUEST, Address, Instance, NodeRecord, Status, compatible, parse

from ..address import TRANSPORT, OldAddress, bracketed, read
from ..wire import speech
from ..wire.packets import Dialect, Registration, Subscriptions

Key = tuple[str, str]


class Spot(NamedTuple):
    """One instance as old consumers are told of it. `version` is the text that it registered with, empty for a node of ours, which
    takes every version that `serves` is compatible with."""

    name: str
    serves: str
    version: str
    host: str
    port: int
    node_id: str
    kind: str

    def answers(self, asked: str) -> bool:
        """Would it answer a request for version `asked`? One of Vyked 2.x compares texts."""
        return self.version == asked if self.version else compatible(self.serves, asked)

    @property
    def place(self) -> speech.Fields:
        """As it stands on the wire."""
        return speech.place(self.host, self.port, self.node_id, self.kind)


class Wish(NamedTuple):
    """One xsubscription: (name, version, event) and the strategy."""

    name: str
    version: str
    event: str
    strategy: str


class Guest:
    """One registered service of Vyked 2.x."""

    def __init__(self, spot: Spot, needs: Sequence[Key], dialect: Dialect) -> None:
        self.spot, self.needs, self.dialect = spot, tuple(dict.fromkeys(needs)), dialect
        self.told: dict[Key, dict[str, Spot]] | None = None
        self.wishes: tuple[Wish, ...] = ()

    @property
    def is_active(self) -> bool:
        """Was it told that all it needs is there?"""
        return self.told is not None

    def record(self, namespace: str) -> NodeRecord:
        """As the mesh knows it."""
        spot = self.spot
        status: Status = "active" if self.is_active else "waiting"
        instance = Instance(
            service=spot.name, version=spot.serves, status=status, requires=tuple(dict.fromkeys(name for name, _ in self.needs))
        )  # fmt: skip
        if spot.kind == "tcp":
            at = OldAddress(spot.host, spot.port, spot.node_id, spot.version).address()
        else:
            at = _http(spot)
        return NodeRecord(
            node_id=spot.node_id,
            namespace=namespace,
            addresses=(at,),
            instances=(instance,),
            labels={"vyked": "2", GUEST: "Vyked 2.x"},
        )


class Telling(NamedTuple):
    """A packet for a guest."""

    node_id: str
    packet: bytes


class Roster:
    """All guests, and the nodes of the mesh that they can call."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.guests: dict[str, Guest] = {}
        self._others: tuple[Spot, ...] = ()

    # ---- what happens ------------------------------------------------------------------------------------------------
    def register(self, said: Registration, host: str) -> list[Telling]:
        """A service is there, new or again. Raises UsageError, ValueError when it can't be taken."""
        name, version = said.of
        spot = Spot(name, str(parse(version)), version, host, said.port_number, said.node_id, said.type)
        guest = Guest(spot, [each.of for each in said.needs], said.dialect)
        before = self.guests.get(said.node_id)
        guest.wishes = before.wishes if before is not None else ()
        self.guests[said.node_id] = guest
        return self.tell()

    def xsubscribe(self, said: Subscriptions) -> None:
        """All the xsubscriptions of one guest: they take the place of those before."""
        guest = self.guests.get(said.node_id)
        if guest is not None:
            wishes = (Wish(*each.of, each.endpoint, each.strategy or "DESIGNATION") for each in said.events)
            guest.wishes = tuple(dict.fromkeys(wishes))

    def leave(self, node_id: str) -> list[Telling]:
        """A guest is gone, and with it its xsubscriptions."""
        return self.tell() if self.guests.pop(node_id, None) is not None else []

    def mesh(self, nodes: Iterable[NodeRecord]) -> list[Telling]:
        """The other nodes, as they are now. Records that we announced for our own guests are passed over."""
        self._others = tuple(spot for node in nodes if node.node_id not in self.guests for spot in _spots(node))
        return self.tell()

    # ---- what is to be told ------------------------------------------------------------------------------------------
    def tell(self) -> list[Telling]:
        """What guests have to be told now. Activating one may activate another, so it goes on until nothing changes."""
        return [each for guest in list(self.guests.values()) for each in self._due(guest)]

    def _due(self, guest: Guest) -> Iterator[Telling]:
        wanted = {key: self.instances(*key) for key in guest.needs}
        if guest.told is None:
            if all(any(each.kind == "tcp" for each in found.values()) for found in wanted.values()):
                guest.told = wanted
                lists = [(*key, [each.place for each in found.values()]) for key, found in wanted.items()]
                yield Telling(guest.spot.node_id, speech.registered(lists, guest.dialect))
            return
        for key, found in wanted.items():
            before = guest.told.get(key, {})
            for node_id in before.keys() - found.keys():
                yield Telling(guest.spot.node_id, speech.deregister(*key, node_id, guest.dialect))
            for node_id, each in found.items():
                if before.get(node_id) != each:
                    yield Telling(guest.spot.node_id, speech.new_instance(*key, each.place, guest.dialect))
        guest.told = wanted

    def instances(self, name: str, asked: str) -> dict[str, Spot]:
        """Node id -> instance, of those that would answer a request for this version."""
        return {spot.node_id: spot for spot in self._all() if spot.name == name and _answers(spot, asked)}

    def exactly(self, name: str, version: str) -> list[Spot]:
        """Instances of one version, for get_instances."""
        return [
            spot
            for spot in self._all()
            if spot.name == name and (spot.version == version or (not spot.version and _same(spot.serves, version)))
        ]

    def _all(self) -> Iterator[Spot]:
        yield from (guest.spot for guest in self.guests.values())
        yield from self._others

    def never_matching(self, guest: Guest) -> list[str]:
        """Dependencies that are here, but whose text of the version is another one: what is to be said to people."""
        return [
            f"{guest.spot.name} asks for {name} {asked}, and {spot.name} {spot.version} at {spot.host}:{spot.port} answers no other version"
            for name, asked in guest.needs
            for spot in self._all()
            if spot.name == name and spot.version and spot.version != asked and not self.instances(name, asked)
        ]

    # ---- as others see it --------------------------------------------------------------------------------------------
    def records(self) -> dict[str, NodeRecord]:
        """What is to be announced: a service that is here over tcp is called there, so its HTTP side is left out."""
        over_tcp = {each.spot.name for each in self.guests.values() if each.spot.kind == "tcp"}
        return {
            node_id: guest.record(self._namespace)
            for node_id, guest in self.guests.items()
            if guest.spot.kind == "tcp" or guest.spot.name not in over_tcp
        }

    def subscribers(self, name: str, version: str, event: str) -> list[tuple[Guest, str]]:
        """(guest, strategy) of those who xsubscribed, in the order of their registration."""
        return [
            (guest, wish.strategy)
            for guest in self.guests.values()
            for wish in guest.wishes
            if (wish.name, wish.version, wish.event) == (name, version, event)
        ]


def _answers(spot: Spot, asked: str) -> bool:
    try:
        return spot.answers(asked)
    except UsageError:  # a version that is none: nobody has it
        return False


def _same(one: str, other: str) -> bool:
    try:
        return parse(one) == parse(other)
    except UsageError:
        return False


def _spots(node: NodeRecord) -> Iterator[Spot]:
    """What a node of the mesh offers to old consumers: its active services, where it listens for them."""
    for address in node.addresses:
        if address.transport == TRANSPORT:
            at = read(address.uri)
            for each in node.instances:
                if each.status == "active":
                    yield Spot(each.service, each.version, at.version, at.host, at.port, node.node_id, "tcp")


def _http(spot: Spot) -> Address:
    return Address(transport="http", uri=f"http://{bracketed(spot.host)}:{spot.port}")


def report(roster: Roster) -> Mapping[str, Mapping[str, list[list[object]]]]:
    """All guests: name -> version -> [host, port, node id, kind, "is_pending"?]."""
    found: dict[str, dict[str, list[list[object]]]] = {}
    for guest in roster.guests.values():
        spot = guest.spot
        line: list[object] = [
            spot.host,
            spot.port,
            spot.node_id,
            spot.kind,
            *([] if guest.is_active else ["is_pending"]),
        ]
        found.setdefault(spot.name, {}).setdefault(spot.version, []).append(line)
    return found
