"""The registry's state with its holder: carries out steps, wakes watchers, knows which nodes are connected."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

import msgspec

from ...catalog.query import snapshot
from ...catalog.reduce import reduce
from ...catalog.state import Disconnected, Effect, Granted, Lost, Refused, Renewed, State, Step, Told
from ...contracts import Change, Clock, Generation, NodeRecord
from .messages import Piece, Speaker

BEHIND = 64
"""Changes that wait for one watcher; with more it gets a snapshot instead, so a stopped one costs no memory."""
REMEMBERED = 512
"""Changes that a watcher who was away for a moment can still be told one by one."""
PIECE_BYTES = 256 << 10
"""Bytes of records in one message, and of one record at most."""
NODES = 10_000
"""Nodes that one registry takes."""


class Watcher:
    """One watch: what it missed or a snapshot first, then deltas; whoever falls behind gets a snapshot again."""

    def __init__(self, ledger: Ledger, position: int, missed: Iterable[Change] | None) -> None:
        self._ledger, self._position = ledger, position
        self._behind = missed is None
        self._waiting = deque(missed or ())
        self._wake = asyncio.Event()
        self.is_closed = False

    def tell(self, change: Change) -> None:
        """One more change; never blocks."""
        if not self._behind:
            self._waiting.append(change)
            if len(self._waiting) > BEHIND:
                self._waiting.clear()
                self._behind = True
        self._wake.set()

    def close(self) -> None:
        """The watch ends after what waits."""
        self.is_closed = True
        self._wake.set()

    def next(self) -> list[Piece]:
        """The next change in pieces; empty: none waits."""
        if self._behind:
            self._behind = False
            return self._said(self._ledger.snapshot())
        return self._said([self._waiting.popleft()]) if self._waiting else []

    def _said(self, parts: list[Change]) -> list[Piece]:
        since, self._position = self._position, parts[-1].revision
        whole = [part for change in parts for part in ([change] if change.snapshot else cut(change))]
        return [Piece(change=part, since=since, last=part is whole[-1]) for part in whole]

    async def changed(self, within_s: float | None) -> bool:
        """Wait until there may be something; False: nothing came within `within_s` seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True


class Hold:
    """One open connection of a node. `lost` resolves when its lease is over."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.lost: asyncio.Future[Lost | None] = asyncio.get_running_loop().create_future()

    def resolve(self, lost: Lost | None) -> None:
        """The lease is over (None: the registry closes)."""
        if not self.lost.done():
            self.lost.set_result(lost)


class Ledger:
    """One registry from its first word to its last."""

    def __init__(self, state: State, clock: Clock) -> None:
        self.state, self._clock = state, clock
        self._holds: dict[Generation, set[Hold]] = {}
        self._watchers: set[Watcher] = set()
        self._log: deque[Change] = deque(maxlen=REMEMBERED)
        self._snapshot: list[Change] = []
        self._closed = False

    # ---- steps -------------------------------------------------------------------------------------------------------
    def step(self, step: Step) -> Granted | Refused | None:
        """Carry out `step`; what to tell who asked for it."""
        self.state, effects = reduce(self.state, step, self._clock.now())
        for effect in effects:
            self._carry_out(effect)
        return next((effect for effect in effects if isinstance(effect, Granted | Refused)), None)

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Told):
            self._log.append(effect.change)
            for watcher in self._watchers:
                watcher.tell(effect.change)
        elif isinstance(effect, Lost):
            for hold in self._holds.pop(effect.generation, ()):
                hold.resolve(effect)

    def refusal(self, record: NodeRecord) -> str:
        """Why `record` can't be kept at all; empty: it can."""
        if record.node_id not in self.state.entries and len(self.state.entries) >= NODES:
            return f"this registry knows {NODES} nodes, which is all it takes"
        size = len(msgspec.msgpack.encode(record))
        if size > PIECE_BYTES:
            return f"the record of node {record.node_id} has {size} bytes, a registry takes {PIECE_BYTES}"
        return ""

    def is_taken(self, speaker: Speaker) -> bool:
        """Has another process the node id of `speaker` now?"""
        entry = self.state.entries.get(speaker.node_id)
        return entry is not None and entry.generation != speaker.generation and entry.life != speaker.life

    def is_anew(self, speaker: Speaker) -> bool:
        """Has the registry started anew since `speaker` was announced?"""
        return speaker.generation.epoch != self.state.epoch

    # ---- connections of nodes ----------------------------------------------------------------------------------------
    def hold(self, speaker: Speaker) -> Hold:
        """A node is connected: a sign of life. A lease that is over already resolves at once."""
        hold = Hold(speaker)
        answer = self.step(Renewed(node_id=speaker.node_id, generation=speaker.generation))
        if isinstance(answer, Refused):
            hold.resolve(
                Lost(
                    node_id=speaker.node_id, generation=speaker.generation, reason=answer.reason,
                    taken=self.is_taken(speaker),
                )
            )  # fmt: skip
        else:
            self._holds.setdefault(speaker.generation, set()).add(hold)
        return hold

    def release(self, hold: Hold, *, cleanly: bool) -> None:
        """It is connected no longer. Unless that was agreed (`cleanly`), the last connection of a node is evidence."""
        generation = hold.speaker.generation
        holds = self._holds.get(generation, set())
        holds.discard(hold)
        if holds:
            return
        self._holds.pop(generation, None)
        if not cleanly and not self._closed:
            self.step(Disconnected(node_id=hold.speaker.node_id, generation=generation))

    # ---- watches -----------------------------------------------------------------------------------------------------
    def watch(self, epoch: int, revision: int) -> Watcher:
        """A watch of somebody who knows `revision` of `epoch`."""
        watcher = Watcher(self, revision, self._missed(revision) if epoch == self.state.epoch else None)
        if self._closed:
            watcher.close()
        self._watchers.add(watcher)
        return watcher

    def _missed(self, revision: int) -> list[Change] | None:
        missed = [change for change in self._log if change.revision > revision]
        complete = len(missed) == self.state.revision - revision and len(missed) <= BEHIND
        return missed if complete else None

    def unwatch(self, watcher: Watcher) -> None:
        """`watcher` wants to be told nothing more."""
        self._watchers.discard(watcher)

    def snapshot(self) -> list[Change]:
        """Everything that is known, in parts; made once a revision."""
        if not self._snapshot or self._snapshot[-1].revision != self.state.revision:
            self._snapshot = cut(snapshot(self.state))
        return self._snapshot

    def close(self) -> None:
        """Streams end; nothing that ends now is evidence. Idempotent."""
        self._closed = True
        for holds in self._holds.values():
            for hold in holds:
                hold.resolve(None)
        for watcher in self._watchers:
            watcher.close()


def cut(change: Change) -> list[Change]:
    """`change` in parts of at most `PIECE_BYTES` bytes of records each; what is gone is told with the first."""
    parts: list[list[tuple[Generation, NodeRecord]]] = [[]]
    room = PIECE_BYTES
    for pair in change.nodes:
        size = len(msgspec.msgpack.encode(pair))
        if size > room and parts[-1]:
            parts.append([])
            room = PIECE_BYTES
        parts[-1].append(pair)
        room -= size
    return [_part(change, nodes, first=nodes is parts[0]) for nodes in parts]


def _part(change: Change, nodes: list[tuple[Generation, NodeRecord]], *, first: bool) -> Change:
    doubts = {record.node_id: change.doubts[record.node_id] for _, record in nodes if record.node_id in change.doubts}
    return msgspec.structs.replace(change, nodes=tuple(nodes), doubts=doubts, gone=change.gone if first else ())
