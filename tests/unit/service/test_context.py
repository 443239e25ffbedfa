"""context(): what a handler may know of its call or delivery."""

import asyncio

import msgspec
import pytest

from vyked_host.errors import UsageError
from vyked_host.model.description import EndpointDescription, Kind, SubscriptionDescription
from vyked_host.model.message import Call, Peer
from vyked_host.routing.priority import PRIORITY, Priority
from vyked_host.service.context import CURRENT, Context, Delivery, Reject, Retry, context
from vyked_host.wire.metadata import pack, unpack

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENDPOINT = EndpointDescription(service="identity", version="1.0.0", name="find", kind=Kind.UNARY)
SUBSCRIPTION = SubscriptionDescription(service="identity", major=2, event="created", handler="on", payload=None)


def call(**fields: object) -> Call:
    return Call(**({"id": 7, "endpoint": 0, "codec": "json", "body": b"", "deadline": 10.0} | fields))


def test_outside_of_a_call_it_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="outside of a call"):
        context()


async def test_it_is_the_context_of_the_running_task() -> None:
    async def handle() -> Context:
        CURRENT.set(Context(call(), ENDPOINT, lambda: 0.0))
        return context()

    found = await asyncio.create_task(handle())
    assert found.endpoint == "identity.find"
    with pytest.raises(UsageError):
        context()


def test_remaining_is_never_below_zero() -> None:
    assert Context(call(), ENDPOINT, lambda: 4.0).remaining == 6.0
    assert Context(call(), ENDPOINT, lambda: 11.0).remaining == 0.0


def test_the_caller_is_what_the_call_and_its_connection_say() -> None:
    peer = Peer(address="10.0.0.7:5", identity="spiffe://a", node_id="n1")
    found = Context(call(caller="accounts/1.0.0", peer=peer), ENDPOINT, lambda: 0.0)
    assert found.caller is not None
    assert (found.caller.service, found.caller.instance, found.caller.identity) == ("accounts", "n1", "spiffe://a")
    assert found.id == "n1-7"
    assert Context(call(), ENDPOINT, lambda: 0.0).caller is None
    assert Context(call(), ENDPOINT, lambda: 0.0).id == "local-7"


def test_metadata_is_unpacked_when_it_is_asked_for() -> None:
    found = Context(call(metadata=pack({"traceparent": PARENT, "tenant": "x"})), ENDPOINT, lambda: 0.0)
    assert found.headers is None
    assert (found.traceparent, found.metadata["tenant"]) == (PARENT, "x")
    assert found.metadata is found.metadata
    assert Context(call(), ENDPOINT, lambda: 0.0).traceparent == ""


def test_a_traceparent_that_is_none_is_not_taken_for_one() -> None:
    found = Context(call(metadata=pack({"traceparent": "00-a-b-01", "tracestate": "a=1"})), ENDPOINT, lambda: 0.0)
    assert found.traceparent == ""
    assert found.onward(None) is None


def test_calls_made_here_inherit_the_trace_and_nothing_else() -> None:
    said = {"traceparent": PARENT, "tracestate": "a=1", "baggage": "k=v", "authorization": "Bearer secret"}
    found = Context(call(metadata=pack(said)), ENDPOINT, lambda: 0.0)
    onward = found.onward(None)
    assert unpack(onward) == {"traceparent": PARENT, "tracestate": "a=1", "baggage": "k=v"}
    assert found.onward(None) is onward  # packed once for all calls
    assert unpack(found.onward({"tenant": "x"})) == {**unpack(onward), "tenant": "x"}
    assert Context(call(), ENDPOINT, lambda: 0.0).onward(None) is None
    assert unpack(Context(call(), ENDPOINT, lambda: 0.0).onward({"a": "b"})) == {"a": "b"}


def test_a_low_priority_goes_on_to_the_calls_that_a_call_makes_and_a_high_one_does_not() -> None:
    def made(most: Priority, asked: str | None, own: dict[str, str] | None = None) -> dict[str, str]:
        described = msgspec.structs.replace(ENDPOINT, priority=most)
        said = pack({PRIORITY: asked, "tenant": "x"} if asked else {})
        return unpack(Context(call(metadata=said), described, lambda: 0.0).onward(own))

    assert made("normal", "low") == made("low", None) == made("low", "high") == {PRIORITY: "low"}
    assert made("high", "normal") == {PRIORITY: "normal"}
    assert made("normal", None) == made("normal", "high") == made("high", None) == {}
    assert made("normal", "low", {"traceparent": PARENT}) == {PRIORITY: "low", "traceparent": PARENT}
    assert made("normal", "low", {PRIORITY: "normal"}) == {PRIORITY: "normal"}  # whoever makes it says what it is worth


def test_the_priority_of_a_call_is_at_most_that_of_its_method() -> None:
    asked = call(metadata=pack({PRIORITY: "high"}))
    assert Context(asked, ENDPOINT, lambda: 0.0).priority == "normal"
    assert Context(asked, msgspec.structs.replace(ENDPOINT, priority="high"), lambda: 0.0).priority == "high"
    assert Context(call(metadata=pack({PRIORITY: "low"})), SUBSCRIPTION, lambda: 0.0).priority == "low"


async def test_a_delivery_counts_and_can_be_extended() -> None:
    class Second:
        event_id, count, extended = "e1", 2, 0

        async def extend(self) -> None:
            self.extended += 1

    handled = Second()
    delivery = Delivery(handled)
    found = Context(call(attempt=1), SUBSCRIPTION, lambda: 0.0, told=delivery)
    assert (found.id, found.endpoint, found.attempt, found.idempotency_key) == ("e1", "identity.created@2", 2, "e1")
    assert delivery.redelivered
    await delivery.in_progress()
    assert handled.extended == 1


def test_attempt_and_key_are_the_call_s() -> None:
    found = Context(call(attempt=3, idempotency_key="k"), ENDPOINT, lambda: 0.0)
    assert (found.attempt, found.idempotency_key, found.delivery, found.request) == (3, "k", None, None)


def test_retry_and_reject_say_why() -> None:
    assert (Retry(after=3.0).after, str(Retry(after=3.0))) == (3.0, "again after 3.0 s")
    assert (Retry(1.0, "busy").reason, Reject("spam").reason) == ("busy", "spam")
