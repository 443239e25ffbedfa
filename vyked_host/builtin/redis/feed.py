"""Events that come in: one channel a topic, every @subscribe handler of this host behind it with a backlog of its own.

After each loss of the connection every channel is subscribed again, and every handler is told with its next delivery
that it missed an unknown number. What comes in and is no event is counted and logged once per kind; it ends nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from logging import Logger
from typing import NamedTuple

from redis.exceptions import NoPermissionError

from ...contracts import Event
from ...errors import PermissionDenied, Unavailable
from ...model.version import parse
from ...routing.backlog import Backlog
from ...wire.envelope import MalformedEnvelope, unpack
from .line import Command
from .server import Server

WRONG_TOPIC = "of another topic"
TOO_LARGE = "too large"


class Topic(NamedTuple):
    """What a channel carries."""

    service: str
    major: int
    name: str


class _Channel:
    """One topic on the server, and who listens to it here."""

    def __init__(self, name: str, topic: Topic, feed: Feed) -> None:
        self.name, self.topic, self._feed = name, topic, feed
        self.backlogs: tuple[Backlog, ...] = ()
        self.confirmed = asyncio.Event()
        self.refused: Exception | None = None

    def answered(self, reply: object) -> None:
        """The server's answer to SUBSCRIBE."""
        self.refused = reply if isinstance(reply, Exception) else None
        if self.refused is not None:
            self._feed.refused(self)
        self.confirmed.set()

    def lost(self, cause: str) -> None:
        """The next connection subscribes again."""


class _Unsubscribed:
    """Nobody waits to hear that a channel was left."""

    def answered(self, reply: object) -> None: ...

    def lost(self, cause: str) -> None: ...


class Feed:
    """The subscriptions of one host. `largest` is in bytes of a packed event."""

    def __init__(self, server: Server, log: Logger, largest: int) -> None:
        self._server, self._log, self._largest = server, log, largest
        self._channels: dict[bytes, _Channel] = {}
        self._commands: deque[Command] = deque()
        self.malformed: Counter[str] = Counter()

    # ---- subscribing ---------------------------------------------------------------------------------------------------
    def add(self, channel: str, topic: Topic, backlog: Backlog) -> _Channel:
        """From the next message on, `backlog` gets what comes on `channel`."""
        found = self._channels.get(channel.encode())
        if found is None:
            found = self._channels[channel.encode()] = _Channel(channel, topic, self)
            self._commands.append((("SUBSCRIBE", channel), found))
        found.backlogs = (*found.backlogs, backlog)
        return found

    def remove(self, channel: str, backlog: Backlog) -> None:
        """`backlog` gets nothing more. Idempotent."""
        found = self._channels.get(channel.encode())
        if found is None or backlog not in found.backlogs:
            return
        found.backlogs = tuple(each for each in found.backlogs if each is not backlog)
        if not found.backlogs:
            del self._channels[channel.encode()]
            self._commands.append((("UNSUBSCRIBE", channel), _Unsubscribed()))

    async def confirmed(self, channel: _Channel, within: float) -> None:
        """Wait until the server has subscribed us. Raises PermissionDenied, Unavailable, TimeoutError."""
        async with asyncio.timeout(within):
            await channel.confirmed.wait()
        if isinstance(channel.refused, NoPermissionError):
            remedy = "ACL SETUSER <user> +subscribe +unsubscribe +ping &<prefix>:* lets this user listen"
            raise PermissionDenied(f"{self._refusal(channel)}; {remedy}", executed="not_executed")
        if channel.refused is not None:
            raise Unavailable(self._refusal(channel), executed="not_executed")

    def refused(self, channel: _Channel) -> None:
        """The server does not let us listen; handlers of the channel get nothing until it does."""
        self._log.error("%s", self._refusal(channel))

    def _refusal(self, channel: _Channel) -> str:
        words = self._server.words(channel.refused) if channel.refused is not None else ""
        return f"no events of {channel.topic.service}.{channel.topic.name} come in: {words}"

    # ---- the connection ------------------------------------------------------------------------------------------------
    def take(self) -> Sequence[Command]:
        """What goes out in the next write."""
        commands, self._commands = self._commands, deque()
        return commands

    def joined(self) -> None:
        """There is a new connection: it knows of nothing yet."""
        self._commands = deque((("SUBSCRIBE", each.name), each) for each in self._channels.values())

    def left(self, _cause: str) -> None:
        """The connection is gone, and with it what would have come."""
        for channel in self._channels.values():
            if channel.confirmed.is_set():
                channel.confirmed.clear()
                for backlog in channel.backlogs:
                    backlog.missed()

    # ---- messages ------------------------------------------------------------------------------------------------------
    def heard(self, channel: bytes, payload: bytes) -> None:
        """One message. Never raises."""
        found = self._channels.get(channel)
        if found is None:  # left a moment ago
            return
        event = self._event(found, payload)
        if event is not None:
            for backlog in found.backlogs:
                backlog.accept(event)

    def _event(self, channel: _Channel, payload: bytes) -> Event | None:
        if len(payload) > self._largest:
            self._malformed(channel, TOO_LARGE, f"{len(payload)} bytes; {self._largest} are the most")
            return None
        try:
            event = unpack(payload)
        except MalformedEnvelope as error:
            self._malformed(channel, error.kind, str(error))
            return None
        if Topic(event.service, parse(event.version).major, event.name) != channel.topic:
            self._malformed(channel, WRONG_TOPIC, f"{event.service}.{event.name} {event.version}")
            return None
        return event

    def _malformed(self, channel: _Channel, kind: str, what: str) -> None:
        self.malformed[kind] += 1
        if self.malformed[kind] == 1:
            self._log.error(
                "a message on channel %s is refused, %s: %s; others of this kind are only counted", channel.name, kind, what
            )  # fmt: skip
