"""Looks at the places where a hub may be: who sits there, and the connection to a holder of one's own mesh."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ..contracts import Address, Channel, Clock
from ..errors import NotSupported, PermissionDenied, Refused, Unauthenticated, Unavailable
from ..routing.meeting import Finding, Found, Place
from .terms import Caller, JoinedTerm

Dial = Callable[[Address, float], Awaitable[Channel]]
_REFUSALS: dict[str, Found] = {"mesh": "other", "draining": "leaving", "busy": "leaving"}


class Probe:
    """The eyes of a hub. A connection that a look opened is kept until it is asked for, or until the next look."""

    def __init__(self, *, mesh: str, dial: Dial, dial_s: float, caller: Caller, clock: Clock) -> None:
        self.mesh = mesh
        self._dial, self._dial_s, self._caller, self._clock = dial, dial_s, caller, clock
        self._open: dict[Place, Channel] = {}

    async def look(self, places: Sequence[Place]) -> list[Finding]:
        """What is found at each place, in order; what comes after a holder of one's own mesh is not looked at."""
        await self._drop()
        findings: list[Finding] = []
        for place in places:
            findings.append(await self._at(place))
            if findings[-1].found == "ours":
                break
        return findings

    async def joined(self, place: Place, *, anew: bool = False) -> JoinedTerm | None:
        """The term of the holder at `place`, over the connection that the last look opened, or `anew`; None: there is none."""
        if anew:
            await self._at(place)
        channel = self._open.pop(place, None)
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


def _cause(error: BaseException) -> Found:
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, TimeoutError):
        return "silent"
    return "nobody" if isinstance(cause, OSError) else "other"


def _address(place: Place) -> Address:
    return Address(transport="tcp", uri=place.uri)
