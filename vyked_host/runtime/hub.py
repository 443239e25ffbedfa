"""The hub of a mesh: found, joined or held, and found again whenever its holder goes (`contracts.hub` has the words).

Each look around (`probe`) tells who sits at each place; `routing.meeting.decide` says what follows; this module does it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from ..contracts import Clock, Desk, Hub, Term
from ..errors import Away, StartError, UsageError, VykedError
from ..routing.backoff import Backoff
from ..routing.meeting import Decision, Place, decide, elders
from .desks import Counter, Serve
from .guests import Guests
from .probe import Probe
from .tasks import TaskScope
from .terms import JoinedTerm, OwnTerm, opened

AGAIN = Backoff(first=0.05, most=2.0, factor=1.6)
"""Pauses between looks at the places, before ``[timing] scale``."""
LOOKS = 4
"""Looks that have to agree before a start, or the search for an heir, is given up: a holder may be ending, or beginning, just now."""


def _alone() -> int:
    return 1


class MeshHub(Hub):
    """`contracts.Hub` over the native transport. `heir_s`: how many seconds a holder that stops looks for the next one, to hand
    over what should live on; `crowd` tells how many nodes there are, all of which look for the next holder at once."""

    def __init__(
        self, *, places: Sequence[Place], node_id: str, probe: Probe, serve: Serve, counter: Callable[[], Counter],
        may_hold: bool, patience_s: float, look_s: float, heir_s: float, again: Backoff, clock: Clock, rng: random.Random,
        tasks: TaskScope, log: logging.Logger, crowd: Callable[[], int] = _alone,
    ) -> None:  # fmt: skip
        self._places, self._node_id, self._probe, self._serve = tuple(places), node_id, probe, serve
        self._new_counter, self._may_hold = counter, may_hold
        self._patience_s, self._look_s, self._heir_s, self._again = patience_s, look_s, heir_s, again
        self._clock, self._rng, self._tasks, self._log = clock, rng, tasks, log
        self._crowd = crowd
        self._can_bind = frozenset(self._places)
        self._offers: dict[type, Callable[[], Desk]] = {Guests: Guests}
        self._counter: Counter | None = None
        self._place: Place | None = None
        self._term: OwnTerm | JoinedTerm | None = None
        self._changed = asyncio.Event()
        self._opening = asyncio.Lock()
        self._cancel: Callable[[], None] = _nothing
        self._closing = False

    # ---- contracts.Hub -----------------------------------------------------------------------------------------------
    def offer(self, contract: type, make: Callable[[], Desk], /) -> None:
        """Serve `make()` whenever this node holds the hub. Raises UsageError once it is in use."""
        if self._term is not None:
            raise UsageError("this hub is in use already: offer desks before")
        self._offers[contract] = make

    async def term(self) -> Term:
        """The term that runs now; waits for one. Raises StartError as :meth:`open` does, Away once this host leaves."""
        await self.open()
        while True:
            term = self._term
            if term is not None and not term.over.done():
                return term
            if self._closing:
                raise Away("this host leaves the hub")
            self._changed.clear()
            await self._changed.wait()

    @property
    def holder(self) -> str | None:
        """The node that holds the hub, as this one knows it; None while it looks."""
        term = self._term
        return None if term is None or term.over.done() else term.node_id

    # ---- life --------------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Find the hub for the first time. Raises StartError when this host may not join, or can't."""
        async with self._opening:
            if self._term is None:
                await self._find_first()
                self._cancel = self._tasks(self._follow(), "hub")

    async def _find_first(self) -> None:
        until, attempt = self._clock.now() + self._patience_s, 0
        while True:
            if self._closing:
                raise Away("this host leaves the hub")
            decision = await self._look()
            if await self._carry_out(decision):
                return
            attempt += 1
            refused = decision.action == "refuse" and attempt >= LOOKS
            if refused or self._clock.now() > until:
                kind = Away if decision.is_away else StartError
                raise kind(self._refusal(decision))
            await asyncio.sleep(self._again.delay(attempt, self._rng.random()))

    def _refusal(self, decision: Decision) -> str:
        where = ", ".join(each.text for each in self._places[:1])
        if not self._may_hold:
            return f"no host of mesh {self._probe.mesh!r} can be reached at {where} ({decision.reason})"
        return f"the registry of mesh {self._probe.mesh!r} can't be opened or joined: {decision.reason}"

    async def _follow(self) -> None:
        """From term to term, until the host stops."""
        while True:
            term = self._term
            assert term is not None
            try:
                reason = await self._ended(term)
            except Exception:  # noqa: BLE001 - a desk that fails at its end must not leave this node without a hub for ever
                self._log.exception("the term of node %s did not end well", term.node_id)
                reason = "it ended"
            self._log.warning("node %s no longer holds the hub (%s): looking for the next", term.node_id, reason)
            await self._find_again()

    async def _ended(self, term: OwnTerm | JoinedTerm) -> str:
        if isinstance(term, OwnTerm):
            await self._watch_for_elders(term)
        else:
            await asyncio.wait({term.over})
            # beside the search for the next: a holder that hangs is cut after `[timing] write` only
            self._tasks(term.aclose(), f"leaving the term of node {term.node_id}")
        return term.over.result()

    async def _find_again(self) -> None:
        attempt, crowd = 0, self._crowd()  # who was in the same term looks at the same time
        while True:
            await asyncio.sleep(self._again.spread(attempt, self._rng.random(), crowd))
            attempt += 1
            try:
                decision = await self._look()
                if await self._carry_out(decision):
                    return
                reason = decision.reason
            except StartError as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001 - whatever it was, the next look may succeed
                self._log.exception("looking for the hub failed")
                reason = repr(error)
            if attempt == LOOKS:  # it is no longer a matter of moments
                self._log.warning("the hub is away: %s", reason or "no place could be opened or joined")

    # ---- looking, joining, holding -----------------------------------------------------------------------------------
    async def _look(self) -> Decision:
        findings = await self._probe.look(self._places)
        return decide(findings, may_hold=self._may_hold, can_bind=self._can_bind)

    async def _carry_out(self, decision: Decision) -> bool:
        """True: a term runs."""
        place = decision.place
        if place is None:
            return False
        if decision.action == "join":
            return await self._join(place)
        return await self._hold(place)

    async def _join(self, place: Place) -> bool:
        term = await self._probe.joined(place)
        if term is not None and self._may_hold:
            try:
                await term.desk(Guests).sign(self._node_id)
            except VykedError as error:
                self._log.info("node %s went while it was joined: %s", term.node_id, error)
                await term.aclose()
                return False
        return self._begin(term, place)

    async def _hold(self, place: Place) -> bool:
        counter = self._new_counter()
        try:
            await counter.bind(place, self._serve)
        except StartError as error:
            if not getattr(error, "in_use", False):
                self._can_bind -= {place}
                self._log.info("this machine can't open the hub: %s", error)
            return False  # somebody was faster, or nobody can: the next look tells
        try:
            desks = await opened(self._offers)
        except BaseException:
            await counter.close()
            raise
        counter.open(desks.values())
        self._counter = counter
        return self._begin(OwnTerm(self._node_id, desks), place)

    def _begin(self, term: OwnTerm | JoinedTerm | None, place: Place) -> bool:
        if term is None or term.over.done():
            return False
        self._term, self._place = term, place
        whose = "this node holds" if term.is_here else f"node {term.node_id} holds"
        self._log.info("%s the hub of mesh %s at %s", whose, self._probe.mesh, place.text)
        self._changed.set()
        return True

    async def _watch_for_elders(self, term: OwnTerm) -> None:
        """Of two holders of one mesh the one at the earlier place stays; this one gives up when it sees the other."""
        while True:
            await asyncio.sleep(self._look_s)
            earlier = elders(self._place, self._places) if self._place is not None else ()
            for place in earlier:
                heir = await self._probe.joined(place, anew=True)
                if heir is not None:
                    try:
                        await self._give_up(term, f"node {heir.node_id} holds it at {place.text}", heir)
                    finally:
                        await heir.aclose()
                    return

    async def _give_up(self, term: OwnTerm, reason: str, heir: Term | None) -> None:
        # first: what runs here turns to the heir, before it could take the others for lost
        term.over.set_result(reason)
        counter, self._counter = self._counter, None
        if counter is not None:
            await counter.close()
        await term.close(reason, heir)

    # ---- leaving -----------------------------------------------------------------------------------------------------
    async def aclose(self) -> None:
        """Leave; a holder with others gives them what its desks keep, once one of them holds the hub. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._changed.set()
        async with self._opening:  # who looks for the hub now has found it by then, or given up
            self._cancel()
        term, self._term = self._term, None
        if isinstance(term, JoinedTerm):
            await self._say_goodbye(term)
        elif term is not None and not term.over.done():  # one that is over was handed over then
            await self._bequeath(term)

    async def _say_goodbye(self, term: JoinedTerm) -> None:
        if self._may_hold and not term.over.done():
            try:
                await term.desk(Guests).leave(self._node_id)
            except VykedError as error:
                self._log.debug("node %s could not be told goodbye: %s", term.node_id, error)
        await term.aclose()

    async def _bequeath(self, term: OwnTerm) -> None:
        has_heirs = bool(term.desk(Guests).heirs)
        counter, self._counter = self._counter, None
        if counter is not None:
            await counter.close()
        heir = None
        try:
            heir = await self._heir() if has_heirs else None
        except Exception:  # noqa: BLE001 - told; the desks are closed all the same, and say what is lost
            self._log.exception("looking for who takes over the hub failed")
        try:
            await term.close("the host stops", heir)
        finally:
            if heir is not None:
                await heir.aclose()

    async def _heir(self) -> JoinedTerm | None:
        until, attempt = self._clock.now() + self._heir_s, 0
        # its time alone would say nothing: it may have passed within one pause of a host that was held up
        while self._clock.now() < until or attempt < LOOKS:
            findings = await self._probe.look(self._places)
            decision = decide(findings, may_hold=False, can_bind=frozenset())
            if decision.action == "join" and decision.place is not None:
                heir = await self._probe.joined(decision.place)
                if heir is not None:
                    return heir
            attempt += 1
            await asyncio.sleep(self._again.delay(attempt, self._rng.random()))
        self._log.warning("nobody took over the hub within %g s", self._heir_s)
        return None


def _nothing() -> None:
    """Nothing runs yet."""
