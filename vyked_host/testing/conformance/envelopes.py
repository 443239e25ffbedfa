"""Cases for buses to which an event is bytes and nothing else (`contracts.TakesEnvelopes`). Part of the suite for buses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from ...contracts import Environment, Event, Guarantees, Ledger, PubSub, Receipt, Take, TakesEnvelopes, pack
from ...errors import CallError
from .. import waiting
from ..waiting import eventually
from .cases import NOT_DECLARED
from .events import Inbox, event, to
from .suite import Suite

Hand = Callable[[Event], Awaitable[Any]]
"""Hands over one event as an envelope."""


class Accounts(Ledger):
    """Who is told what became of events, by id."""

    def __init__(self) -> None:
        self.accepted_ids: list[str] = []
        self.refused_ids: list[str] = []

    def accepted(self, receipts: Sequence[Receipt]) -> None:
        """As of every ledger."""
        self.accepted_ids += [each.entry for each in receipts if not each.is_over]
        super().accepted(receipts)

    def not_accepted(self, receipt: Receipt, error: BaseException) -> None:
        """As of every ledger."""
        self.refused_ids.append(receipt.entry)

    def said(self, receipt: Receipt) -> Any:
        """The id."""
        return receipt.entry


class Envelopes(Suite):
    """`bus` and `publish` are those of PubSubConformance."""

    @pytest.fixture
    def accounts(self) -> Accounts:
        """Told of what is handed over."""
        return Accounts()

    @pytest.fixture
    def hand(self, bus: PubSub, env: Environment, accounts: Accounts) -> Hand:
        """See :data:`Hand`; as the host does it."""
        if not isinstance(bus, TakesEnvelopes):
            pytest.skip(f"{NOT_DECLARED}TakesEnvelopes")
        kinds: dict[tuple[str, str, str], Take] = {}

        def hand(one: Event) -> Awaitable[Any]:
            kind = one.service, one.version, one.name
            take = kinds.get(kind) or kinds.setdefault(kind, bus.envelopes(*kind))
            return take(pack(one), len(one.body), env.clock.now() + waiting.WITHIN_S, accounts, one.id)

        return hand

    async def test_what_comes_as_an_envelope_is_an_event_as_any_other(
        self, bus: PubSub, publish: Any, hand: Hand, guarantees: Guarantees
    ) -> None:
        inbox = Inbox()
        await bus.subscribe(to(None if guarantees.fan_out else "g", "m"), inbox)
        sent = [event(body=bytes([at])) for at in range(100)]
        for at, each in enumerate(sent):
            await (hand if at % 3 else publish)(each)
        await eventually(lambda: len(inbox.ids) == 100)
        assert sorted(inbox.ids) == sorted(each.id for each in sent)
        assert {each.event.id: each.event for each in inbox.deliveries} == {each.id: each for each in sent}
        if guarantees.ordered == "publisher":
            assert inbox.ids == [each.id for each in sent]

    async def test_each_envelope_goes_to_the_topic_of_its_kind(
        self, bus: PubSub, hand: Hand, guarantees: Guarantees
    ) -> None:
        inbox = Inbox()
        await bus.subscribe(to(None if guarantees.fan_out else "g", "m"), inbox)
        for each in (event("refunded"), event(service="other"), event("refunded")):
            await hand(each)
        wanted = event()
        await hand(wanted)
        await eventually(lambda: inbox.ids)
        assert inbox.ids == [wanted.id]

    async def test_each_envelope_is_accounted_for_once(
        self, bus: PubSub, hand: Hand, accounts: Accounts, guarantees: Guarantees
    ) -> None:
        sent = [event() for _ in range(50)]
        waiting_for = [hand(each) for each in sent]
        assert [await each for each in waiting_for] == [each.id for each in sent]
        large = event(body=b"x" * (guarantees.max_message_bytes + 1))
        with pytest.raises(CallError):
            await hand(large)
        await bus.aclose()
        late = event()
        with pytest.raises(CallError):
            await hand(late)
        assert sorted(accounts.accepted_ids) == sorted(each.id for each in sent)
        assert accounts.refused_ids == [large.id, late.id]
