"""Round robin among the near instances, and among the others only while no near one is usable."""

from __future__ import annotations

import random
from collections.abc import Sequence

from vyked_host.contracts import Call, Candidate


class Zone:
    """`own` is the value that the label `label` has on near instances; empty: all are near."""

    def __init__(self, label: str, own: str, rng: random.Random) -> None:
        self._label, self._own, self._rng = label, own, rng
        self._near, self._far = _Turns([], 0), _Turns([], 0)

    def update(self, candidates: Sequence[Candidate]) -> None:
        """Sort the candidates into near and far."""
        near: list[Candidate] = []
        far: list[Candidate] = []
        for one in candidates:
            is_near = not self._own or one.labels.get(self._label) == self._own
            (near if is_near else far).append(one)
        self._near, self._far = self._turns(near), self._turns(far)

    def choose(self, call: Call) -> Candidate:
        """The next usable near one, else the next usable far one, else any."""
        return self._near.usable() or self._far.usable() or (self._near or self._far).current()

    def _turns(self, candidates: Sequence[Candidate]) -> _Turns:
        return _Turns(candidates, self._rng.randrange(len(candidates) or 1))  # anywhere: clients must not move in step


class _Turns:
    """Candidates in a circle."""

    def __init__(self, candidates: Sequence[Candidate], start: int) -> None:
        self._candidates, self._next = candidates, start

    def __bool__(self) -> bool:
        return bool(self._candidates)

    def current(self) -> Candidate:
        return self._candidates[self._next]

    def usable(self) -> Candidate | None:
        for _ in self._candidates:
            one = self.current()
            self._next = (self._next + 1) % len(self._candidates)
            if one.usable:
                return one
        return None
