"""Whoever says what became of an event, or asks about groups, has an answer, or an error, in time: also where the server is away, and where it
comes back without what it had handed out and so never answers."""

import asyncio

import nats
import pytest
from vyked_nats.jetstream.bus import JetStreamBus
from vyked_nats.jetstream.delivery import Word
from vyked_nats.jetstream.settling import spoken
from vyked_nats.options import JetStreamOptions

from vyked_host import Unavailable
from vyked_host.contracts import Verdict
from vyked_host.testing import eventually
from vyked_host.testing.conformance.pubsub import ACK, Inbox, event, to
from vyked_host.testing.waiting import comes_to

AW, SLACK = 1.0, 2.0
"""SLACK: of a busy machine. What this bounds is a wait that never ended."""
VERDICTS = {
    "ack": ACK,
    "retry": Verdict(action="retry", seconds=0.1),
    "reject": Verdict(action="reject", cause="poison"),
    "extend": Verdict(action="extend", seconds=0.5),
}


@pytest.fixture
async def bus(server, env):
    bus = JetStreamBus(JetStreamOptions(url=server.url, ack_wait=AW), env)
    yield bus
    await bus.aclose()


@pytest.fixture
def published(bus, env):
    async def published():
        sent = event()
        await bus.publish(sent, deadline=env.clock.now() + 10)
        return sent.id

    return published


@pytest.fixture
async def in_hand(server, bus, published):
    """A member, and one event that it has not settled; the server knows so after a kill too."""
    inbox = Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "m"), inbox)
    await published()
    await eventually(lambda: inbox.deliveries and server.written_down == 1)
    return inbox


async def ended(said, env, began):
    """How it ended: None, or the error; within its time."""
    done, _ = await asyncio.wait({asyncio.ensure_future(said)}, timeout=AW + SLACK)
    assert done, "nobody was told anything"
    assert env.clock.now() - began < AW + SLACK
    return done.pop().exception()


def left_over(bus):
    """What is still waited for."""
    asked = bus._listening.line._asked if bus._listening.line is not None else {}
    acks = [each.subject for each in asked.values() if each.subject.startswith(b"$JS.ACK")]
    return acks, bus._settling._asked, bus._settling._patience.open()


def test_acks_of_one_turn_are_one_write_and_only_the_last_is_answered():
    words = [Word(answer_to=b"a"), Word(answer_to=b"b"), Word(answer_to=b"c")]
    assert spoken(words, b"_IN.1") == b"PUB a 4\r\n+ACK\r\nPUB b 4\r\n+ACK\r\nPUB c _IN.1 4\r\n+ACK\r\n"
    assert spoken(words[:1], b"_IN.1") == b"PUB a _IN.1 4\r\n+ACK\r\n"


@pytest.mark.parametrize("last", [b"+ACK", b"-NAK"])
def test_what_else_is_said_stands_between_them_in_its_order(last):
    words = [Word(answer_to=b"a"), Word(answer_to=b"b", payload=b"+WPI"), Word(answer_to=b"c", payload=last)]
    assert spoken(words, b"_IN.1") == b"PUB a 4\r\n+ACK\r\nPUB b 4\r\n+WPI\r\nPUB c _IN.1 4\r\n%b\r\n" % last


@pytest.mark.parametrize("said", VERDICTS)
async def test_what_was_said_while_the_server_was_away_ends_though_it_stays_away(server, bus, in_hand, env, said):
    server.kill()
    await eventually(lambda: bus._listening.line is None)
    began = env.clock.now()
    error = await ended(in_hand.deliveries[0].settle(VERDICTS[said]), env, began)
    assert isinstance(error, Unavailable)
    assert error.executed == "unknown"
    assert "ack_wait" in str(error)
    assert server.url in str(error)
    await eventually(lambda: left_over(bus) == ([], {}, set()))


@pytest.mark.parametrize("said", VERDICTS)
@pytest.mark.parametrize("when", ["while it is away", "when it is back"])
async def test_what_was_said_while_the_server_was_away_ends_though_it_knows_nothing_of_it(
    server, bus, published, env, said, when
):  # fmt: skip
    """It lost the end of its stream, so that it never answers what is said of an event in it."""
    inbox = Inbox(lambda _delivery: None)
    await bus.subscribe(to("g", "m"), inbox)
    server.kill()
    before = server.keep()
    server.start()
    await published()
    await eventually(lambda: inbox.deliveries)
    server.kill()
    server.put_back(before)
    await eventually(lambda: bus._listening.line is None)
    if when == "while it is away":
        began, saying = env.clock.now(), inbox.deliveries[0].settle(VERDICTS[said])
        server.start()
    else:
        server.start()
        await eventually(lambda: bus._listening.line is not None)
        began, saying = env.clock.now(), inbox.deliveries[0].settle(VERDICTS[said])
    error = await ended(saying, env, began)
    assert error is None or isinstance(error, Unavailable)
    await eventually(lambda: left_over(bus) == ([], {}, set()))
    sent = await published()
    await eventually(lambda: sent in inbox.ids)  # and the group goes on


async def test_what_was_said_while_the_server_was_away_for_long_is_said_when_it_is_back(server, bus, in_hand, env):
    """Who said it was told that nobody confirms it; said it is all the same, so that what was handled does not come again."""
    server.kill()
    await eventually(lambda: bus._listening.line is None)
    error = await ended(in_hand.deliveries[0].settle(ACK), env, env.clock.now())
    assert isinstance(error, Unavailable)
    server.start()
    await eventually(lambda: bus._listening.line is not None)

    async def waiting():
        return [each[2] for each in await bus.groups("shop", 1, "paid")]

    await comes_to([0], waiting, 10)
    assert left_over(bus) == ([], {}, set())


async def test_what_was_said_while_the_server_was_away_for_a_moment_is_confirmed(server, bus, in_hand, env):
    server.kill()
    await eventually(lambda: bus._listening.line is None)
    began, saying = env.clock.now(), in_hand.deliveries[0].settle(ACK)
    server.start()
    assert await ended(saying, env, began) is None
    assert left_over(bus) == ([], {}, set())


async def test_what_is_said_to_a_stream_that_is_gone_is_not_confirmed(server, bus, in_hand, env):
    """There are no responders, says the server then (status 503), and that is no confirmation."""
    client = await nats.connect(server.url)
    try:
        assert await client.jetstream().delete_stream(in_hand.deliveries[0].reply.split(".")[2])
        error = await ended(in_hand.deliveries[0].settle(ACK), env, env.clock.now())
    finally:
        await client.close()
    assert isinstance(error, Unavailable)
    assert "did not confirm within ack_wait" in str(error)
    await eventually(lambda: left_over(bus) == ([], {}, set()))


async def test_a_question_about_groups_ends_though_the_server_stays_away(server, bus, in_hand, env):
    server.kill()
    await eventually(lambda: bus._listening.line is None)
    began = env.clock.now()
    questions = (
        bus.lag(), bus.groups("shop", 1, "paid"), bus.letterboxes(), bus.discard("x", replay=False),
        bus.end_group("shop", 1, "paid", "g"), anext(bus.dead(to("g", "m"))),
    )  # fmt: skip
    found = await asyncio.wait_for(asyncio.gather(*questions, return_exceptions=True), 10)
    assert {type(each) for each in found} == {Unavailable}
    assert {each.executed for each in found} == {"not_executed"}
    assert env.clock.now() - began < env.timing.dial + SLACK
