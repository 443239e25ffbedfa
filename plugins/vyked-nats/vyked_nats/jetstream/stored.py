"""How events go out: each under its id, by which the server knows it again, and each is confirmed by itself once it is kept. What was
not answered before its connection broke goes out again over the next one, and is kept once."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from vyked_host import CallError, Overloaded, PermissionDenied, TooLarge, Unavailable

from ..line import DENIED, Line
from ..message import Message, block, one_line
from ..outbox import RETRY_AFTER_S, Outbox, Outgoing
from .api import NO_RESPONDERS, STREAM_IS_FULL, Refused, parsed
from .confirmations import Confirmations
from .delivery import ID

TOO_LARGE = 10054
_HEAD = block(f"{ID}: %b\r\n".encode())


class Stored:
    """`carrier` of an Outbox. `stream` is the name of the one that takes the events; `absent` is called when there is none, `kept` with the
    place and the id of an event that is kept."""

    def __init__(self, stream: str, absent: Callable[[], None], kept: Callable[[int, str], None]) -> None:
        self._stream, self._absent, self._kept = stream, absent, kept
        self._line: Line | None = None
        self._inbox, self._alike = b"", Confirmations("", b"", "")
        self._outbox: Outbox | None = None
        self._out: dict[bytes, Outgoing] = {}

    def carry(self, line: Line, batch: list[Outgoing], outbox: Outbox) -> None:
        """Publish `batch`."""
        if line is not self._line:
            self._listen(line, outbox)
        sent, inbox, out = [], self._inbox, self._out
        for event in batch:
            number, name, packed = b"%08d" % event.number, event.id, event.packed
            out[number] = event
            head = _HEAD % (name.strip() if name.isprintable() else one_line(name)).encode()
            size = len(head)
            sent.append(
                b"HPUB %b %b%b %d %d\r\n%b%b\r\n" % (event.to, inbox, number, size, size + len(packed), head, packed)
            )
        line.client.send_all(sent)

    def _listen(self, line: Line, outbox: Outbox) -> None:
        inbox = f"{line.client.new_inbox()}."
        heard = line.client.subscribe(f"{inbox}*", self._heard)
        self._line, self._outbox, self._inbox = line, outbox, inbox.encode()
        self._alike = Confirmations(inbox, heard.number, self._stream)
        line.client.take_ahead(self._ahead)

    def _ahead(self, data: bytes) -> int:
        """What confirms events, many at once where the server says so in the plainest words; answers how far that is."""
        end, numbers, sequence = self._alike.within(data)
        if numbers:
            events = [event for number in numbers if (event := self._out.pop(number, None)) is not None]
            self._confirmed(events, sequence)
        return end

    def _confirmed(self, events: list[Outgoing], sequence: int) -> None:
        """The last of them is at this place."""
        if events and self._outbox is not None:
            self._kept(sequence, one_line(events[-1].id))
            self._outbox.confirmed(events)

    def _heard(self, message: Message) -> None:
        """Any other answer."""
        number = message.sent_to[len(self._inbox) :]
        event, outbox = self._out.pop(number, None), self._outbox
        if event is None or outbox is None:
            return
        if (place := _kept_at(message)) is not None:
            self._alike.learn(number, place, message.data)
            self._confirmed([event], place)
        else:
            self._not_kept(event, outbox, message)

    def told(self, error: str) -> None:
        """The server reports an error: about a subject that we may not publish to, perhaps."""
        text, outbox = error.lower(), self._outbox
        if DENIED not in text or outbox is None:
            return
        for number, event in list(self._out.items()):
            to = event.to.decode("utf-8", "surrogateescape")
            if f'"{to}"'.lower() in text:
                del self._out[number]
                cause = f"event {event.name} is not published: {error}; allow this user to publish to {to}"
                outbox.refused(event, PermissionDenied(cause, executed="not_executed"))

    def lost(self) -> None:
        """There is no connection: what was out goes out again over the next one."""
        out, self._out, self._line = self._out, {}, None
        if self._outbox is not None:
            for event in out.values():
                self._outbox.again(event, maybe=True)

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
            self._confirmed([event], int(found["seq"]))


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
