"""Is the stream what it was? A machine that loses power, or an older copy of its disk, brings a stream back without its end
(docs/nats.md), and what is published then gets the places of what was lost. Who does not notice goes wrong in silence: a reader whose place
is beyond the end skips what comes there, and what is said of a lost event is said of the new one in its place.

So a host remembers the last that it saw of the stream, and looks at each new connection, before it goes on, whether that is still there.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from logging import Logger
from typing import Any, NamedTuple

from .api import NO_MESSAGE, Api, Refused
from .delivery import ID, place_of, time_of
from .names import Names

HEADER = f"{ID}: ".encode()
ACK = "$JS.ACK."
NS = 1_000_000_000


class Loss(NamedTuple):
    """A loss that was noticed: from the place `first` on there is nothing that was stored up to `until` (nanoseconds since 1970, by the
    clock of the server)."""

    first: int
    until: int

    def has(self, reply: str) -> bool:
        """Is the event lost that is acknowledged by this subject?"""
        return place_of(reply).sequence >= self.first and time_of(reply) <= self.until


class Seen(NamedTuple):
    """The last that came, with what says when it was stored; and the last that was published here, with its id. 0: none."""

    read: int
    mark: str
    published: int
    known_by: str


class Past:
    """Of one host and stream. `losses` are those that were noticed, in their order. Raises what Api raises."""

    def __init__(self, api: Api, names: Names, log: Logger, noticed: Callable[[Loss], None]) -> None:
        self._api, self._names, self._log, self._noticed = api, names, log, noticed
        self._read, self._mark = 0, ""
        self._published, self._known_by = 0, ""
        self.losses: list[Loss] = []
        self.came: dict[str, bytes] = {}
        """By consumer, the subject to acknowledge the last by that came from it for the first time: looked at when somebody asks."""

    # ---- what was seen -----------------------------------------------------------------------------------------------------
    def saw(self, sequence: int, reply: str) -> None:
        """An event came from this place, with this subject to acknowledge it by."""
        if sequence > self._read:
            self._read, self._mark = sequence, reply

    def reaches(self, state: dict[str, Any]) -> None:
        """The stream has come so far, as the server says of it."""
        if int(state["last_seq"]) > self._read:
            self._read, self._mark = int(state["last_seq"]), str(state["last_ts"])

    def kept(self, sequence: int, known_by: str) -> None:
        """An event that this host published is at this place, under this id."""
        if sequence > self._published:
            self._published, self._known_by = sequence, known_by

    def forget(self) -> None:
        """It is another stream."""
        self._read = self._published = 0
        self.came.clear()

    # ---- and whether it is still there -------------------------------------------------------------------------------------
    @property
    def seen(self) -> Seen:
        """How far it has been seen to reach, to be asked for before the server is."""
        for answer_to in self.came.values():
            reply = answer_to.decode()
            self.saw(place_of(reply).sequence, reply)
        return Seen(self._read, self._mark, self._published, self._known_by)

    async def look(self, seen: Seen, state: dict[str, Any]) -> None:
        """See whether the stream, of which the server says `state`, is what it was."""
        await self._compare(seen, int(state["last_seq"]))
        self.reaches(state)

    async def _compare(self, seen: Seen, last: int) -> None:
        is_read, is_published = await self._is_read_there(seen, last), await self._is_published_there(seen, last)
        if is_read and is_published:
            return
        if not is_read:
            until = _stored(seen.mark)
            loss = Loss(await self._first_after(until, last), until)
            self.losses.append(loss)
            self._noticed(loss)
        self.forget()
        self._log.error(
            "stream %s has lost its end, and reaches to %d now, where this host had seen it reach to %d: events that were accepted are "
            "gone, as after a power failure of a server without sync_interval: always, or a restored copy (docs/nats.md, what an "
            "acknowledgement is worth). Handlers of @subscribe are told of a gap; what is still there goes on",
            self._names.events, last, max(seen.read, seen.published),
        )  # fmt: skip

    async def _is_read_there(self, seen: Seen, last: int) -> bool:
        found = await self._still(seen.read, last)
        return found if isinstance(found, bool) else nanoseconds(found["time"]) == _stored(seen.mark)

    async def _is_published_there(self, seen: Seen, last: int) -> bool:
        found = await self._still(seen.published, last)
        return found if isinstance(found, bool) else _known_by(found) in ("", seen.known_by)

    async def _still(self, sequence: int, last: int) -> bool | dict[str, Any]:
        """What is there at a place; True: what was there may have been taken out since."""
        if not sequence:
            return True
        if sequence > last:
            return False
        try:
            found: dict[str, Any] = (await self._message({"seq": sequence}))["message"]
        except Refused as error:
            if error.number != NO_MESSAGE:
                raise
            return True
        return found

    async def _first_after(self, until: int, last: int) -> int:
        """The place of the first message that was stored later, or of the next that will be."""
        low, high = 1, last + 1
        while low < high:
            middle = (low + high) // 2
            try:
                found = (await self._message({"seq": middle, "next_by_subj": ">"}))["message"]
            except Refused as error:
                if error.number != NO_MESSAGE:
                    raise
                high = middle
                continue
            if nanoseconds(found["time"]) > until:
                high = middle
            else:
                low = int(found["seq"]) + 1
        return low

    async def _message(self, body: dict[str, Any]) -> Any:
        return await self._api.ask(f"STREAM.MSG.GET.{self._names.events}", body)


def nanoseconds(time: str) -> int:
    """Since 1970, of a time as the server writes it: RFC 3339 with up to nine digits of a second."""
    whole, _, rest = time.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * NS + int(rest.ljust(9, "0") or 0)


def _stored(mark: str) -> int:
    return time_of(mark) if mark.startswith(ACK) else nanoseconds(mark)


def _known_by(message: dict[str, Any]) -> str:
    """Under which id a message was published; "": it does not say."""
    for line in base64.b64decode(message.get("hdrs") or "").split(b"\r\n"):
        if line.startswith(HEADER):
            return line.removeprefix(HEADER).decode(errors="replace")
    return ""
