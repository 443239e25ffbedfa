"""When calls that would fail are not made. Pure: times are passed in.

The shape is Moleculer's (https://moleculer.services/docs/0.15/fault-tolerance.html#Circuit-Breaker): a share of at least so many
calls within a minute opens it; after a while one call is let through, and its end decides.
"""

from __future__ import annotations

from ..errors import Code
from ..model.values import Value
from .window import Window

PROBE_S = 1.0
"""When to come again while the one call that is let through runs."""
_FAILED: frozenset[Code] = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"})
_UNDECIDED: frozenset[Code] = frozenset({"RESOURCE_EXHAUSTED", "CANCELLED"})


class BreakerRule(Value):
    """Open when `failures`, a share, of at least `of` calls within `within_s` failed; for `open_for_s`."""

    failures: float = 0.5
    of: int = 20
    open_for_s: float = 10.0
    within_s: float = 60.0


def has_failed(code: Code) -> bool | None:
    """Does a call that ended so speak against the method? None: it says nothing. An error that the method declares, or a refusal of
    the arguments, shows that it works."""
    return None if code in _UNDECIDED else code in _FAILED


class Breaker:
    """Of one method, as one client sees it."""

    __slots__ = ("_is_probing", "_rule", "_until", "_window")

    def __init__(self, rule: BreakerRule) -> None:
        self._rule, self._window = rule, Window(rule.within_s)
        self._until: float | None = None
        self._is_probing = False

    def wait(self, now: float) -> float:
        """Seconds after which to come again; 0.0: a call may be made now."""
        if self._until is None:
            return 0.0
        if now < self._until:
            return self._until - now
        return PROBE_S if self._is_probing else 0.0

    def enter(self) -> bool:
        """A call is made, after `wait` gave 0.0. True: it is the one that decides."""
        self._is_probing = self._until is not None
        return self._is_probing

    def leave(self, decides: bool, failed: bool | None, now: float) -> bool:
        """The call ended; `failed` None: it says nothing. True: that opened the breaker, or kept it open."""
        if decides:
            self._is_probing = False
            if failed is False:
                self._until = None
                self._window.clear()
            return self._open(now) if failed else False
        if failed is None or self._until is not None:  # begun before it opened
            return False
        self._window.add(now, 1, int(failed))
        every, bad = self._window.sums(now)
        return self._open(now) if failed and every >= self._rule.of and bad >= self._rule.failures * every else False

    def _open(self, now: float) -> bool:
        self._until = now + self._rule.open_for_s
        self._window.clear()
        return True
