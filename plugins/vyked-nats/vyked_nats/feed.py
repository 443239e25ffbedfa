"""Events that come in: one subject a topic, every @subscribe handler of this host behind it with a backlog of its own.

After each loss of the connection every subject is subscribed again, and every handler is told with its next delivery that it
missed an unknown number. What comes in and is no event is counted and logged once per kind; it ends nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from logging import Logger
from typing import NamedTuple

from vyked_host import PermissionDenied
from vyked_host.contracts import Backlog, MalformedEnvelope, unpack

from .connection import Connection, Subscription
from .kinds import Kinds
from .line import Line
from .lines import Lines
from .message import Message

WRONG_TOPIC = "of another topic"
DENIED = "permissions violation for subscription to"


class Topic(NamedTuple):
    """What a subject carries."""

    service: str
    major: int
    name: str


class Channel:
    """One topic on the server, and who listens to it here."""

    def __init__(self, subject: str, topic: Topic) -> None:
        self.subject, self.topic = subject, topic
        self.backlogs: tuple[Backlog, ...] = ()
        self.kinds = Kinds(*topic)
        self.confirmed = asyncio.Event()
        self.refused = ""
        self.handle: Subscription | None = None


class Feed:
    """The subscriptions of one host."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._channels: dict[str, Channel] = {}
        self._line: Line | None = None
        self._numbered: dict[bytes, Channel] = {}
        self._lines = Lines(self._numbered)
        self.malformed: Counter[str] = Counter()

    # ---- subscribing ---------------------------------------------------------------------------------------------------
    def add(self, subject: str, topic: Topic, backlog: Backlog) -> Channel:
        """From the next message on, `backlog` gets what comes on `subject`."""
        found = self._channels.get(subject)
        if found is None:
            found = self._channels[subject] = Channel(subject, topic)
            self._subscribe(found)
        found.backlogs = (*found.backlogs, backlog)
        return found

    def remove(self, subject: str, backlog: Backlog) -> None:
        """`backlog` gets nothing more. Idempotent."""
        found = self._channels.get(subject)
        if found is None or backlog not in found.backlogs:
            return
        found.backlogs = tuple(each for each in found.backlogs if each is not backlog)
        if not found.backlogs:
            del self._channels[subject]
            if self._line is not None:
                self._line.send(partial(self._unsubscribe, found))

    async def confirmed(self, channel: Channel, within: float) -> None:
        """Wait until the server has subscribed us. Raises PermissionDenied, TimeoutError."""
        async with asyncio.timeout(within):
            await channel.confirmed.wait()
        if channel.refused:
            text = f"no events of {channel.topic.service}.{channel.topic.name} come in: {channel.refused}"
            remedy = f"allow this user to subscribe to {channel.subject}"
            raise PermissionDenied(f"{text}; {remedy}", executed="not_executed")

    # ---- the connection ------------------------------------------------------------------------------------------------
    def joined(self, line: Line) -> None:
        """There is a new connection: it knows of nothing yet."""
        self._line = line
        self._forget_numbers()
        line.client.take_ahead(self._ahead)
        for channel in self._channels.values():
            self._subscribe(channel)

    def left(self, _cause: str) -> None:
        """The connection is gone, and with it what would have come."""
        self._line = None
        for channel in self._channels.values():
            channel.handle = None
            if channel.confirmed.is_set():
                channel.confirmed.clear()
                for backlog in channel.backlogs:
                    backlog.missed()

    def told(self, error: str) -> None:
        """The server reports an error: about a subject that we may not listen to, perhaps."""
        if DENIED not in error.lower():
            return
        for channel in self._channels.values():
            if f'"{channel.subject}"'.lower() in error.lower():
                channel.refused = error
                self._log.error("no events of %s.%s come in: %s", channel.topic.service, channel.topic.name, error)

    def _subscribe(self, channel: Channel) -> None:
        if self._line is None:
            return
        channel.refused = ""
        self._line.send(partial(self._listen, channel))
        self._line.echo(partial(_subscribed, channel))

    def _listen(self, channel: Channel, client: Connection) -> None:
        channel.handle = client.subscribe(channel.subject, partial(self._heard, channel))
        self._numbered[channel.handle.number] = channel

    def _unsubscribe(self, channel: Channel, _client: Connection) -> None:
        handle, channel.handle = channel.handle, None
        if handle is not None:
            handle.unsubscribe()
            self._numbered.pop(handle.number, None)
            self._lines.forget()

    def _forget_numbers(self) -> None:
        """Of a connection that is over."""
        self._numbered.clear()
        self._lines.forget()

    # ---- messages ------------------------------------------------------------------------------------------------------
    def _ahead(self, data: bytes) -> int:
        """What is nothing but events, many at once; answers how far that is."""
        end, found = self._lines.within(data)
        for channel, alike in found:
            self._take(channel, alike)
        return end

    def _heard(self, channel: Channel, message: Message) -> None:
        """One message."""
        self._take(channel, [message.data])

    def _take(self, channel: Channel, messages: list[bytes]) -> None:
        """Messages in the order in which they came. Never raises."""
        kinds = channel.kinds
        for packed in messages:
            try:
                event = unpack(packed)
            except MalformedEnvelope as error:
                self._malformed(channel, error.kind, str(error))
                continue
            kind = event.service, event.version, event.name
            if kind == kinds.last or kinds.takes(kind):
                for backlog in channel.backlogs:
                    backlog.accept(event)
            else:
                self._malformed(channel, WRONG_TOPIC, f"{event.service}.{event.name} {event.version}")

    def _malformed(self, channel: Channel, kind: str, what: str) -> None:
        self.malformed[kind] += 1
        if self.malformed[kind] == 1:
            self._log.error(
                "a message on subject %s is refused, %s: %s; others of this kind are only counted",
                channel.subject, kind, what,
            )  # fmt: skip


def _subscribed(channel: Channel, cause: str | None) -> None:
    if cause is None:
        channel.confirmed.set()
