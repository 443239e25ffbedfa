"""How events go out: each under its id, by which the server knows it again, and each is confirmed by itself once it is kept. What was
not answered before its connection broke goes out again over the next one, and is kept once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vyked_host import CallError, Overloaded, PermissionDenied, TooLarge, Unavailable

from ..line import Line, NoAnswer
from ..message import Message
from ..outbox import RETRY_AFTER_S, Outbox, Outgoing
from .api import NO_RESPONDERS, STREAM_IS_FULL, Refused, parsed
from .letters import ID

TOO_LARGE = 10054


class Stored:
    """`carrier` of an Outbox. `absent` is called when there is no stream that takes the event."""

    def __init__(self, absent: Callable[[], None]) -> None:
        self._absent = absent

    def carry(self, line: Line, batch: list[Outgoing], outbox: Outbox) -> None:
        """Publish `batch`."""
        for event in batch:
            line.ask(event.subject, event.packed, partial(self._answered, event, outbox), {ID: event.id})

    def _answered(self, event: Outgoing, outbox: Outbox, answer: Message | NoAnswer) -> None:
        if isinstance(answer, NoAnswer):
            if answer.denied:
                text = f"event {event.name} is not published: {answer.cause}"
                outbox.ended(event, PermissionDenied(text, executed="not_executed"))
            else:
                outbox.again(event, maybe=True)
            return
        try:
            parsed(answer)
        except Refused as error:
            if error.number == NO_RESPONDERS:
                outbox.again(event, maybe=False)
                self._absent()
            else:
                outbox.ended(event, _refusal(event, error))
        else:
            outbox.ended(event, None)


def _refusal(event: Outgoing, error: Refused) -> CallError:
    text = f"event {event.name} is not published: {error}"
    if error.number in STREAM_IS_FULL:
        return Overloaded(
            f"{text} (docs/nats.md, when the stream is full)", executed="not_executed", retry_after=RETRY_AFTER_S
        )
    if error.number == TOO_LARGE:
        return TooLarge(text, executed="not_executed")
    return Unavailable(text, executed="not_executed")
