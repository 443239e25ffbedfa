"""How events go out: each under its id, by which the server knows it again, and each is confirmed by itself once it is kept. What was
not answered before its connection broke goes out again over the next one, and is kept once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from vyked_host import CallError, Overloaded, PermissionDenied, TooLarge, Unavailable

from ..line import Line, NoAnswer
from ..message import Message, block, one_line
from ..outbox import RETRY_AFTER_S, Outbox, Outgoing
from .api import NO_RESPONDERS, STREAM_IS_FULL, Refused, parsed
from .delivery import ID

TOO_LARGE = 10054
_HEAD = block(f"{ID}: %b\r\n".encode())


class Stored:
    """`carrier` of an Outbox. `absent` is called when there is no stream that takes the event, `kept` with the place and the id of one
    that is kept."""

    def __init__(self, absent: Callable[[], None], kept: Callable[[int, str], None]) -> None:
        self._absent, self._kept = absent, kept

    def carry(self, line: Line, batch: list[Outgoing], outbox: Outbox) -> None:
        """Publish `batch`."""
        sent = []
        for event in batch:
            to, head, packed = event.to, _HEAD % one_line(event.id).encode(), event.packed
            reply, size = line.expect(to, partial(self._answered, event, outbox)), len(head)
            sent.append(b"HPUB %b %b %d %d\r\n%b%b\r\n" % (to, reply, size, size + len(packed), head, packed))
        line.client.send_all(sent)

    def _answered(self, event: Outgoing, outbox: Outbox, answer: Message | NoAnswer) -> None:
        if isinstance(answer, NoAnswer):
            if answer.denied:
                text = f"event {event.name} is not published: {answer.cause}"
                outbox.refused(event, PermissionDenied(text, executed="not_executed"))
            else:
                outbox.again(event, maybe=True)
        elif (place := _kept_at(answer)) is not None:
            self._kept(place, event.id)
            outbox.confirmed((event,))
        else:
            self._not_kept(event, outbox, answer)

    def _not_kept(self, event: Outgoing, outbox: Outbox, answer: Message) -> None:
        try:
            found = parsed(answer)
        except Refused as error:
            if error.number == NO_RESPONDERS:
                outbox.again(event, maybe=False)
                self._absent()
            else:
                outbox.refused(event, _refusal(event, error))
        else:
            self._kept(int(found["seq"]), event.id)
            outbox.confirmed((event,))


class _Kept(msgspec.Struct, gc=False):
    """What a server says of an event that it keeps."""

    seq: int
    error: msgspec.Raw | None = None


_decode = msgspec.json.Decoder(_Kept).decode


def _kept_at(answer: Message) -> int | None:
    """The place of an event that is kept for sure; None: what else there is to say is looked at more closely."""
    try:
        found = _decode(answer.data)
    except msgspec.MsgspecError:
        return None
    return found.seq if found.error is None else None


def _refusal(event: Outgoing, error: Refused) -> CallError:
    text = f"event {event.name} is not published: {error}"
    if error.number in STREAM_IS_FULL:
        return Overloaded(
            f"{text} (docs/nats.md, when the stream is full)", executed="not_executed", retry_after=RETRY_AFTER_S
        )
    if error.number == TOO_LARGE:
        return TooLarge(text, executed="not_executed")
    return Unavailable(text, executed="not_executed")
