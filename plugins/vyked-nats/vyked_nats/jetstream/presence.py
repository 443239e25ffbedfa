"""Which groups have members: for each of its own a host listens to a subject for as long as it is connected, and who asks where nobody
listens is told so at once. The consumer at the server can't say: what a member had in hand when it was killed counts there for ever.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from vyked_host import Unavailable

from ..connection import Connection, Subscription
from ..line import Line
from ..message import Message
from .api import NO_RESPONDERS, Api, Refused

HERE = b"{}"


class Presence:
    """Of the members of one host, by the subject of their group; and the question whether others have any."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._members: Counter[str] = Counter()
        self._heard: dict[str, Subscription] = {}
        self._line: Line | None = None

    def joined(self, line: Line) -> None:
        """There is a connection."""
        self._line = line
        for subject in self._members:
            line.send(partial(self._listen, subject))

    def left(self) -> None:
        """There is none."""
        self._line = None
        self._heard.clear()

    def enter(self, subject: str) -> None:
        """A group has one member more, who subscribes over this connection later."""
        self._members[subject] += 1
        if self._line is not None and self._members[subject] == 1:
            self._line.send(partial(self._listen, subject))

    def leave(self, subject: str) -> None:
        """It has one less."""
        self._members[subject] -= 1
        if self._members[subject] <= 0:
            del self._members[subject]
            if self._line is not None:
                self._line.send(partial(self._no_more, subject))

    async def is_there(self, subject: str) -> bool:
        """Has the group a member anywhere? Who stands still and can't answer is one. Raises what Api raises but Unavailable."""
        try:
            await self._api.publish(subject, b"")
        except Refused as error:
            if error.number != NO_RESPONDERS:
                raise
            return False
        except Unavailable as error:
            if error.executed != "unknown":
                raise
        return True

    # ---- over the connection -----------------------------------------------------------------------------------------------
    def _listen(self, subject: str, client: Connection) -> None:
        if subject in self._members and subject not in self._heard:
            self._heard[subject] = client.subscribe(subject, self._asked)

    def _no_more(self, subject: str, _client: Connection) -> None:
        if subject not in self._members and (heard := self._heard.pop(subject, None)) is not None:
            heard.unsubscribe()

    def _asked(self, message: Message) -> None:
        if self._line is not None and message.reply:
            self._line.client.publish(message.reply, HERE)
