"""Counts over the last seconds, kept in slots of a tenth of that time: adding and summing cost the same however much was
counted. Pure: the time is passed in."""

from __future__ import annotations

from collections import deque

SLOTS = 10


class Window:
    """How many there were, and how many of them were counted apart, within the last `seconds` and at most a tenth more."""

    __slots__ = ("_slot_s", "_slots", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds, self._slot_s = seconds, seconds / SLOTS
        self._slots: deque[list[int]] = deque()  # number of the slot, all, apart

    def add(self, now: float, all_: int, apart: int) -> None:
        """Count so many more."""
        number = int(now / self._slot_s)
        if not self._slots or self._slots[-1][0] != number:
            self._slots.append([number, 0, 0])
            self._forget(number)
        last = self._slots[-1]
        last[1] += all_
        last[2] += apart

    def sums(self, now: float) -> tuple[int, int]:
        """(all, apart) within the window."""
        self._forget(int(now / self._slot_s))
        return sum(each[1] for each in self._slots), sum(each[2] for each in self._slots)

    def clear(self) -> None:
        """Begin anew."""
        self._slots.clear()

    def _forget(self, number: int) -> None:
        while self._slots and self._slots[0][0] < number - SLOTS:
            self._slots.popleft()
