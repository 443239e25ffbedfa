"""Dead letters: what the handlers of a group gave up on, until somebody forgets it or brings it back."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from vyked_host.contracts import Event, MalformedEnvelope, Subscription, unpack

from .api import NO_MESSAGE, Api, Refused
from .delivery import ID, place_of, time_of
from .names import Names
from .store import Store


class _Content(msgspec.Struct, array_like=True, frozen=True):
    """What a message of the stream of letters holds: a msgpack array, version first. `origin` is the sequence that the event
    had, and `stored` when it got that (nanoseconds, by the server's clock): one that loses its end gives places again."""

    v: int
    origin: int
    deliveries: int
    cause: str
    packed: bytes
    stored: int = 0


class Letter(NamedTuple):
    """One dead letter, and its sequence in the stream of letters, with the time when it got that."""

    sequence: int
    written: str
    content: _Content


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Content).decode


class Letters:
    """All dead letters of one mesh. Raises what Api raises."""

    def __init__(self, api: Api, store: Store, names: Names) -> None:
        self._api, self._store, self._names = api, store, names

    async def bury(self, subject: str, reply: str, deliveries: int, cause: str, packed: bytes) -> None:
        """One more, which was acknowledged by `reply`. Doing it twice makes one."""
        origin, stored = place_of(reply).sequence, time_of(reply)
        content = _Content(1, origin, deliveries, cause, packed, stored)
        await self._api.publish(subject, _encode(content), {ID: f"{subject}:{origin}:{stored}"})

    async def boxes(self) -> dict[str, int]:
        """How many each subject has."""
        await self._store.make()
        body = {"subjects_filter": self._names.all_dead}
        found = await self._api.ask(f"STREAM.INFO.{self._names.letters}", body)
        return dict(found["state"].get("subjects") or {})

    async def letterboxes(self) -> list[tuple[Subscription, int]]:
        """Each group that has some, and how many."""
        found = [(self._names.told(subject), count) for subject, count in (await self.boxes()).items()]
        return [
            (Subscription(service=topic.service, major=topic.major, name=topic.name, group=group, member=""), count)
            for (topic, group), count in found
        ]

    async def of(self, subject: str) -> AsyncIterator[Letter]:
        """Those of one subject, oldest first."""
        await self._store.make()
        sequence = 1
        while True:
            body = {"seq": sequence, "next_by_subj": subject}
            try:
                found = await self._api.ask(f"STREAM.MSG.GET.{self._names.letters}", body)
            except Refused as error:
                if error.number != NO_MESSAGE:
                    raise
                return
            sequence = int(found["message"]["seq"]) + 1
            letter = _opened(found["message"])
            if letter is not None:
                yield letter

    async def events(self, subject: str) -> AsyncIterator[tuple[Event, str, int]]:
        """(event, cause, deliveries) of each that is one."""
        async for letter in self.of(subject):
            event = event_in(letter)
            if event is not None:
                yield event, letter.content.cause, letter.content.deliveries

    async def discard(self, event_id: str, *, replay: bool, group: str | None) -> None:
        """Forget an event in every group, or in that one, or bring it back with its count at 0. Raises KeyError when none has it."""
        found = False
        for subject in await self.boxes():
            topic, whose = self._names.told(subject)
            if group not in (None, whose):
                continue
            # all first: what is brought back may be a dead letter again before the last was looked at
            for letter in [each async for each in self.of(subject) if _has(each, event_id)]:
                if replay:
                    again = {ID: f"again:{subject}:{letter.sequence}:{letter.written}"}
                    await self._api.publish(self._names.again(topic, whose), letter.content.packed, again)
                found |= await self._forget(letter)
        if not found:
            raise KeyError(event_id)

    async def take_back(self, subject: str, reply: str) -> None:
        """What became a dead letter of the event that was acknowledged by `reply` was handled after all."""
        event = place_of(reply).sequence, time_of(reply)
        async for letter in self.of(subject):
            if (letter.content.origin, letter.content.stored) == event:
                await self._forget(letter)

    async def _forget(self, letter: Letter) -> bool:
        try:
            await self._api.ask(f"STREAM.MSG.DELETE.{self._names.letters}", {"seq": letter.sequence, "no_erase": True})
        except Refused as error:
            if error.number not in (NO_MESSAGE, NOT_FOUND):
                raise
            return False
        return True


NOT_FOUND = 10043
"""Message delete failed, for there is none."""


def _opened(message: dict[str, Any]) -> Letter | None:
    """None: it was put there by somebody else."""
    try:
        return Letter(int(message["seq"]), str(message["time"]), _decode(base64.b64decode(message.get("data") or "")))
    except (ValueError, msgspec.MsgspecError):
        return None


def _has(letter: Letter, event_id: str) -> bool:
    event = event_in(letter)
    return event is not None and event.id == event_id


def event_in(letter: Letter) -> Event | None:
    """The event in it; None: it is none that could be read, and only its bytes are kept."""
    try:
        return unpack(letter.content.packed)
    except MalformedEnvelope:
        return None
