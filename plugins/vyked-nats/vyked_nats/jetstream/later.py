"""Jobs for later: they wait at a subject of their own, each held back at the server until it is due, and then go to their group under the
place they had there, so that doing it twice makes one. Whoever takes jobs of the queue sees to it; due is judged by its clock.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from vyked_host import CallError
from vyked_host.contracts import Consumer, Environment, MalformedEnvelope, unpack

from ..message import Message
from .api import Api, Refused
from .delivery import ACK, ID, place_of
from .member import Member, nak
from .names import Names, Topic, consumer_of_later
from .queues import Queues
from .reader import MOST_AT_ONCE, Reader
from .settling import Settling
from .store import Store

AFTER_ERROR_S = 1.0


class Later:
    """Of one queue."""

    def __init__(
        self, topic: Topic, *, names: Names, api: Api, store: Store, settling: Settling, queues: Queues, env: Environment,
        ack_wait_s: float,
    ) -> None:  # fmt: skip
        self.topic, self._names, self._api, self._settling, self._queues = topic, names, api, settling, queues
        self._env, self._ack_wait_s, self._moving = env, ack_wait_s, 0
        self._consumer = consumer_of_later(topic)
        self.reader = Reader(
            f"jobs for later of {topic}",
            names.events,
            store,
            env,
            prepare=self._prepare,
            room=self._room,
            got=self._got,
        )

    async def _prepare(self) -> str:
        self._queues.forget()  # it is asked for because it may be gone
        await self._queues.make(self.topic)
        return self._consumer

    def _room(self) -> int:
        return MOST_AT_ONCE - self._moving

    def _got(self, message: Message) -> None:
        wait_s = _due(message.data) - self._env.clock.unix()
        if wait_s > 0:
            self._hold(message, wait_s)
            return
        self._moving += 1
        self._env.tasks(self._due_now(message), f"nats: a job of {self.topic} is due")

    def _hold(self, message: Message, seconds: float) -> None:
        until = self._env.clock.now() + self._ack_wait_s
        self._settling.say(self._consumer, message.answer_to, nak(seconds), until)

    async def _due_now(self, message: Message) -> None:
        try:
            await self._move(message)
        except (Refused, CallError) as error:
            self._env.log.warning("a job of %s is due, and waits: %s", self.topic, error)
            self._hold(message, AFTER_ERROR_S)
        finally:
            self._moving -= 1
            self.reader.wake()

    async def _move(self, message: Message) -> None:
        sequence = place_of(message.reply).sequence
        await self._api.publish(self._names.kept(self.topic), message.data, {ID: f"later:{sequence}"})
        await self._settling.say(self._consumer, message.answer_to, ACK, inf)
        await self._api.ask(f"STREAM.MSG.DELETE.{self._names.events}", {"seq": sequence, "no_erase": True})


class Worker(Consumer):
    """Who takes jobs of a queue: a member of its group that also sees to those for later. `left` is told of the end."""

    def __init__(self, member: Member, later: Later, env: Environment, left: Callable[[Later], None]) -> None:
        self._member, self._later, self._env, self._left = member, later, env, left

    def pause(self) -> None:
        """Ask for nothing new."""
        self._later.reader.pause()
        self._member.pause()

    async def pending(self) -> int:
        """Jobs that are due and wait, or are with somebody. Raises Unavailable."""
        return await self._member.pending()

    async def aclose(self) -> None:
        """Leave. Idempotent."""
        self._left(self._later)
        await self._later.reader.aclose(self._env.timing.pong)
        await self._member.aclose()


def _due(data: bytes) -> float:
    """Seconds since 1970; what is no job is due at once, and its group makes a dead letter of it."""
    try:
        return unpack(data).not_before_unix_s or 0.0
    except MalformedEnvelope:
        return 0.0
