"""Which server to connect to: asked anew for each connection, since it changes when one takes over from another.

One question to one Sentinel or node, over a connection like any other here. redis-py's clients for both are left out: cut short
by a deadline they leave connections open, and they ask each node several things, some of them again and again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from redis.crc import key_slot
from redis.exceptions import ConnectionError as NoConnection

from .address import Address, Place
from .wire import FAILURES, Wire, Word, hang_up

WAIT_S = 1.0
"""For the answer of one Sentinel or node, before the next is asked."""
Open = Callable[[Place], Wire]


class Finder:
    """Finds the master that the Sentinels of `address` know, or the node of its Cluster that has `key`. `open_wire` makes a connection
    to whom is asked, not yet open."""

    def __init__(self, address: Address, key: str, open_wire: Open) -> None:
        self._address, self._slot, self._open = address, key_slot(key.encode()), open_wire
        self._known = list(address.places)

    async def found(self) -> Place | None:
        """Where to connect to; None: at the address itself, which is no host and port. Raises what redis-py raises."""
        if self._address.kind == "alone":
            return self._address.places[0] if self._address.places else None
        troubles = []
        for place in list(self._known):
            try:
                async with asyncio.timeout(WAIT_S):
                    found = await self._asked(place)
            except (*FAILURES, TimeoutError) as error:
                troubles.append(f"{place[0]}:{place[1]} {' '.join(str(error).split()) or 'does not answer'}")
                continue
            if found is not None:
                self._known = [place, *(each for each in self._known if each != place)]  # who answered is asked first
                return found
            troubles.append(f"{place[0]}:{place[1]} does not know it")
        raise NoConnection(f"nobody says where {self._what} is: {'; '.join(troubles)}")

    @property
    def _what(self) -> str:
        if self._address.kind == "sentinel":
            return f"the master {self._address.master!r}"
        return f"slot {self._slot}"

    async def _asked(self, place: Place) -> Place | None:
        wire = self._open(place)
        try:
            await wire.connect()
            if self._address.kind == "sentinel":
                told = await _reply(wire, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.master)
                return (told[0].decode(), int(told[1])) if told else None
            return self._holder(place, await _reply(wire, "CLUSTER", "SLOTS"))
        finally:
            await hang_up(wire)

    def _holder(self, asked: Place, ranges: Any) -> Place | None:
        """Of ``[first, last, [host, port, ...] of the master, ...]`` that with the slot; the others are remembered, for whoever was
        written down may be gone one day."""
        found = None
        for first, last, master, *_replicas in ranges:
            place = (master[0].decode() if master[0] else asked[0], int(master[1]))
            if place not in self._known:
                self._known.append(place)
            if first <= self._slot <= last:
                found = place
        return found


async def _reply(wire: Wire, *words: Word) -> Any:
    await wire.send_packed_command(wire.pack_commands([words]))
    return await wire.read_response(disable_decoding=True, disconnect_on_error=False)
