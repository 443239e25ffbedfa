"""Since when each old process is here, and until when it was: what `uptime_report` is answered, and the registry's lines of the logger
`stats`. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .roster import Spot

REMEMBERED = 1024
"""Of those that are gone."""


class Life(NamedTuple):
    """One instance; `since` and `until` in seconds since 1970, None while it is here."""

    node_id: str
    since: float
    until: float | None = None

    def told(self) -> Mapping[str, object]:
        """As it stands on the wire."""
        said: dict[str, object] = {"uptime": int(self.since), "node_id": self.node_id}
        return said if self.until is None else {**said, "downtime": int(self.until)}


class Uptimes:
    """``name/version`` -> host -> life. A second instance on a host is told with its port: none hides another."""

    def __init__(self) -> None:
        self._lives: dict[str, dict[str, Life]] = {}
        self._gone: dict[tuple[str, str], None] = {}

    def came(self, spot: Spot, since: float) -> None:
        """It is here. One that says so again is here since it said so first."""
        lives, exact = self._lives.setdefault(f"{spot.name}/{spot.version}", {}), f"{spot.host}:{spot.port}"
        for where, life in list(lives.items()):
            if life.node_id == spot.node_id and life.until is None:
                if where in (spot.host, exact):
                    return
                del lives[where]  # it moved
        if exact in lives and lives[exact].until is not None:
            del lives[exact]
        is_taken = spot.host in lives and lives[spot.host].until is None
        lives[exact if is_taken else spot.host] = Life(spot.node_id, since)

    def went(self, node_id: str, until: float) -> None:
        """It is not here any more: told as such until somebody takes its place."""
        for service, lives in self._lives.items():
            for where, life in lives.items():
                if life.node_id == node_id and life.until is None:
                    lives[where] = life._replace(until=until)
                    self._gone.pop((service, where), None)
                    self._gone[service, where] = None
        while len(self._gone) > REMEMBERED:
            self._forget(*next(iter(self._gone)))

    def _forget(self, service: str, where: str) -> None:
        del self._gone[service, where]
        lives = self._lives.get(service, {})
        if where in lives and lives[where].until is not None:
            del lives[where]
        if not lives:
            self._lives.pop(service, None)

    def report(self) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
        """The answer to `uptime_report`."""
        return {service: {at: life.told() for at, life in lives.items()} for service, lives in self._lives.items()}

    def lines(self, now: float) -> Iterator[Mapping[str, object]]:
        """One of the log for each instance; `uptime` in seconds, `status`: is it here?"""
        for service, lives in self._lives.items():
            for where, life in lives.items():
                until = now if life.until is None else life.until
                yield {
                    "service_name": service, "hostname": where, "status": life.until is None, "uptime": int(until - life.since),
                }  # fmt: skip
