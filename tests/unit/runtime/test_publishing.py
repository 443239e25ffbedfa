"""Events to a bus that takes envelopes: most are packed as they are published, and each is what the bus would have been given else."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest

from vyked_host.contracts import Event, Ledger, Receipt, Take
from vyked_host.errors import NotSupported, Overloaded, TooLarge
from vyked_host.model.description import EventDescription
from vyked_host.model.message import SENSITIVE, Call
from vyked_host.runtime.publisher import Publisher
from vyked_host.service.context import CURRENT, Context
from vyked_host.wire.envelope import unpack
from vyked_host.wire.metadata import pack as pack_headers

from .test_publisher import outcomes, publisher_to

TRACED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Row(msgspec.Struct, frozen=True):
    """The payload."""

    name: str


SOLD = EventDescription(service="shop", version="1.2.0", name="sold", payload=Row)


class Bus:
    """Takes events, and envelopes."""

    def __init__(self, error: Overloaded | None = None) -> None:
        self.events: list[Event] = []
        self.envelopes_: list[bytes] = []
        self.receipts: list[Receipt] = []
        self._error = error

    def publish(self, event: Event, *, deadline: float) -> Awaitable[None]:
        self.events.append(event)
        return self._given(Receipt())

    def envelopes(self, service: str, version: str, name: str) -> Take:
        assert (service, version, name) == ("shop", "1.2.0", "sold")

        def take(packed: bytes, body: int, deadline: float, ledger: Ledger, entry: Any) -> Receipt:
            assert body == len(unpack(packed).body)
            self.envelopes_.append(packed)
            return self._given(Receipt(ledger=ledger, entry=entry))

        return take

    def _given(self, receipt: Receipt) -> Receipt:
        self.receipts.append(receipt)
        if self._error is not None:
            receipt.fail(self._error)
        return receipt


@pytest.fixture
async def bus() -> Bus:
    return Bus()


def counts(publisher: Publisher) -> tuple[int, int, int]:
    return publisher.published, publisher.failed, publisher.outstanding


async def test_an_envelope_is_the_event_that_any_other_bus_is_given(bus: Bus) -> None:
    publisher = publisher_to(bus)
    publishing = publisher.of(SOLD)
    waiting = asyncio.ensure_future(publishing.plain(Row("lamp")))
    await asyncio.sleep(0)
    found = unpack(bus.envelopes_[0])
    like = publishing.message(Row("lamp"), None, None, None, None)
    assert found == msgspec.structs.replace(like, id=found.id, published_unix_s=found.published_unix_s)
    assert found.published_unix_s == pytest.approx(like.published_unix_s, abs=5)
    assert (counts(publisher), outcomes(publisher)) == ((0, 0, 1), ["waiting"])
    publisher.accepted(bus.receipts)
    assert (await waiting).id == found.id
    assert (counts(publisher), outcomes(publisher)) == ((1, 0, 0), [""])


async def test_no_two_have_an_id_in_common(bus: Bus) -> None:
    call = publisher_to(bus).of(SOLD).plain
    for _ in range(200):
        call(Row("lamp"))
    assert len({unpack(each).id for each in bus.envelopes_}) == 200


async def test_what_is_sensitive_is_said_of_each(bus: Bus) -> None:
    publisher_to(bus).of(msgspec.structs.replace(SOLD, sensitive=("name",))).plain(Row("lamp"))
    assert unpack(bus.envelopes_[0]).metadata == {SENSITIVE: "name"}


@pytest.mark.parametrize(
    ("options", "said"), [({"key": "k"}, ("k", False)), ({"id": "mine"}, (None, True)), ({"key": "k", "id": "mine"}, ("k", True))]
)  # fmt: skip
async def test_what_has_a_key_or_an_id_of_its_own_goes_as_an_event(
    bus: Bus, options: dict[str, Any], said: tuple[str | None, bool]
) -> None:
    publisher_to(bus).of(SOLD)(Row("lamp"), **options)
    assert not bus.envelopes_
    assert (bus.events[0].key, bus.events[0].named) == said


async def test_so_does_what_inherits_from_the_call_within_which_it_is_published(bus: Bus) -> None:
    publishing = publisher_to(bus).of(SOLD)
    call = Call(1, 1, "object", None, 1e9, None, pack_headers({"traceparent": TRACED}), 1)
    outer = Context(call, msgspec.UNSET, lambda: 0.0)  # type: ignore[arg-type]
    token = CURRENT.set(outer)
    try:
        publishing.plain(Row("lamp"))
    finally:
        CURRENT.reset(token)
    assert not bus.envelopes_
    assert bus.events[0].metadata["traceparent"] == TRACED


async def test_what_the_bus_can_not_hold_back_is_refused(bus: Bus) -> None:
    call = publisher_to(bus).of(SOLD)
    for options in ({"delay": 1.0}, {"not_before": 1e9}):
        with pytest.raises(NotSupported, match=r"shop\.sold"):
            call(Row("lamp"), **options)
    assert not bus.envelopes_
    assert not bus.events


async def test_what_is_too_large_for_the_bus_is_refused_before_it_is_handed_over(bus: Bus) -> None:
    publisher = publisher_to(bus)
    most = publisher.guarantees.max_message_bytes
    with pytest.raises(TooLarge, match=r"shop\.sold"):
        publisher.of(SOLD).plain(Row("x" * most))
    assert (counts(publisher), bus.envelopes_, outcomes(publisher)) == ((0, 0, 0), [], [])


async def test_what_fails_at_once_is_counted_and_told_to_whoever_waits() -> None:
    publisher = publisher_to(Bus(Overloaded("full", executed="not_sent")))
    receipt = publisher.of(SOLD).plain(Row("lamp"))
    assert (counts(publisher), outcomes(publisher)) == ((0, 1, 0), ["full"])
    with pytest.raises(Overloaded, match="full"):
        await receipt
    await asyncio.wait_for(publisher.flush(), 5)
