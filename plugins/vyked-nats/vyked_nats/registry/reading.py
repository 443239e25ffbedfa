"""Reads the bucket: everything first, then what is written; anew after each loss of the connection, and now and then in any case."""

from __future__ import annotations

from collections.abc import Callable

from vyked_host import CallError
from vyked_host.contracts import Change, Environment

from ..jetstream.api import Api, Refused
from ..jetstream.delivery import place_of
from ..jetstream.follower import FORGOTTEN_S
from ..jetstream.reader import MOST_AT_ONCE, Reader
from ..jetstream.store import NS
from ..message import Message
from .bucket import ERA, OPERATION, Bucket
from .view import View

RECONCILED_S = 60.0
"""Everything is read again after so long, whatever was told of changes."""


class Reading:
    """`told` gets what watchers have to hear, `anew` is called when the registry is not the one before, `judge` with (node, kind of
    key, revision) of what was said of a node, or not said of it up to that revision."""

    def __init__(
        self, api: Api, bucket: Bucket, view: View, env: Environment, *, told: Callable[[tuple[Change, ...]], None],
        anew: Callable[[], None], judge: Callable[[str, str, int], None],
    ) -> None:  # fmt: skip
        self._api, self._bucket, self.view, self._env = api, bucket, view, env
        self._told, self._anew, self._judge = told, anew, judge
        self.reader = Reader(
            "the registry", bucket.stream, bucket, env, prepare=self._prepare, room=_room, got=self._got
        )
        self._made, self._next, self._again_at, self._was_away = "", 1, 0.0, False

    def left(self, cause: str) -> None:
        """There is no connection."""
        self._was_away = True
        self.reader.left(cause)

    @property
    def is_old(self) -> bool:
        """Is it time to read everything again?"""
        return self._env.clock.now() >= self._again_at

    async def _prepare(self) -> str:
        await self._bucket.look()
        self._again_at = self._env.clock.now() + RECONCILED_S
        name = f"reader+{self._env.rng.getrandbits(64):016x}"
        config = {
            "name": name, "ack_policy": "none", "mem_storage": True, "inactive_threshold": int(FORGOTTEN_S * NS),
            "deliver_policy": "last_per_subject", "filter_subject": f"{self._bucket.root}>", "num_replicas": 1,
        }  # fmt: skip
        body = {"stream_name": self._bucket.stream, "config": config}
        found = await self._api.ask(f"CONSUMER.CREATE.{self._bucket.stream}.{name}", body)
        old, self._made, self._next = self._made, name, 1
        if self.view.begin(self._bucket.epoch, interrupted=self._was_away):
            self._anew()
        self._was_away = False
        if old:
            self._env.tasks(self._forgotten(old), "registry: remove a consumer")
        if not found["num_pending"]:
            self._complete()
        return name

    async def _forgotten(self, consumer: str) -> None:
        try:
            await self._api.ask(f"CONSUMER.DELETE.{self._bucket.stream}.{consumer}")
        except (Refused, CallError) as error:  # the server forgets it by itself
            self._env.log.debug("consumer %s was not removed: %s", consumer, error)

    def _got(self, message: Message) -> None:
        place = place_of(message.reply)
        if place.consumer != self._made:
            return
        if place.number != self._next:  # one is missing
            self.reader.enter_again()
            return
        self._next += 1
        self._bucket.reaches(place.sequence)
        if message.subject == f"{self._bucket.root}{ERA}" and not self._is_of(message.data):
            self.reader.enter_again()
            return
        key = self._bucket.key_of(message.subject)
        if key is not None:
            is_deleted = bool(message.headers and message.headers.get(OPERATION)) or not message.data
            self._told(self.view.take(key, message.data, place.sequence, is_deleted=is_deleted))
            self._judge(key.node_id, key.kind, place.sequence)
        if not place.pending and not self.view.is_complete:
            self._complete()

    def _is_of(self, era: bytes) -> bool:
        """Is it the era of what is read here?"""
        state = self.view.sightings.state
        return state is not None and state.epoch == self._bucket.epoch_of(era.decode(errors="replace"))

    def _complete(self) -> None:
        missing, changes = self.view.complete()
        self._told(changes)
        if missing:
            self._env.tasks(self._missed(missing, self._bucket.last), "registry: who is missing")

    async def _missed(self, missing: dict[str, int], last: int) -> None:
        """Gone, or only between two heartbeats: what is written anew while everything is read comes after it, when that seemed to be all.
        So the server is asked who is there."""
        for node_id, revision in missing.items():
            try:
                life = await self._bucket.life(node_id)
            except (Refused, CallError, ValueError) as error:  # who is gone is silent, and found out by that
                self._env.log.debug("whether node %s is gone is not known: %s", node_id, error)
                continue
            seen = self.view.lives.get(node_id)
            if life is None and (seen is None or seen.revision == revision):
                self._told(self.view.gone(node_id))
                self._judge(node_id, "life", last)


def _room() -> int:
    return MOST_AT_ONCE
