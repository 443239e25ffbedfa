"""A host that leaves: what runs goes on, what is new is refused as not executed, the control lane answers to the end."""

from __future__ import annotations

import asyncio

import pytest

from vyked_host.contracts import Fault
from vyked_host.errors import Unavailable
from vyked_host.wire import packets

from .hosts import Answer, ask, call, endpoint, start, until
from .raw import connected, packet


async def test_what_runs_goes_on_and_the_channel_retires(site):
    channel = await site.dial()
    _, answer = start(channel, "wait")
    task = await site.lab.task()
    site.listener.stop_accepting()
    fault = await channel.retired
    assert (fault.code, fault.executed) == ("UNAVAILABLE", "not_sent")
    assert "draining" in fault.message
    task.sink.respond(task.call, b"done")
    assert await answer.future == b"done"


async def test_new_calls_are_not_sent_except_those_of_the_control_lane(site):
    channel = await site.dial()
    site.listener.stop_accepting()
    await channel.retired
    refused = await ask(channel, "echo")
    assert (refused.code, refused.executed) == ("UNAVAILABLE", "not_sent")
    assert await ask(channel, "status", b"fine") == b"fine"


async def test_calls_that_cross_the_goaway_are_not_executed(site):
    channel = await site.dial()
    await ask(channel, "echo")
    site.listener.stop_accepting()
    crossing, control = Answer(), Answer()
    channel.dispatch(call(channel, "wait"), crossing)
    channel.dispatch(call(channel, "status", b"fine"), control)
    fault = await crossing.future
    assert (fault.code, fault.executed) == ("UNAVAILABLE", "not_executed")
    assert await control.future == b"fine"
    assert [each.endpoint for each in site.lab.calls].count(channel.endpoint(endpoint("wait"))) == 0


async def test_nobody_new_gets_in(site):
    await site.dial()
    address = site.listener.addresses[0]
    site.listener.stop_accepting()
    site.listener.stop_accepting()
    with pytest.raises(Unavailable) as caught:
        await site.dialler().dial(address, deadline=asyncio.get_running_loop().time() + 2)
    assert caught.value.executed == "not_sent"


async def test_closing_the_listener_flushes_first_and_cancels_what_runs(site):
    channel = await site.dial()
    _, kept = start(channel, "wait")
    _, answered = start(channel, "wait")
    await until(lambda: len(site.lab.running) == 2)
    first, second = site.lab.running
    second.sink.respond(second.call, b"last words")
    await site.listener.aclose()
    assert await answered.future == b"last words"
    fault = await kept.future
    assert isinstance(fault, Fault)
    assert (fault.code, fault.executed, first.cancelled) == ("UNAVAILABLE", "unknown", True)
    assert site.listener.connections == 0
    await site.listener.aclose()


async def test_a_goaway_names_the_last_call_that_runs_and_what_comes_after_it_is_refused(site):
    async with connected(site.address, introduced=True) as client:
        for call_id in (3, 9, 5):
            client.say(packet(packets.REQUEST, call=call_id, endpoint=2, value=60000))
        await until(lambda: len(site.lab.running) == 3)
        site.listener.stop_accepting()
        assert (await client.hear())[:2] == (packets.GOAWAY, 9)
        client.say(packet(packets.REQUEST, call=10, endpoint=2, value=60000))
        kind, call_id, payload = await client.hear()
        assert (kind, call_id) == (packets.FAULT, 10)
        assert b'"executed":"not_executed"' in payload
        for task in site.lab.running:
            task.sink.respond(task.call, b"done")
        assert sorted([await client.hear() for _ in range(3)]) == [
            (packets.RESPONSE, each, b"done") for each in (3, 5, 9)
        ]


async def test_what_a_client_said_too_late_takes_no_answer_from_it(site):
    """A socket that is closed with bytes unread resets the connection, and a client that writes then never reads what is there."""
    async with connected(site.address, introduced=True) as client:
        client.say(packet(packets.REQUEST, call=1, endpoint=2, value=60000))
        task = await site.lab.task()
        task.sink.respond(task.call, b"last words")
        client.say(packet(packets.REQUEST, call=2, endpoint=2, value=60000))
        closing = asyncio.ensure_future(site.listener.aclose())
        assert [(await client.hear())[:2] for _ in range(2)] == [(packets.RESPONSE, 1), (packets.GOAWAY, 1)]
        assert await client.reader.read() == b""
        client.say(packet(packets.REQUEST, call=3, endpoint=2, value=60000))
        assert not closing.done()
        client.writer.close()
        await closing


async def test_a_client_that_does_not_hang_up_is_cut(site, monkeypatch):
    monkeypatch.setattr("vyked_host.builtin.tcp.link.LINGER_S", 0.1)
    async with connected(site.address, introduced=True) as client:
        async with asyncio.timeout(10):
            await site.listener.aclose()
        assert await client.closed() != b""
