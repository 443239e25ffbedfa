"""Fan-out: a reader of one topic for the @subscribe handlers of this host. What came while there was no connection is read
afterwards; a handler is told of a gap only when it was away for longer than events are kept, or the stream is another one."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

from vyked_host import CallError
from vyked_host.contracts import Backlog, Environment, Event, MalformedEnvelope, parse, unpack

from ..message import Message
from .api import Api, Refused
from .delivery import place_of
from .names import Names, Topic
from .past import Past
from .reader import MOST_AT_ONCE, Reader
from .store import NS, Store

FORGOTTEN_S = 60.0
"""After so long without a host that reads it, the server forgets a reader's consumer."""


class Follower:
    """`start` says where it begins; `keep_s` how long events are kept at least. `replays`: it waits for its handler, so that
    nothing of what is replayed is dropped."""

    def __init__(
        self, topic: Topic, start: dict[str, Any], *, names: Names, api: Api, store: Store, past: Past, env: Environment,
        keep_s: float, queue: int, replays: bool,
    ) -> None:  # fmt: skip
        self._past, self._losses = past, len(past.losses)
        self.topic, self._start, self._keep_s = topic, start, keep_s
        self._names, self._api, self._store, self._env = names, api, store, env
        self._queue, self._replays = queue, replays
        self.backlogs: tuple[Backlog, ...] = ()
        self._last = self._next = 0
        self._made = self._created = ""
        self._away_since: float | None = None
        self.malformed: Counter[str] = Counter()
        self.reader = Reader(
            f"followers of {topic}", names.events, store, env, prepare=self._prepare, room=self._room, got=self._got
        )

    def left(self, cause: str) -> None:
        """There is no connection."""
        if self._away_since is None:
            self._away_since = self._env.clock.now()
        self.reader.left(cause)

    # ---- the consumer at the server ----------------------------------------------------------------------------------------
    async def _prepare(self) -> str:
        start = self._start
        if self._created:
            start = await self._where_it_was()
        old, name = self._made, f"follower+{secrets.token_hex(8)}"
        config = {
            "name": name, "ack_policy": "none", "mem_storage": True, "inactive_threshold": int(FORGOTTEN_S * NS),
            "filter_subject": self._names.kept(self.topic), "num_replicas": 1, **start,
        }  # fmt: skip
        body = {"stream_name": self._names.events, "config": config}
        found = await self._api.ask(f"CONSUMER.CREATE.{self._names.events}.{name}", body)
        if not self._created:
            self._last = int(found["delivered"]["stream_seq"])
            self._past.reaches((await self._api.ask(f"STREAM.INFO.{self._names.events}"))["state"])
        self._made, self._created, self._next, self._away_since = name, self._store.created, 1, None
        if old:
            self._env.tasks(self._removed(old), "nats: remove a consumer")
        return name

    async def _where_it_was(self) -> dict[str, Any]:
        """After the last event that came; where that can't be, handlers are told of a gap."""
        if self._store.created != self._created:
            self._missed()
            return {"deliver_policy": "all"}
        lost, self._losses = self._past.losses[self._losses :], len(self._past.losses)
        if lost:  # what is published now gets the places of what was lost
            self._missed()
            self._last = min(self._last, *(each.first - 1 for each in lost))
        away_since = self._away_since
        if away_since is not None and self._env.clock.now() - away_since >= self._keep_s:
            found = await self._api.ask(f"STREAM.INFO.{self._names.events}")
            if int(found["state"]["first_seq"]) > self._last + 1:
                self._missed()
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": self._last + 1}

    def _missed(self) -> None:
        for backlog in self.backlogs:
            backlog.missed()

    async def _removed(self, name: str) -> None:
        try:
            await self._api.ask(f"CONSUMER.DELETE.{self._names.events}.{name}")
        except (Refused, CallError):  # the server forgets it by itself
            self._env.log.debug("consumer %s was not removed", name, exc_info=True)

    # ---- what comes --------------------------------------------------------------------------------------------------------
    def _room(self) -> int:
        if not self._replays:
            return MOST_AT_ONCE
        return self._queue - max((each.waiting for each in self.backlogs), default=0)

    def _got(self, message: Message) -> None:
        place = place_of(message.reply)
        if place.number != self._next:  # of the consumer before, or one is missing: read again from the last that came
            if place.sequence > self._last and place.consumer == self._made:
                self.reader.enter_again()
            return
        self._next += 1
        self._last = place.sequence
        self._past.saw(place.sequence, message.reply)
        event = self._event(message)
        if event is not None:
            for backlog in self.backlogs:
                backlog.accept(event)

    def _event(self, message: Message) -> Event | None:
        try:
            event = unpack(message.data)
        except MalformedEnvelope as error:
            self._refused(error.kind, str(error))
            return None
        if Topic(event.service, parse(event.version).major, event.name) != self.topic:
            self._refused("of another topic", f"{event.service}.{event.name} {event.version}")
            return None
        return event

    def _refused(self, kind: str, what: str) -> None:
        self.malformed[kind] += 1
        if self.malformed[kind] == 1:
            self._env.log.error(
                "a message among the events of %s is refused, %s: %s; others of this kind are only counted",
                self.topic, kind, what,
            )  # fmt: skip

    # ---- the end -----------------------------------------------------------------------------------------------------------
    async def aclose(self) -> None:
        """Idempotent."""
        made, self._made = self._made, ""
        await self.reader.aclose(self._env.timing.pong)
        if made:
            await self._removed(made)
