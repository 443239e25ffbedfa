"""The registry's desk: a service like any other, at whoever holds the hub. It starts empty, with an epoch of its own.

Two streams: `hold`, whose end is the evidence that a node lost its connection, and `watch`. Every stream has a deadline, so the
desk ends both cleanly a moment before, and they are opened again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable

from ...catalog.state import Announced, Granted, Refused, Renewed, Rules, State, Swept, Updated, Withdrawn
from ...contracts import Environment, NodeRecord, Term
from ...errors import UsageError
from ...service.base import Service
from ...service.context import context
from ...service.decorators import api
from .admission import Admission
from .ledger import Ledger
from .messages import Answer, Held, Piece, Speaker

MARGIN_S = 5.0
"""How long before its deadline a stream is ended, and at most a tenth of it."""


class RegistryDesk(Service, name="vyked-registry", version="1.0.0"):
    """Knows the nodes of one mesh for one term of the hub."""

    def __init__(self, env: Environment | None = None) -> None:
        if env is None:
            raise UsageError("a registry needs the environment of its host")
        self._env, self._timing = env, env.timing
        rules = Rules(
            heartbeat_s=env.timing.heartbeat, lease_s=env.timing.lease, gone_after_s=env.timing.gone_after,
            sweep_s=env.timing.sweep,
        )  # fmt: skip
        state = State(
            namespace=env.namespace, epoch=env.rng.getrandbits(62), rules=rules, swept_at=env.clock.now()
        )  # fmt: skip
        self.ledger = Ledger(state, env.clock)
        self._admission = Admission(env.trust)
        self._stop_sweeping: Callable[[], None] | None = None

    # ---- contracts.Desk ----------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Begin to look at who is silent."""
        self._stop_sweeping = self._env.tasks(self._sweep(), "registry sweep")

    async def close(self, heir: Term | None) -> None:
        """The streams end. Nothing is handed over: all announce themselves to the next registry."""
        if self._stop_sweeping is not None:
            self._stop_sweeping()
        self.ledger.close()

    async def _sweep(self) -> None:
        interval, chance = self._timing.sweep, self._env.rng.random
        while True:
            await asyncio.sleep(interval)
            preserving, before = self.ledger.state.preserving, self.ledger.state.held_until
            self.ledger.step(Swept(interval=interval, chance=chance()))
            self._say(preserving, before)

    def _say(self, was_preserving: bool, was_held_until: float) -> None:
        state = self.ledger.state
        if state.preserving and not was_preserving:
            self._env.log.warning("so many nodes are silent that the fault may lie here: nobody is removed for silence")
        elif was_preserving and not state.preserving:
            self._env.log.warning("the nodes are heard again: who stays silent is removed")
        held_s = state.held_until - self._env.clock.now()
        if state.held_until > was_held_until and held_s > self._timing.heartbeat / 5:  # 1 s, as things are
            self._env.log.warning("this host was held up: nobody is removed for the next %.1f s", held_s)

    # ---- what nodes say ----------------------------------------------------------------------------------------------
    @api(priority="high")
    async def announce(self, record: NodeRecord, life: int) -> Answer:
        """A node wants to be known."""
        refused = self._kept_out(record.node_id, record) or self._kept(record)
        return refused or self._answer(self.ledger.step(Announced(record=record, life=life)))

    @api(priority="high")
    async def renew(self, speaker: Speaker) -> Answer:
        """A sign of life."""
        refused = self._kept_out(speaker.node_id)
        if refused is not None:
            return refused
        step = Renewed(node_id=speaker.node_id, generation=speaker.generation)
        return self._answer(self.ledger.step(step), speaker)

    @api(priority="high")
    async def update(self, speaker: Speaker, record: NodeRecord) -> Answer:
        """What a node says of itself changed."""
        if record.node_id != speaker.node_id:
            reason = f"node {speaker.node_id} can't speak for node {record.node_id}"
            return self._answer(Refused(node_id=speaker.node_id, reason=reason))
        step = Updated(generation=speaker.generation, record=record)
        refused = self._kept_out(speaker.node_id, record) or self._kept(record)
        return refused or self._answer(self.ledger.step(step), speaker)

    @api(priority="high")
    async def withdraw(self, speaker: Speaker) -> Answer:
        """A node leaves. One that is not known any more has left already."""
        refused = self._kept_out(speaker.node_id)
        step = Withdrawn(node_id=speaker.node_id, generation=speaker.generation)
        return refused or self._answer(self.ledger.step(step), speaker)

    def _kept_out(self, node_id: str, record: NodeRecord | None = None) -> Answer | None:
        """Who calls may not say this, whatever it is."""
        reason = self._admission.refusal(node_id, record, self.ledger.state.entries)
        if reason:
            self._env.log.warning("refused at the registry: %s", reason)
        return self._answer(Refused(node_id=node_id, reason=reason)) if reason else None

    def _kept(self, record: NodeRecord) -> Answer | None:
        reason = self.ledger.refusal(record)
        return self._answer(Refused(node_id=record.node_id, reason=reason)) if reason else None

    def _answer(self, outcome: Granted | Refused | None, speaker: Speaker | None = None) -> Answer:
        state, refused = self.ledger.state, outcome.reason if isinstance(outcome, Refused) else ""
        return Answer(
            epoch=state.epoch, revision=state.revision, heartbeat_s=self._timing.heartbeat, refused=refused,
            taken=bool(refused) and speaker is not None and self.ledger.is_taken(speaker),
            anew=bool(refused) and speaker is not None and self.ledger.is_anew(speaker),
            generation=outcome.generation if isinstance(outcome, Granted) else None,
        )  # fmt: skip

    # ---- streams -----------------------------------------------------------------------------------------------------
    @api(priority="high")
    async def hold(self, speaker: Speaker) -> AsyncIterator[Held]:
        """Open for as long as the node is connected. Says that the lease stands, and at its end why."""
        refused = self._admission.refusal(speaker.node_id, None, self.ledger.state.entries)
        if refused:
            yield Held(lost=refused)
            return
        hold, cleanly = self.ledger.hold(speaker), False
        try:
            if not hold.lost.done():
                yield Held()
            done, _ = await asyncio.wait({hold.lost}, timeout=time_left())
            lost = hold.lost.result() if done else None
            cleanly = lost is None
            if lost is not None:
                yield Held(lost=lost.reason, taken=lost.taken, anew=self.ledger.is_anew(speaker))
        finally:
            self.ledger.release(hold, cleanly=cleanly)

    @api(priority="high")
    async def watch(self, epoch: int, revision: int) -> AsyncIterator[Piece]:
        """What changed since `revision` of `epoch`, or everything; then each change."""
        watcher = self.ledger.watch(epoch, revision)
        until = _until(self._env.clock.now)
        try:
            while True:
                while pieces := watcher.next():
                    for piece in pieces:
                        yield piece
                rest = until - self._env.clock.now()
                if watcher.is_closed or rest <= 0 or not await watcher.changed(None if rest == math.inf else rest):
                    return
        finally:
            self.ledger.unwatch(watcher)


def time_left() -> float | None:
    """Seconds until the stream that runs now should be ended cleanly; None: it is a call inside this process."""
    try:
        remaining = context().remaining
    except UsageError:
        return None
    return None if remaining == math.inf else max(0.0, remaining - min(MARGIN_S, remaining / 10))


def _until(now: Callable[[], float]) -> float:
    left = time_left()
    return math.inf if left is None else now() + left
