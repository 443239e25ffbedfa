"""Round robin among the near instances, and among the others while none of those is there. What is given is usable."""

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
        """The next near one, else the next far one."""
        return (self._near or self._far).next()

    def _turns(self, candidates: Sequence[Candidate]) -> _Turns:
        return _Turns(candidates, self._rng.randrange(len(candidates) or 1))  # anywhere: clients must not move in step


class _Turns:
    """Candidates in a circle."""

    def __init__(self, candidates: Sequence[Candidate], start: int) -> None:
        self._candidates, self._next = candidates, start

    def __bool__(self) -> bool:
        return bool(self._candidates)

    def next(self) -> Candidate:
        one = self._candidates[self._next]
        self._next = (self._next + 1) % len(self._candidates)
        return one
