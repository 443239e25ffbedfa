"""Fields of events that people are not shown: named where the event is declared, hidden from handlers' metadata."""

from __future__ import annotations

import pytest
from msgspec import Struct

from vyked_host import Service, context, publish, subscribe
from vyked_host.errors import UsageError
from vyked_host.service.inspect import describe
from vyked_host.testing import running


class Paid(Struct, frozen=True):
    name: str
    card: str


class Till(Service, name="till", version="1.0.0"):
    @publish(sensitive=["card"])
    def paid(self, name: str, card: str) -> Paid:
        return Paid(name, card)


class Sees(Service, name="sees", version="1.0.0"):
    async def on_start(self) -> None:
        self.metadata: list[dict[str, str]] = []

    @subscribe(Till.paid)
    async def see(self, event: Paid) -> None:
        assert event.card == "4111"
        self.metadata.append(dict(context().metadata))


def test_an_event_says_what_is_sensitive() -> None:
    (found,) = describe(Till).events
    assert found.sensitive == ("card",)


def test_a_field_that_does_not_exist_is_refused_with_those_that_do() -> None:
    class Wrong(Service, name="wrong", version="1.0.0"):
        @publish(sensitive=["crad"])
        def paid(self, name: str, card: str) -> Paid:
            return Paid(name, card)

    with pytest.raises(UsageError, match=r"sensitive names 'crad'.* name, card"):
        describe(Wrong)


async def test_handlers_get_the_whole_payload_and_do_not_see_the_mark() -> None:
    async with running(Till, Sees) as mesh:
        await mesh.publish(Till.paid, Paid("ada", "4111"))
        await mesh.settled()
        assert mesh.instance(Sees).metadata == [{}]
        assert mesh.host.node.publisher.trail.published[0].topic == "till.paid@1"
