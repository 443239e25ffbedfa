"""Is this host well? Live: the loop turns. Ready: it serves, each service is active and says it is well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from .hosted import Hosted
from .lag import BLOCKED_S, LoopLag

CHECK_S = 1.0
Check = Callable[[], Awaitable[str | None]]


class Health:
    """The checks of one host."""

    def __init__(self, hosted: Sequence[Hosted], lag: LoopLag) -> None:
        self._hosted, self._lag = hosted, lag
        self._checks: list[tuple[str, Check]] = [(f"service {each.name}", each.health) for each in hosted]
        self._notes: dict[str, Callable[[], str | None]] = {}

    def add(self, checks: Iterable[tuple[str, Check]]) -> None:
        """More checks, of plugins."""
        self._checks.extend(checks)

    def note(self, name: str, say: Callable[[], str | None]) -> None:
        """Something that readiness tells and that does not make a host unready; `say` answers None while there is nothing."""
        self._notes[name] = say

    def notes(self) -> dict[str, str]:
        """Name -> what there is to tell."""
        return {name: text for name, say in self._notes.items() if (text := say())}

    async def problems(self) -> dict[str, str]:
        """Name of check -> what is wrong; empty when all is well."""
        found = await asyncio.gather(*(self._asked(check) for _, check in self._checks))
        bad = {name: text for (name, _), text in zip(self._checks, found, strict=True) if text}
        if self._lag.lag_s > BLOCKED_S:
            bad["event loop"] = f"it lags by {self._lag.lag_s:.1f} s"
        return bad

    async def _asked(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(CHECK_S):
                return await check()
        except TimeoutError:
            return f"no answer within {CHECK_S:g} s"
        except Exception as error:  # noqa: BLE001 - a check that fails is a check that is not well
            return f"the check failed: {error!r}"


def readiness(
    phase: str, waiting: Mapping[str, str], problems: Mapping[str, str], notes: Mapping[str, str] | None = None
) -> tuple[bool, dict[str, Any]]:
    """Ready or not, and the reasons as plain data for ``/-/ready``. `waiting`: service -> what it waits for or lacks; `notes`: what
    there is to tell beside."""
    reasons = dict(problems)
    if phase != "serving":
        reasons["host"] = f"it is {phase}"
    reasons |= waiting
    told = {"notes": dict(notes)} if notes else {}
    return not reasons, {"ready": not reasons, "phase": phase, "reasons": reasons, **told}
