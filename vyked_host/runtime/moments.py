"""How a node was in the last minutes, and which nodes it lost sight of: what an answer to "why" needs of the past."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

from ..contracts import Clock, NodeRecord
from ..model.report import Departure, Moment, is_own
from .directory import Directory
from .failures import FailureLog

SAMPLES = 1200
"""Of the loop's lag, one each half second: ten minutes."""
DEPARTURES = 200
AROUND_S = 2.0
"""What is meant by "at that time", to both sides."""
_SPAN_S = 0.5


class Sample(NamedTuple):
    """The loop came `lag_s` late to its timer while `in_flight` calls ran."""

    at: float
    lag_s: float
    in_flight: int


class Moments:
    """The samples of one node."""

    def __init__(self, clock: Clock, node_id: str, failures: FailureLog) -> None:
        self._clock, self._node_id, self._failures = clock, node_id, failures
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)

    def note(self, lag_s: float, in_flight: int) -> None:
        """One more sample."""
        self._samples.append(Sample(self._clock.unix(), lag_s, in_flight))

    def at(self, unix_s: float, before_s: float = AROUND_S) -> Moment:
        """The time from `before_s` before `unix_s` to a little after it. Of a lag that began earlier, what lay in that time counts."""
        begin, end = unix_s - before_s, unix_s + AROUND_S
        found = [each for each in self._samples if each.at >= begin and each.at - each.lag_s - _SPAN_S <= end]
        failed = Counter(
            f"{each.endpoint} {each.code}"
            for each in self._failures.calls
            if each.side == "callee" and begin <= each.at <= end
        )
        return Moment(
            node=self._node_id, samples=len(found), lag_s=max((min(each.lag_s, each.at - begin) for each in found), default=0.0),
            in_flight=max((each.in_flight for each in found), default=0), failed=dict(failed.most_common(8)),
        )  # fmt: skip


class Departures:
    """The nodes that left the view of this one, and when."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory, self._clock = directory, clock
        self._last: deque[Departure] = deque(maxlen=DEPARTURES)

    async def follow(self) -> None:
        """The body of the task that watches."""
        before: dict[str, NodeRecord] = dict(self._directory.known)
        while True:
            await self._directory.change()
            now = dict(self._directory.known)
            for node_id in before.keys() - now.keys():
                self._last.append(Departure(node=node_id, at=self._clock.unix(), services=services_of(before[node_id])))
            before = now

    def of(self, services: frozenset[str]) -> tuple[Departure, ...]:
        """Those that had one of `services` and are not back, the last ones last."""
        found = {
            each.node: each
            for each in self._last
            if each.node not in self._directory.known
            and any(name.partition("@")[0] in services for name in each.services)
        }
        return tuple(found.values())


def services_of(record: NodeRecord) -> tuple[str, ...]:
    """``service@version`` of each instance."""
    return tuple(f"{each.service}@{each.version}" for each in record.instances if not is_own(each.service))
