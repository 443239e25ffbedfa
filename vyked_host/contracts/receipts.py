"""What a bus may give for an event that it was handed: a `Confirmation`. Whoever keeps account is told at once, of as many
events together as the back end confirmed together: no callback, no turn of the loop for each.

A bus derives what it has to know of one event on its way from `Receipt`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import Any

from .confirmation import Confirmation


class Ledger:
    """Who keeps account of what became of events. This one only tells those that wait."""

    def accepted(self, receipts: Sequence[Receipt]) -> None:
        """The back end has these; those that were over before stay as they are."""
        for each in receipts:
            if not each.is_over:
                each.is_over = True
                each.wake()

    def not_accepted(self, receipt: Receipt, error: BaseException) -> None:
        """Nobody knows that the back end has this one, or it has not. Called once for each."""

    def said(self, receipt: Receipt) -> Any:
        """What whoever awaited an accepted event gets."""


NOBODY = Ledger()


class Receipt(Confirmation, eq=False, kw_only=True):
    """Of one event. `entry` is the ledger's own note of it."""

    ledger: Ledger = NOBODY
    entry: Any = None

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait until it is over. Who gives up takes the event back, where it has not gone out."""
        # as Confirmation's, in one piece: this runs for each event, and a call each for future and result would cost a third more
        if not self.is_over:
            if self.waiter is None:
                self.waiter = asyncio.get_running_loop().create_future()
            try:
                yield from self.waiter
            except asyncio.CancelledError:
                self.fail(asyncio.CancelledError())
                raise
        if self.error is None:
            return self.ledger.said(self)
        try:
            raise self.error
        finally:
            del self  # the error leads to this frame: a ring, which would wait for the collector

    @property
    def is_wanted(self) -> bool:
        """Has nobody been told the outcome, and has nobody given up waiting for it - in this very turn of the loop, say?"""
        return not self.is_over and (self.waiter is None or not self.waiter.done())

    def has_failed(self, error: BaseException) -> None:
        """The bus and the ledger are told."""
        self.withdrawn()
        self.ledger.not_accepted(self, error)

    def withdrawn(self) -> None:
        """The bus's part: nobody waits for it any more, so what has not gone out does not."""


def accepted(receipts: Sequence[Receipt]) -> None:
    """The back end has all of these, of which there is one at least."""
    ledger = receipts[0].ledger
    others = [each for each in receipts if each.ledger is not ledger]
    if not others:
        ledger.accepted(receipts)
        return
    ledger.accepted([each for each in receipts if each.ledger is ledger])
    accepted(others)
