"""What a reader of the bucket makes of its messages, in their order: `Sightings` of nodes whose life and record are both known."""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger
from typing import Any

import msgspec

from vyked_host.contracts import Change, NodeRecord, Sightings

from .bucket import Key, Life, life_in

_record = msgspec.msgpack.Decoder(NodeRecord).decode
_counter = msgspec.msgpack.Decoder(int).decode


class Seen(msgspec.Struct):
    """The life of a node, as it was written last."""

    life: Life
    revision: int

    @property
    def counter(self) -> int:
        """Of its generation."""
        return self.life.counter or self.revision


class View:
    """`sightings` has what was understood; `now` is the reader's clock."""

    def __init__(self, sightings: Sightings, now: Callable[[], float], log: Logger) -> None:
        self.sightings, self._now, self._log = sightings, now, log
        self.lives: dict[str, Seen] = {}
        self._records: dict[tuple[str, str], NodeRecord] = {}
        self._found: set[str] | None = None
        self._unread: set[str] = set()

    # ---- a look at everything ------------------------------------------------------------------------------------------
    def begin(self, epoch: int, *, interrupted: bool) -> bool:
        """All that is there comes now, from the oldest to the newest; `interrupted`: nothing was heard for a while. True: it is another
        registry than the one before."""
        state, self._found = self.sightings.state, set()
        if state is not None and state.epoch == epoch:
            if interrupted:
                self.sightings.interrupted(self._now())
            return False
        self.sightings.begin(epoch, self._now())
        self.lives, self._records = {}, {}
        return True

    @property
    def is_complete(self) -> bool:
        """Has everything come that was there?"""
        return self._found is None

    def complete(self) -> tuple[dict[str, int], tuple[Change, ...]]:
        """It has: who of those that were known was not there, and the last revision of each."""
        found, self._found = self._found or set(), None
        return {node_id: each.revision for node_id, each in self.lives.items() if node_id not in found}, self._gone([])

    def gone(self, node_id: str) -> tuple[Change, ...]:
        """It is there no more."""
        return self._gone([node_id])

    def snapshot(self) -> Change | None:
        """Everything that is known; None: not everything has come yet."""
        return self.sightings.snapshot() if self.is_complete else None

    # ---- messages --------------------------------------------------------------------------------------------------------
    def take(self, key: Key, value: bytes, revision: int, *, is_deleted: bool) -> tuple[Change, ...]:
        """One message."""
        try:
            if key.kind == "record":
                return self._record(key, value, is_deleted=is_deleted)
            if key.kind == "down":
                return () if is_deleted else self._down(key.node_id, _counter(value))
            return self._gone([key.node_id]) if is_deleted else self._life(key.node_id, life_in(value), revision)
        except ValueError as error:
            if key.node_id not in self._unread:
                self._unread.add(key.node_id)
                self._log.error(
                    "what the registry has of node %s can't be read and is left out: %s", key.node_id, error
                )
            return ()

    def _life(self, node_id: str, life: Life, revision: int) -> tuple[Change, ...]:
        self.lives[node_id] = Seen(life, revision)
        if self._found is not None:
            self._found.add(node_id)
        return self._told(node_id)

    def _record(self, key: Key, value: bytes, *, is_deleted: bool) -> tuple[Change, ...]:
        if is_deleted:
            self._records.pop((key.node_id, key.token), None)
            return ()
        record = _record(value)
        if record.node_id != key.node_id:
            raise ValueError(f"it is the record of {record.node_id!r}")
        self._records[key.node_id, key.token] = record
        return self._told(key.node_id)

    def _told(self, node_id: str) -> tuple[Change, ...]:
        seen = self.lives.get(node_id)
        record = None if seen is None else self._records.get((node_id, seen.life.token))
        if seen is None or record is None:
            return ()
        return self.sightings.seen(
            record, life=seen.life.life, counter=seen.counter, mark=seen.revision, now=self._now()
        )

    def _down(self, node_id: str, counter: int) -> tuple[Change, ...]:
        return self.sightings.down(node_id, counter, self._now())

    def _gone(self, node_ids: list[str]) -> tuple[Change, ...]:
        for node_id in node_ids:
            self.lives.pop(node_id, None)
            if self._found is not None:
                self._found.discard(node_id)
        kept: dict[Any, NodeRecord] = {key: each for key, each in self._records.items() if key[0] not in node_ids}
        self._records = kept
        return self.sightings.gone(node_ids, self._now())
