"""A host that answers our client with nonsense is no better than a client that asks with it."""

from __future__ import annotations

import asyncio

import pytest

from vyked_host.builtin.tcp.options import Options
from vyked_host.builtin.tcp.transport import TcpTransport
from vyked_host.contracts import Address, Call, Fault, TimingTable
from vyked_host.errors import NotSupported, VykedError
from vyked_host.wire import packets

from .hosts import Answer, environment, until
from .raw import RawClient, hostile_host, packet, welcome


async def dial(uri, **timing):
    env = environment(node="b2", timing=TimingTable(**{"dial": 2.0, **timing}))
    transport = TcpTransport(Options(), env)
    channel = await transport.dial(Address(transport="tcp", uri=uri), deadline=env.clock.now() + 5)
    return channel, transport


def says(*data: bytes):
    async def script(peer: RawClient) -> None:
        await peer.hear()
        for each in data:
            peer.say(each)

    return script


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "broke the protocol"),
        (b"\xff" * 100, "broke the protocol"),
        (packet(packets.RESPONSE, call=1), "RESPONSE is not legal"),
        (packet(packets.WELCOME, b"{}"), "WELCOME is not as it should be"),
        (b"\xff\xff\xff\xff" + welcome()[4:], "at most 1048576"),
        (welcome(version=2), "chose version 2"),
        (welcome(serializer="pickle"), "'pickle', which was not offered"),
        (packet(packets.GOAWAY, b'{"code":"draining","message":"bye"}'), "takes no more calls: bye"),
        (packet(packets.REJECT, b'{"reason":"moon","message":"full moon"}'), "refused the connection: full moon"),
    ],
    ids=["http", "garbage", "response", "empty", "bomb", "version", "serializer", "goaway", "reject"],
)  # fmt: skip
async def test_a_hello_answered_with_nonsense_fails_the_dial(data, text):
    async with hostile_host(says(data)) as uri:
        with pytest.raises(VykedError, match=text) as caught:
            await dial(uri)
    assert caught.value.executed == "not_sent"


async def test_a_version_we_do_not_speak_is_not_supported():
    reject = b'{"reason":"version","message":"I speak 2","versions":[2]}'
    async with hostile_host(says(packet(packets.REJECT, reject))) as uri:
        with pytest.raises(NotSupported, match="I speak 2"):
            await dial(uri)


async def call(uri, index=0):
    channel, transport = await dial(uri)
    answer = Answer()
    channel.dispatch(Call(0, index, "json", b"1", channel._now() + 5), answer)
    async with asyncio.timeout(5):
        outcome = await answer.future
    await channel.aclose()
    return outcome, answer, transport.counters


def answers(*data: bytes):
    async def script(peer: RawClient) -> None:
        await peer.hear()
        peer.say(welcome())
        await peer.hear()
        for each in data:
            peer.say(each)

    return script


@pytest.mark.parametrize(
    ("data", "index"),
    [
        (b"\xff" * 100, 0),
        (packet(packets.REQUEST, call=1), 0),
        (packet(packets.ITEM, b"x", call=1), 0),
        (packet(packets.CREDIT, call=1, value=5), 0),
        (packet(packets.CREDIT, call=1, value=5), 1),
        (packet(packets.ITEM, b"x", call=1) * 33, 1),
        (packet(packets.FAULT, b"{}", call=1), 0),
        (packet(packets.SURFACE, b"[]"), 0),
        (packet(packets.PING) * 10, 0),
    ],
    ids=["garbage", "request", "item", "credit", "credit down", "too many items", "fault", "surface", "pings"],
)  # fmt: skip
async def test_an_answer_that_breaks_the_rules_fails_the_calls_as_unknown(data, index):
    async with hostile_host(answers(data)) as uri:
        outcome, answer, counters = await call(uri, index)
    assert isinstance(outcome, Fault)
    assert (outcome.code, outcome.executed) == ("UNAVAILABLE", "unknown")
    assert "protocol" in outcome.message
    assert (answer.outcomes, counters.protocol_errors) == (1, 1)


async def test_answers_that_nobody_waits_for_are_dropped_and_counted():
    noise = packet(packets.RESPONSE, b"9", call=4711) + packet(
        packets.FAULT, b'{"code":"INTERNAL","message":"m"}', call=0
    )
    twice = packet(packets.RESPONSE, b"42", call=1) * 2
    async with hostile_host(
        answers(noise, packet(packets.ITEM, call=99), packet(packets.CREDIT, call=99), twice)
    ) as uri:
        channel, transport = await dial(uri)
        answer = Answer()
        channel.dispatch(Call(0, 0, "json", b"1", channel._now() + 5), answer)
        assert await answer.future == b"42"
        await until(lambda: transport.counters.late_answers == 3)
        assert (answer.outcomes, transport.counters.late_answers, transport.counters.protocol_errors) == (1, 3, 0)
        await channel.aclose()


async def test_a_goaway_for_our_fault_leaves_it_unknown_what_ran():
    bye = packet(packets.GOAWAY, b'{"code":"protocol_error","message":"you did it"}')
    async with hostile_host(answers(bye)) as uri:
        channel, _ = await dial(uri)
        answer = Answer()
        channel.dispatch(Call(0, 0, "json", b"1", channel._now() + 5), answer)
        assert "you did it" in (await channel.retired).message
        await channel.aclose()
        assert (await answer.future).executed == "unknown"
