"""The fault proxy that ships (`vyked_host.testing.Proxy`), and what only one can do that knows the packets of the native protocol
(docs/wire-protocol.md): a rule drops, repeats or holds back some of them, by service and method.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

from vyked_host.testing import proxy as shipped
from vyked_host.wire.packets import HEADER, HEADER_BYTES

WELCOME, REQUEST, RESPONSE, ITEM, SURFACE = 2, 3, 4, 7, 13


class Packet(NamedTuple):
    """One packet on its way. `service` and `method` are those of the call that it belongs to, where it belongs to one."""

    to_host: bool
    kind: int
    call: int
    service: str
    method: str
    data: bytes


Rule = Callable[[Packet], Iterable[Packet]]
"""What goes on in place of a packet: nothing, the same, it twice, or others that were held back."""


def as_it_is(packet: Packet) -> Iterable[Packet]:
    return (packet,)


class Cutter:
    """Cuts the bytes of one connection into packets, and knows what each call is about."""

    def __init__(self, rule: Callable[[], Rule]) -> None:
        self._rule = rule
        self._left = {True: b"", False: b""}
        self._table: dict[int, tuple[str, str]] = {}
        self._calls: dict[int, tuple[str, str]] = {}

    def feed(self, data: bytes, *, to_host: bool) -> list[bytes]:
        """What goes on instead of `data`, packet by packet."""
        data, found = self._left[to_host] + data, list[bytes]()
        while len(data) >= HEADER_BYTES and len(data) >= (size := HEADER_BYTES + HEADER.unpack_from(data)[0]):
            found += [each.data for each in self._rule()(self._known(data[:size], to_host))]
            data = data[size:]
        self._left[to_host] = data
        return found

    def _known(self, data: bytes, to_host: bool) -> Packet:
        _length, call, endpoint, _caller, kind, *_rest = HEADER.unpack_from(data)
        if kind in (WELCOME, SURFACE) and not to_host:
            rows = json.loads(data[HEADER_BYTES:])["endpoints"]
            self._table.update({row["index"]: (row["service"], row["name"]) for row in rows})
        if kind == REQUEST and to_host:
            self._calls[call] = self._table.get(endpoint, ("", ""))
        service, method = self._calls.get(call, ("", ""))
        return Packet(to_host, kind, call, service, method, data)


class Proxy(shipped.Proxy):
    """With a rule for packets. `raw`: it is another protocol than ours, of which nothing is known."""

    def __init__(self, target: str, *, seed: int = 0, raw: bool = False) -> None:
        super().__init__(target, seed=seed)
        self.rule: Rule = as_it_is
        self._raw = raw

    def pieces(self) -> shipped.Pieces:
        if self._raw:
            return super().pieces()
        cutter = Cutter(lambda: self.rule)
        return lambda data, to_host: cutter.feed(data, to_host=to_host)


# ---- rules -----------------------------------------------------------------------------------------------------------
class Disorder:
    """Of the packets that `concerns` picks, some are dropped, some come twice, some later than the next; counted by what was
    done. Off once `calm` is set."""

    def __init__(
        self,
        concerns: Callable[[Packet], bool],
        seed: int,
        *,
        drop: float = 0.0,
        repeat: float = 0.0,
        hold: float = 0.0,
    ) -> None:
        self._concerns, self._random = concerns, random.Random(seed)
        self._drop, self._repeat, self._hold = drop, repeat, hold
        self._held: list[Packet] = []
        self.dropped = self.repeated = self.held = 0
        self.calm = False

    def __call__(self, packet: Packet) -> Iterable[Packet]:
        if self.calm or not self._concerns(packet):
            return (packet,)
        held, self._held = self._held, []
        chance = self._random.random()
        if chance < self._drop:
            self.dropped += 1
            return held
        if chance < self._drop + self._repeat:
            self.repeated += 1
            return (packet, packet, *held)
        if chance < self._drop + self._repeat + self._hold:
            self.held += 1
            self._held = [*held, packet]
            return ()
        return (packet, *held)


def of(service: str, method: str, kind: int) -> Callable[[Packet], bool]:
    """Packets of one kind of one method's calls."""
    return lambda packet: packet.kind == kind and packet.service == service and packet.method == method
