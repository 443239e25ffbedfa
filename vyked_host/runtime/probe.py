"""Looks at the places where a hub may be: who sits there, and the connection to a holder of one's own mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from ..contracts import Address, Channel, Clock
from ..errors import NotSupported, PermissionDenied, Refused, Unauthenticated, Unavailable
from ..routing.meeting import Finding, Found, Place
from .terms import Caller, JoinedTerm

SECOND_LOOK_S = 0.1
"""Where a holder was found, the other places get so many seconds more: of two holders the one at the earlier place stays."""
Spawn = Callable[[Coroutine[Any, Any, Finding], str], asyncio.Task[Finding]]
Dial = Callable[[Address, float], Awaitable[Channel]]
_REFUSALS: dict[str, Found] = {"mesh": "other", "draining": "leaving", "busy": "leaving"}


class Probe:
    """The eyes of a hub. A connection that a look opened is kept until it is asked for, or until the next look."""

    def __init__(
        self, *, mesh: str, dial: Dial, dial_s: float, caller: Caller, clock: Clock, spawn: Spawn
    ) -> None:  # fmt: skip
        self.mesh = mesh
        self._dial, self._dial_s, self._caller, self._clock = dial, dial_s, caller, clock
        self._spawn = spawn
        self._open: dict[Place, Channel] = {}

    async def look(self, places: Sequence[Place]) -> list[Finding]:
        """What is found at each place, in order, looked at all at once: something that hangs at one of them holds nobody up
        whose mesh meets at another."""
        await self._drop()
        looks = [self._spawn(self._at(place), f"look at {place.text}") for place in places]
        try:
            await _enough(looks)
        finally:
            for look in looks:
                look.cancel()
            await asyncio.wait(looks)
        return [
            Finding(place=place, found="silent", said="it does not answer") if look.cancelled() else look.result()
            for place, look in zip(places, looks, strict=True)
        ]

    async def joined(self, place: Place, *, anew: bool = False) -> JoinedTerm | None:
        """The term of the holder at `place`, over the connection that the last look opened, or `anew`; None: there is none."""
        if anew:
            await self._at(place)
        channel = self._open.pop(place, None)
        await self._drop()
        return None if channel is None else JoinedTerm(channel, _address(place), self._caller)

    async def _at(self, place: Place) -> Finding:
        try:
            channel = await self._dial(_address(place), self._clock.now() + self._dial_s)
        except Refused as error:
            return Finding(place=place, found=_REFUSALS.get(error.reason, "unwelcome"), said=str(error))
        except (Unauthenticated, PermissionDenied) as error:
            return Finding(place=place, found="unwelcome", said=str(error))
        except (Unavailable, NotSupported, OSError) as error:
            return Finding(place=place, found=_cause(error), said=str(error) or type(error).__name__)
        if not any(channel.surface.endpoints):
            await channel.aclose()
            return Finding(place=place, found="leaving", said=f"node {channel.node_id} is about to open the hub")
        self._open[place] = channel
        return Finding(place=place, found="ours", said=f"node {channel.node_id} holds the hub")

    async def _drop(self) -> None:
        left, self._open = self._open, {}
        for channel in left.values():
            await channel.aclose()


async def _enough(looks: Sequence[asyncio.Task[Finding]]) -> None:
    """Wait until all is known, or a holder of one's own mesh."""
    waiting = set(looks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if waiting and any(look.result().found == "ours" for look in done):
            await asyncio.wait(waiting, timeout=SECOND_LOOK_S)
            return


def _cause(error: BaseException) -> Found:
    if isinstance(
        error, NotSupported
    ):  # it answers, and the two have nothing in common: another mesh, or something else
        return "other"
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, TimeoutError):
        return "silent"
    return "nobody" if isinstance(cause, OSError) else "other"


def _address(place: Place) -> Address:
    return Address(transport="tcp", uri=place.uri)
