"""The suite for transports: calls arrive once and whole, fail honestly, are cancelled, stream with credit, and closing
leaves nothing behind. Over real sockets; both ends are in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from ...contracts import (
    Call,
    Channel,
    EndpointDescription,
    Environment,
    Fault,
    Guarantees,
    Kind,
    Listener,
    Provider,
    Surface,
    Transport,
)
from ...errors import CallError, CallNotSupported, NotFound, NotSupported, StartError, Unavailable, VersionMismatch
from ...wire import metadata
from ..waiting import WITHIN_S, eventually
from .bench import (
    BREAK_OFF,
    BROKEN,
    CREDIT,
    DOUBLE,
    ECHO,
    ENDPOINTS,
    FAIL,
    HANG,
    LATER,
    NUMBERS,
    SURFACE,
    TOTAL,
    Caller,
    Count,
    Nothing,
    Outcome,
    Service,
    Text,
)
from .cases import REFUSED, needs
from .suite import Suite

CANCEL = Fault(code="CANCELLED", message="the kit gave up", executed="unknown")


@pytest.mark.asyncio
class TransportConformance(Suite):
    """Inherit, and write the fixture `provider`; `options` with a port of 0. `largest`: bytes of a body that has to pass."""

    largest: ClassVar[int] = 512 << 10

    @pytest_asyncio.fixture
    async def transport(self, provider: Provider[Transport], options: msgspec.Struct, env: Environment) -> Transport:
        """The object under test."""
        return provider.build(options, env)

    @pytest_asyncio.fixture
    async def service(self, env: Environment) -> Service:
        """The called end."""
        return Service(env)

    @pytest_asyncio.fixture
    async def listener(self, transport: Transport, service: Service) -> AsyncIterator[Listener]:
        """Serves `service`."""
        listener = await transport.serve(service, SURFACE)
        yield listener
        await listener.aclose()

    @pytest_asyncio.fixture
    async def channel(
        self, provider: Provider[Transport], options: msgspec.Struct, listener: Listener, env: Environment
    ) -> AsyncIterator[Channel]:
        """To `listener`, from another node of the mesh."""
        other = provider.build(options, msgspec.structs.replace(env, node_id="kit-caller"))
        channel = await other.dial(listener.addresses[0], deadline=env.clock.now() + WITHIN_S)
        yield channel
        await channel.aclose()

    @pytest_asyncio.fixture
    async def caller(self, channel: Channel, env: Environment) -> AsyncIterator[Caller]:
        """The calling end. At the end of each test every call has ended once, and nothing came after it."""
        caller = Caller(channel, env)
        yield caller
        await channel.aclose()
        await eventually(lambda: all(outcome.ended for outcome in caller.outcomes))
        assert {outcome.ended for outcome in caller.outcomes} <= {1}
        assert {outcome.items_after_the_end for outcome in caller.outcomes} <= {0}

    # ---- calls ---------------------------------------------------------------------------------------------------------
    async def test_it_says_where_it_listens_and_who_is_there(
        self, provider: Provider[Transport], listener: Listener, channel: Channel, env: Environment
    ) -> None:
        assert listener.addresses
        assert all(address.uri for address in listener.addresses)
        assert {address.transport for address in listener.addresses} == {provider.name}, (
            "others dial by the plugin's name"
        )
        assert channel.node_id == env.node_id
        assert channel.codec in env.serializers()
        assert not channel.retired.done()

    @pytest.mark.parametrize("endpoint", [ECHO, LATER], ids=["at once", "later"])
    async def test_an_answer_comes_back_whole(self, caller: Caller, endpoint: EndpointDescription) -> None:
        texts = ["", "ada", "grüß \0\n\U0001f600", "x" * 10_000]
        outcomes = [caller.start(endpoint, Text(text))[0] for text in texts]
        await eventually(lambda: all(outcome.ended for outcome in outcomes))
        assert [outcome.fault for outcome in outcomes] == [None] * len(texts)
        assert [caller.value(outcome.body, str) for outcome in outcomes] == texts

    async def test_what_belongs_to_a_call_arrives(self, caller: Caller, service: Service, env: Environment) -> None:
        headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        outcome, _ = caller.start(ECHO, Text("a"), within=7.0, metadata=metadata.pack(headers))
        await eventually(lambda: outcome.ended)
        (call,) = service.seen
        assert (call.entity, call.idempotency_key, call.attempt) == ("ada", "key-1", 1)
        assert metadata.unpack(call.metadata)["traceparent"] == headers["traceparent"]
        assert 0 < call.deadline - env.clock.now() <= 7.0
        assert call.peer is not None

    async def test_a_declared_error_keeps_its_code_and_details(self, caller: Caller) -> None:
        outcome, _ = caller.start(FAIL, Text(""))
        await eventually(lambda: outcome.ended)
        assert outcome.fault is not None
        assert outcome.fault == msgspec.structs.replace(BROKEN, message=outcome.fault.message)

    async def test_many_calls_at_once_are_not_mixed_up(self, caller: Caller, service: Service) -> None:
        started = []
        for at in range(300):
            endpoint = (ECHO, LATER)[at % 2]
            started.append(caller.start(endpoint, Text(f"call {at}"))[0])
            if at % 50 == 49:  # within every bound of calls in flight
                await eventually(lambda: all(outcome.ended for outcome in started))
        assert [caller.value(outcome.body, str) for outcome in started] == [f"call {at}" for at in range(300)]
        assert len(service.seen) == 300

    async def test_a_large_body_passes_and_small_ones_beside_it(self, caller: Caller) -> None:
        large = "x" * self.largest
        outcome, _ = caller.start(ECHO, Text(large))
        small = [caller.start(ECHO, Text(str(at)))[0] for at in range(20)]
        await eventually(lambda: outcome.ended and all(each.ended for each in small))
        assert caller.value(outcome.body, str) == large
        assert [caller.value(each.body, str) for each in small] == [str(at) for at in range(20)]

    async def test_the_endpoint_that_is_not_there_is_named(self, channel: Channel) -> None:
        absent = msgspec.structs.replace(ECHO, name="nowhere")
        with pytest.raises(NotFound, match="echo"):
            channel.endpoint(absent)
        with pytest.raises((NotFound, VersionMismatch)):
            channel.endpoint(msgspec.structs.replace(ECHO, version="2.0.0"))
        assert channel.endpoint(msgspec.structs.replace(ECHO, version="1.0.0")) == channel.endpoint(ECHO)
        assert channel.endpoint(msgspec.structs.replace(ECHO, version="")) == channel.endpoint(ECHO)

    # ---- giving up -----------------------------------------------------------------------------------------------------
    @needs("cancels")
    async def test_giving_up_reaches_the_handler(self, caller: Caller, service: Service) -> None:
        outcome, running = caller.start(HANG, Text(""))
        assert running is not None
        await eventually(lambda: service.running == 1)
        running.cancel(CANCEL)
        await eventually(lambda: service.running == 0 and outcome.ended)
        assert len(service.cancelled) == 1

    @needs("cancels")
    async def test_other_calls_go_on_when_one_is_given_up(self, caller: Caller, service: Service) -> None:
        kept, _ = caller.start(HANG, Text("kept"))
        _, running = caller.start(HANG, Text("given up"))
        assert running is not None
        await eventually(lambda: service.running == 2)
        running.cancel(CANCEL)
        await eventually(lambda: service.running == 1)
        answered, _ = caller.start(ECHO, Text("a"))
        await eventually(lambda: answered.ended)
        assert not kept.ended

    # ---- streams -------------------------------------------------------------------------------------------------------
    @needs("streams")
    async def test_a_streamed_answer_comes_whole_and_in_order(self, caller: Caller) -> None:
        outcome = _granting(caller, NUMBERS, Count(500))
        await eventually(lambda: outcome.ended)
        assert outcome.fault is None
        assert [caller.value(each, int) for each in outcome.items] == list(range(500))

    @needs("streams")
    async def test_a_streamed_answer_may_break_off(self, caller: Caller) -> None:
        outcome, _ = caller.start(BREAK_OFF, Count(5))
        await eventually(lambda: outcome.ended)
        assert [caller.value(each, int) for each in outcome.items] == list(range(5))
        assert outcome.fault is not None
        assert outcome.fault.type == BROKEN.type

    @needs("streams")
    async def test_no_more_items_come_than_were_granted(self, caller: Caller) -> None:
        outcome, running = caller.start(NUMBERS, Count(10 * CREDIT))
        assert running is not None
        await eventually(lambda: len(outcome.items) == CREDIT)
        answered, _ = caller.start(ECHO, Text("a"))
        await eventually(lambda: answered.ended)
        assert len(outcome.items) == CREDIT
        running.credit(5)
        await eventually(lambda: len(outcome.items) == CREDIT + 5)
        running.cancel(CANCEL)

    @needs("streams")
    async def test_a_stream_of_the_caller_arrives_whole(self, caller: Caller) -> None:
        outcome, running = caller.start(TOTAL, Nothing())
        assert running is not None
        for number in range(300):
            grants = outcome.grants
            if not running.item(caller.number(number)):
                await eventually(partial(_granted, outcome, grants))
        running.end()
        await eventually(lambda: outcome.ended)
        assert outcome.fault is None
        assert caller.value(outcome.body, int) == sum(range(300))

    @needs("streams")
    async def test_streams_go_both_ways_at_once(self, caller: Caller) -> None:
        outcome, running = caller.start(DOUBLE, Nothing())
        assert running is not None
        for number in range(CREDIT):
            running.item(caller.number(number))
        await eventually(lambda: len(outcome.items) == CREDIT)
        running.end()
        await eventually(lambda: outcome.ended)
        assert [caller.value(each, int) for each in outcome.items] == [2 * number for number in range(CREDIT)]

    async def test_what_is_not_declared_is_refused(
        self, channel: Channel, guarantees: Guarantees, record_property: Callable[[str, object], None]
    ) -> None:
        if not guarantees.streams:
            for endpoint in (NUMBERS, TOTAL, DOUBLE):
                with pytest.raises((NotSupported, CallNotSupported)):
                    channel.endpoint(endpoint)
            record_property(REFUSED, "streams")

    # ---- the end -------------------------------------------------------------------------------------------------------
    async def test_what_runs_when_the_channel_is_closed_ends_unknown(self, caller: Caller, service: Service) -> None:
        outcome, _ = caller.start(HANG, Text(""))
        await eventually(lambda: service.running == 1)
        await caller.channel.aclose()
        await caller.channel.aclose()
        await eventually(lambda: outcome.ended)
        assert outcome.fault is not None
        assert outcome.fault.executed == "unknown"
        await eventually(lambda: service.running == 0)

    async def test_a_closed_channel_sends_nothing_and_says_so(self, caller: Caller, service: Service) -> None:
        index = caller.channel.endpoint(ECHO)
        await caller.channel.aclose()
        assert caller.channel.retired.done()
        outcome = Outcome()
        late = _call(caller, index)
        late.body = service.words.encode(late, Text, Text("a"))
        caller.channel.dispatch(late, outcome)
        await eventually(lambda: outcome.ended)
        assert outcome.fault is not None
        assert outcome.fault.executed == "not_sent"
        assert service.seen == []

    @needs("push")
    async def test_a_listener_that_stops_accepting_retires_its_channels_and_finishes_what_runs(
        self, caller: Caller, listener: Listener, service: Service
    ) -> None:
        outcome, running = caller.start(HANG, Text(""))
        assert running is not None
        await eventually(lambda: service.running == 1)
        listener.stop_accepting()
        await eventually(caller.channel.retired.done)
        assert not outcome.ended
        running.cancel(CANCEL)
        await eventually(lambda: outcome.ended and service.running == 0)

    async def test_a_listener_that_is_closed_ends_its_channels(self, caller: Caller, listener: Listener) -> None:
        await listener.aclose()
        await listener.aclose()
        outcome, _ = caller.start(ECHO, Text("a"))
        await eventually(lambda: outcome.ended)
        assert outcome.fault is not None
        assert outcome.fault.code == "UNAVAILABLE"

    async def test_nobody_there_is_unavailable_and_not_sent(
        self, transport: Transport, service: Service, env: Environment
    ) -> None:
        listener = await transport.serve(service, SURFACE)
        await listener.aclose()
        with pytest.raises(Unavailable) as caught:
            await transport.dial(listener.addresses[0], deadline=env.clock.now() + 1.0)
        assert caught.value.executed == "not_sent"

    async def test_an_address_that_is_taken_is_refused_at_the_start(
        self,
        provider: Provider[Transport],
        options: msgspec.Struct,
        listener: Listener,
        service: Service,
        env: Environment,
    ) -> None:
        port = listener.addresses[0].uri.rpartition(":")[2].rstrip("/")
        if not hasattr(options, "port") or not port.isdigit():
            pytest.skip("it has no ports")
        taken = provider.build(msgspec.structs.replace(options, port=int(port)), env)
        with pytest.raises(StartError, match=port):
            await taken.serve(service, SURFACE)

    async def test_another_mesh_is_not_talked_to(
        self, provider: Provider[Transport], options: msgspec.Struct, listener: Listener, env: Environment
    ) -> None:
        stranger = provider.build(options, msgspec.structs.replace(env, namespace="another-mesh"))
        with pytest.raises(CallError):
            await stranger.dial(listener.addresses[0], deadline=env.clock.now() + WITHIN_S)

    async def test_what_is_exposed_later_can_be_called(
        self, provider: Provider[Transport], options: msgspec.Struct, env: Environment, service: Service
    ) -> None:
        server = await provider.build(options, env).serve(service, Surface(revision=1, endpoints=(ECHO,)))
        server.expose(Surface(revision=2, endpoints=(ECHO, *ENDPOINTS[1:])))
        other = provider.build(options, msgspec.structs.replace(env, node_id="kit-caller"))
        channel = await other.dial(server.addresses[0], deadline=env.clock.now() + WITHIN_S)
        outcome, _ = Caller(channel, env).start(LATER, Text("new"))
        await eventually(lambda: outcome.ended)
        assert outcome.fault is None
        await channel.aclose()
        await server.aclose()


def _granted(outcome: Outcome, before: int) -> bool:
    return outcome.grants > before


def _granting(caller: Caller, endpoint: EndpointDescription, arguments: Any) -> Outcome:
    """A call whose caller grants one more item for each that it got."""
    assert endpoint.kind is Kind.SERVER_STREAM
    outcome = Outcome()
    found: list[Any] = []
    loop = asyncio.get_running_loop()

    def grant() -> None:
        if found and not outcome.ended:
            found[0].credit(1)

    outcome.on_item = lambda: loop.call_soon(grant)
    _, running = caller.start(endpoint, arguments, outcome=outcome)
    found.append(running)
    return outcome


def _call(caller: Caller, endpoint: int) -> Call:
    return Call(id=0, endpoint=endpoint, codec=caller.channel.codec, body=None, deadline=1e12)
