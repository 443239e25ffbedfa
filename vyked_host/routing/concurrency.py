"""How many calls may run at once, found by how long they take. Pure: what was seen is passed in.

While nothing waits the limit is what the configuration allows. Once every call waits - the fastest of a moment, at each endpoint,
takes longer than the fastest of a moment does as a rule, or the loop itself is late all the time - the limit is cut to what ran
without those that only waited, and grows again while they don't.

Sources. The gradient, the queue as what runs less what would run without waiting, and the sampled windows: Netflix's concurrency
limits, Vegas and Gradient2 (https://github.com/Netflix/concurrency-limits). A latency without load to compare with: Envoy's
adaptive concurrency (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter).
The fastest of a moment, since handlers differ and only a standing queue delays all of them: CoDel (RFC 8289, 3.1), and so that
one slow endpoint, or one slow call, never looks like overload. An allowance by the usual spread: RFC 6298. The numbers were
found with the model servers of tests/unit/routing/model_server.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, inf

from ..model.values import Value

LEAST = 4
"""A limit is never cut below it."""
ENOUGH = 10
"""Calls have to end before a moment is judged, five of them at an endpoint before that has a say."""
_SAY = 5
LONGEST_S = 1.0
"""A moment in which fewer end is over then, and says nothing."""
TOLERANCE, SLACK_S, SPREADS = 0.5, 0.02, 4.0
"""Waiting is allowed for half of what an endpoint usually takes, for 20 ms (the average wait at which WeChat's DAGOR sheds, and
what a busy machine does to a process), or for four times its usual spread, whichever is longest."""
LATE_S, TURN_S = 0.25, 0.1
"""A loop that is never less late than the first has a queue of its own; then as much is let in as it does in a turn of the second."""
TWICE = 2
"""Moments in a row have to agree; one is enough where the wait is three times what is allowed."""
_BLATANT = 3.0
_MEMORY_S = 10.0
"""In which what is usual follows a change for the worse."""
_STEP, _EFFECT_S, _FREELY = 0.15, 0.1, 4.0
"""The limit grows by 15 % in the time until a change can be seen: a call's, and two ticks. Where nobody is refused, by four times
its size a second."""
_PROOF = 40
"""Calls that began after a cut tell whether it was any use."""
_LONG = 2.0
"""A call that runs for twice the mean is a long one: it has a place beside the limit."""


class Pace:
    """The calls of one endpoint. Whoever runs calls writes, for each that began after `since`: how many `ended` in this moment, however
    they did, and the sum of their seconds; and those of the fastest that succeeded, since failing may be fast. `takes_s` is what the
    fastest took in the last moment, where that was too long for lack of a place; else 0.0."""

    __slots__ = ("_known", "_lately_s", "_spread_s", "ended", "fastest_s", "since", "takes_s", "total_s", "usual_s")

    def __init__(self) -> None:
        self.ended, self.total_s, self.fastest_s, self.since, self.takes_s = 0, 0.0, inf, 0.0, 0.0
        self.usual_s, self._spread_s, self._lately_s, self._known = inf, 0.0, 0.0, 0

    @property
    def has_a_say(self) -> bool:
        """Did enough end in this moment, and is it known what is usual?"""
        return self.ended >= _SAY and self._known >= ENOUGH and self.fastest_s < inf

    @property
    def waited_s(self) -> float:
        """Seconds by which the fastest took longer than usual."""
        return max(0.0, self.fastest_s - self.usual_s)

    @property
    def share(self) -> float:
        """What that is of the wait that is allowed."""
        return self.waited_s / max(TOLERANCE * self.usual_s, SLACK_S, SPREADS * self._spread_s)

    def next(self, *, learns: bool, span_s: float) -> None:
        """The moment, `span_s` long, is over. `learns`: nobody was refused in it and nothing waited too long."""
        self.takes_s = self.fastest_s if self.has_a_say and self.share > 1.0 else 0.0
        if self.ended >= _SAY and self.fastest_s < inf:
            self._learn(learns, span_s)
            self._known += self.ended
        self.ended, self.total_s, self.fastest_s = 0, 0.0, inf

    def _learn(self, learns: bool, span_s: float) -> None:
        off_s = self.fastest_s - self.usual_s
        self._lately_s = (self._lately_s + self.fastest_s) / 2 if self._lately_s else self.fastest_s
        if self._known < ENOUGH:
            self.usual_s = min(self.usual_s, self.fastest_s)
        elif learns or off_s < 0:
            self.usual_s += off_s * (min(1.0, span_s / _MEMORY_S) if off_s > 0 else 0.1)
            self._spread_s += (abs(off_s) - self._spread_s) * min(0.1, 2 * span_s / _MEMORY_S)

    def begin_anew(self, now: float) -> None:
        """Only calls that begin from now on count."""
        self.since, self._lately_s = now, 0.0

    def accept(self) -> None:
        """What it took lately is what it takes."""
        if self._lately_s > self.usual_s:
            self.usual_s, self._spread_s = self._lately_s, max(self._spread_s, 0.1 * self._lately_s)


class Seen(Value):
    """One look at a node: how late its loop was, in seconds; how many calls `ran` that count; whether any was refused since the
    last look; `older` gives how many have been running for longer than so many seconds."""

    now: float
    late_s: float
    ran: int
    refused: bool
    older: Callable[[float], int]


class Cut(Value):
    """A cut that has to prove itself: what ran before, on average, and how long that took."""

    ran: float
    mean_s: float


class Moment(Value):
    """What ended between two judgements."""

    seen: Seen
    span_s: float
    ended: int
    total_s: float
    refused: bool
    is_late: bool


class Concurrency:
    """The limit of one node; `most` is what the configuration allows (math.inf: anything)."""

    def __init__(self, most: float, now: float) -> None:
        self.most = self.limit = float(most)
        self._opened, self._late_s, self._refused = now, inf, False
        self._ran_before = self._bad = 0
        self._cut: Cut | None = None
        self._first_cut: Cut | None = None  # of several in a row that were too small to tell
        self._proof, self._proof_s = 0, 0.0

    @property
    def is_cut(self) -> bool:
        """Is it lower than the configuration allows?"""
        return self.limit < self.most

    def look(self, paces: Sequence[Pace], seen: Seen) -> None:
        """Look at a node, some twenty times a second; a moment is over once enough calls have ended."""
        self._late_s, self._refused = min(self._late_s, seen.late_s), self._refused or seen.refused
        span_s, ended = seen.now - self._opened, sum(each.ended for each in paces)
        if ended < ENOUGH and span_s < LONGEST_S:
            return
        total_s = sum(each.total_s for each in paces)
        moment = Moment(
            seen=seen, span_s=span_s, ended=ended, total_s=total_s, refused=self._refused,
            is_late=self._late_s >= LATE_S,
        )  # fmt: skip
        is_well = self._judged(moment, paces) if ended >= ENOUGH else self._unjudged(moment)
        for each in paces:
            each.next(learns=is_well and not moment.refused, span_s=span_s)
        self._opened, self._late_s, self._refused, self._ran_before = seen.now, inf, False, seen.ran

    def _unjudged(self, moment: Moment) -> bool:
        """Too few ended to say anything: grow, unless those above the limit are on their way out."""
        self._bad, ran = 0, moment.seen.ran
        if ran <= self.limit:
            self._grow((1.0 if moment.refused else _FREELY) * moment.span_s)
        elif ran > self._ran_before - LEAST:  # long ones, that began before they could be known as such
            self.limit = min(self.most, float(ran + LEAST))
        return False

    def _judged(self, moment: Moment, paces: Sequence[Pace]) -> bool:
        """True: nothing waits too long."""
        having_a_say = [each for each in paces if each.has_a_say]
        share = min((each.share for each in having_a_say), default=0.0)
        cut = self._cut
        if cut is not None and self._was_in_vain(cut, moment, share):
            self._take_back(cut, paces)
            return False
        if share <= 1.0 and not moment.is_late:
            self._bad = 0
            if moment.seen.ran <= self.limit + 1:
                slowly = _STEP / (moment.total_s / moment.ended + _EFFECT_S) * (1.0 - share)
                self._grow((slowly if moment.refused else _FREELY) * moment.span_s)
            return True
        self._bad += TWICE if share > _BLATANT and not moment.is_late else 1
        if self._bad >= TWICE and (self._cut is None or moment.is_late):
            self._bad = 0
            found = self._turn(moment) if moment.is_late else self._without_waiting(moment, having_a_say)
            self.limit = max(float(LEAST), min(self.limit, float(ceil(found))))
            for each in paces:
                each.begin_anew(moment.seen.now)
        return False

    def _grow(self, share: float) -> None:
        self.limit = min(self.most, self.limit * (1.0 + share))

    # ---- cuts --------------------------------------------------------------------------------------------------------
    def _turn(self, moment: Moment) -> float:
        """The loop has a queue: let in what it does in one turn."""
        return moment.ended / moment.span_s * TURN_S + moment.seen.older(LONGEST_S)

    def _without_waiting(self, moment: Moment, paces: Sequence[Pace]) -> float:
        """What ran on average (Little's law: the seconds of all calls, in a second) less what only waited; not less than half."""
        ended, total_s = sum(each.ended for each in paces), sum(each.total_s for each in paces)
        worked_s = total_s - sum(each.ended * each.waited_s for each in paces)
        ran, mean_s = total_s / moment.span_s, total_s / ended
        long = moment.seen.older(max(_LONG * mean_s, 0.1))
        found = worked_s / moment.span_s + long
        if self.is_cut:
            found = min(found, max((self.limit - long) * worked_s / total_s, 1.0) + long)
        self._cut = self._first_cut or Cut(ran=ran, mean_s=mean_s)
        self._proof, self._proof_s = 0, 0.0
        return max(found, ran / 2)

    def _was_in_vain(self, cut: Cut, moment: Moment, share: float) -> bool:
        """Fewer run since, and no faster: it is not a queue that takes long, it is the work."""
        self._proof, self._proof_s = self._proof + moment.ended, self._proof_s + moment.total_s
        if self._proof < _PROOF:
            return False
        left = moment.seen.ran / cut.ran
        self._cut = None
        if left > 0.6:  # too small a cut to tell
            self._first_cut = cut if share > 0.5 else None
            return False
        self._first_cut = None
        return self._proof_s / self._proof / cut.mean_s > (1.0 + left) / 2

    def _take_back(self, cut: Cut, paces: Sequence[Pace]) -> None:
        self._bad = 0
        for each in paces:
            each.accept()
        self.limit = min(self.most, max(self.limit, 2.0 * cut.ran))
