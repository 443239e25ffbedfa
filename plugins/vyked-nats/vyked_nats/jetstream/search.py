"""Finds where a subscription begins; an event of a topic by its id: reads the names of all that the stream has of it, without their
contents."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from vyked_host import NotSupported, Unavailable
from vyked_host.contracts import Environment, Subscription, is_queue

from ..line import Line
from ..message import Message
from .api import Api, Refused
from .delivery import ID, place_of
from .names import Names, Topic
from .queues import ALL
from .reader import MOST_AT_ONCE, Reader
from .since import after, beginning
from .store import NS, Store

FORGOTTEN_S = 5.0


class Search:
    """One search. Raises NotSupported where there is no such event, and what Api raises."""

    def __init__(self, topic: Topic, event_id: str, *, names: Names, api: Api, store: Store, env: Environment) -> None:
        self._topic, self._id, self._names, self._api = topic, event_id, names, api
        self._wanted = f"{topic.subject}:{event_id}"
        self._pong_s = env.timing.pong
        self._found: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._reader = Reader(
            f"search for {event_id} of {topic}", names.events, store, env, prepare=self._prepare,
            room=lambda: MOST_AT_ONCE, got=self._got,
        )  # fmt: skip

    async def sequence(self, line: Line) -> int:
        """Its place in the stream."""
        self._reader.begin(line)
        try:
            await self._reader.entered
            found = await self._found
        finally:
            await self._reader.aclose(self._pong_s)
        if found is None:
            text = f"from_={self._id!r} is no time, and no event of this id is in the stream of {self._topic} any more"
            raise NotSupported(f"{text}: write seq:N, milliseconds since 1970 or an ISO 8601 time")
        return found

    async def _prepare(self) -> str:
        name = f"search+{secrets.token_hex(8)}"
        config = {
            "name": name, "ack_policy": "none", "mem_storage": True, "inactive_threshold": int(FORGOTTEN_S * NS),
            "deliver_policy": "all", "headers_only": True, "filter_subject": self._names.kept(self._topic), "num_replicas": 1,
        }  # fmt: skip
        body = {"stream_name": self._names.events, "config": config}
        told = await self._api.ask(f"CONSUMER.CREATE.{self._names.events}.{name}", body)
        if not told["num_pending"]:
            self._end(None)
        return name

    def _got(self, message: Message) -> None:
        place = place_of(message.reply)
        if message.headers is not None and message.headers.get(ID) == self._wanted:
            self._end(place.sequence)
        elif not place.pending:
            self._end(None)

    def _end(self, found: int | None) -> None:
        if not self._found.done():
            self._found.set_result(found)


async def start_of(
    wanted: Subscription, line: Callable[[], Line], *, names: Names, api: Api, store: Store, env: Environment
) -> dict[str, Any]:
    """Where it begins, in words of JetStream: a group takes all jobs that there are. Raises NotSupported where that can't be found,
    Unavailable."""
    found = beginning(wanted.since)
    if found is not None:
        return ALL if wanted.since is None and wanted.group is not None and is_queue(wanted.name) else found
    topic = Topic(wanted.service, wanted.major, wanted.name)
    search = Search(topic, str(wanted.since), names=names, api=api, store=store, env=env)
    try:
        async with asyncio.timeout(env.timing.start):
            await store.make()
            return after(await search.sequence(line()))
    except (Refused, TimeoutError) as error:
        text = f"{topic} can't be subscribed: the event {wanted.since} was not found in time: {error}"
        raise Unavailable(text, executed="not_executed") from None
