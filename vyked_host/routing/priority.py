"""Who is refused first where not all calls have a place. Pure: the time is passed in.

Places alone don't keep an order: calls that come in one turn of the loop find it empty, whatever they are. So low ones are also
refused for as long as others are, as in WeChat's DAGOR, whose overload control sheds by business priority
(https://doi.org/10.1145/3267809.3267823).

A method says what its calls are at most, its callers may say less. Less goes on to the calls that a call makes, more does not: as
criticality does at Google (https://sre.google/sre-book/handling-overload/), but for who may claim it.
"""

from __future__ import annotations

from math import inf
from typing import Literal

Priority = Literal["high", "normal", "low"]
PRIORITY = "vyked-priority"
"""The name of a call's own priority among its metadata."""
RANKS: dict[str, Priority] = {"low": "low", "normal": "normal", "high": "high"}
"""From the first that is refused to the last."""
LOW_SHARE = 0.75
"""Of the places, for calls of low priority."""
BEYOND = 8
"""Calls of high priority have as many places again as there are, at most an eighth of what the configuration allows."""
AFTER_S = 0.25
"""So long after one of the others was refused none of low priority is begun."""


def lower(most: Priority, asked: str | None) -> Priority:
    """The priority of a call whose caller `asked` for one (None: for nothing, and so it is with what nobody knows)."""
    known = list(RANKS)
    return RANKS[asked] if asked in RANKS and known.index(asked) < known.index(most) else most


class Order:
    """Of one node."""

    __slots__ = ("_refused_at",)

    def __init__(self) -> None:
        self._refused_at = -inf

    def lets_in(self, priority: Priority, ran: int, limit: float, most: float, now: float) -> bool:
        """Is there a place beside `ran` calls, where `limit` may run now and `most` ever?"""
        if priority == "low":
            return ran < max(1.0, LOW_SHARE * limit) and now - self._refused_at >= AFTER_S
        places = limit if priority == "normal" else limit + max(1.0, min(limit, most / BEYOND))
        if ran < places:
            return True
        self._refused_at = now
        return False
