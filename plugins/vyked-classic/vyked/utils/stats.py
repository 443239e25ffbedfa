"""`vyked.utils.stats`: counters by endpoint and outcome, as `GET /_stats` and the log show them."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

LAST = 10
"""Response times whose average is shown."""
WELL = frozenset({"succesful", "200", "201", "202", "204"})
"""Outcomes that count as success; the first one is spelt as the original spelt it."""


class Stats:
    """Totals of this process."""

    hostname: ClassVar[str] = ""
    service_name: ClassVar[str] = ""
    http_stats: ClassVar[dict[str, int]] = {"total_requests": 0, "total_responses": 0, "timedout": 0, "total_errors": 0}
    tcp_stats: ClassVar[dict[str, int]] = {"total_requests": 0, "total_responses": 0, "timedout": 0, "total_errors": 0}

    @classmethod
    def summary(cls) -> dict[str, Any]:
        """One line of the log: the counters of both kinds, and their sums."""
        found: dict[str, Any] = {"hostname": cls.hostname, "service_name": cls.service_name}
        for name, count in cls.http_stats.items():
            found[f"http_{name}"], found[f"tcp_{name}"] = count, cls.tcp_stats[name]
            found[name] = count + cls.tcp_stats[name]
        return found


def count(is_http: bool, what: str) -> None:
    """One more of `what` in the totals of a kind."""
    totals = Stats.http_stats if is_http else Stats.tcp_stats
    totals[what] += 1


class StatUnit:
    """A node of the tree total -> kind of server -> endpoint -> outcome."""

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.count = self.success_count = 0
        self.sub: dict[str, StatUnit] = {}
        self._times: deque[float] = deque(maxlen=LAST)

    @property
    def average(self) -> float:
        """Of the last response times, in milliseconds."""
        return sum(self._times) / len(self._times) if self._times else 0.0

    def update(self, time_taken: float, success: bool) -> None:
        """One more; `time_taken` in milliseconds."""
        self.count += 1
        self.success_count += success
        self._times.append(time_taken)

    def to_dict(self) -> dict[str, Any]:
        """The tree from here on, as plain data."""
        return {
            "count": self.count, "average": self.average, "success_count": self.success_count,
            "sub": {name: each.to_dict() for name, each in self.sub.items()},
        }  # fmt: skip


class Aggregator:
    """What the calls of this process took and how they ended."""

    _stats: ClassVar[StatUnit] = StatUnit("total")

    @classmethod
    def update_stats(
        cls, endpoint: str, status: Any, time_taken: float, server_type: str, success: bool = True
    ) -> None:  # fmt: skip
        """One call has ended; `time_taken` in milliseconds."""
        unit = cls._stats
        unit.update(time_taken, success)
        for key in (server_type, endpoint, str(status)):
            if key not in unit.sub:
                unit.sub[key] = StatUnit(key)
            unit = unit.sub[key]
            unit.update(time_taken, success)

    @classmethod
    def dump_stats(cls) -> dict[str, Any]:
        """The whole tree, as plain data."""
        return cls._stats.to_dict()

    @classmethod
    def endpoints(cls) -> list[dict[str, Any]]:
        """One line of the log for each endpoint."""
        return [
            {
                "method": endpoint, "server_type": server_type, "hostname": Stats.hostname, "service_name": Stats.service_name,
                "average_response_time": unit.average, "total_request_count": unit.count, "success_count": unit.success_count,
                **{f"CODE_{status}": each.count for status, each in unit.sub.items()},
            }
            for server_type, server in cls._stats.sub.items()
            for endpoint, unit in server.sub.items()
        ]  # fmt: skip
