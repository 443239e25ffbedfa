"""The connection that listens: to changes, and to a channel for each lease, by which the server knows that its node is connected."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from logging import Logger

from ..line import Command
from ..server import Server


class Ears:
    """`heard` is called for each message on the first channel, and `there` with a channel once the server has subscribed it."""

    def __init__(
        self, changes: str, server: Server, log: Logger, heard: Callable[[], None], there: Callable[[str], None]
    ) -> None:
        self._server, self._log, self._heard, self._there = server, log, heard, there
        self._channels = [changes]
        self._commands: deque[Command] = deque()
        self._refused = False
        # in a Cluster a channel is as a key: at one node, the one to which this connection goes
        self._subscribe, self._unsubscribe = (
            ("SSUBSCRIBE", "SUNSUBSCRIBE") if server.is_cluster else ("SUBSCRIBE", "UNSUBSCRIBE")
        )

    def add(self, channel: str) -> None:
        """Listen to it too."""
        self._channels.append(channel)
        self._commands.append(((self._subscribe, channel), _Subscribed(self, channel)))

    def remove(self, channel: str) -> None:
        """No longer. Idempotent."""
        if channel in self._channels:
            self._channels.remove(channel)
            self._commands.append(((self._unsubscribe, channel), _Subscribed(self, "")))

    # ---- the connection ----------------------------------------------------------------------------------------------
    def take(self) -> Sequence[Command]:
        """What goes out in the next write."""
        commands, self._commands = self._commands, deque()
        return commands

    def joined(self) -> None:
        """There is a new connection: it knows of nothing yet."""
        self._commands = deque(((self._subscribe, each), _Subscribed(self, each)) for each in self._channels)

    def heard(self, _channel: bytes, _payload: bytes) -> None:
        """Something changed. What is said there is not needed: it is looked up."""
        self._heard()

    def answered(self, channel: str, reply: object) -> None:
        """The server has subscribed `channel`, or refused; changes are found without it, only later."""
        if isinstance(reply, Exception):
            if not self._refused:
                self._refused = True
                self._log.error("the registry is not told of changes: %s", self._server.words(reply))
        elif channel:
            self._there(channel)


class _Subscribed:
    """Waits for the reply to one command."""

    def __init__(self, ears: Ears, channel: str) -> None:
        self._ears, self._channel = ears, channel

    def answered(self, reply: object) -> None:
        """The server's answer."""
        self._ears.answered(self._channel, reply)

    def lost(self, cause: str) -> None:
        """The next connection subscribes again."""
