"""Unary calls over real sockets: outcomes, what travels beside them, what each end refuses."""

from __future__ import annotations

import asyncio

import pytest

from vyked_host.contracts import Fault, Generation, LimitsTable, Surface
from vyked_host.errors import NotFound
from vyked_host.wire.metadata import pack, unpack

from .hosts import Answer, ask, call, endpoint, environment, serve, start, until


async def test_an_echo_comes_back(site):
    channel = await site.dial()
    assert await ask(channel, "echo", b"hello") == b"hello"
    assert (channel.codec, channel.node_id, channel.generation) == ("msgpack", "a1", None)


async def test_a_fault_comes_back_with_all_it_says(site):
    fault = await ask(await site.dial(), "fail")
    assert fault == Fault(
        code="APPLICATION", message="no", executed="executed", type="taken", details={"user_name": "ada"}
    )


async def test_a_thousand_calls_at_once_get_their_own_answers(site):
    channel = await site.dial()
    bodies = [str(number).encode() for number in range(1000)]
    assert await asyncio.gather(*(ask(channel, "echo", body) for body in bodies)) == bodies
    assert channel.waiting == {}


async def test_large_bodies_pass_whole(site):
    channel = await site.dial()
    body = bytes(range(256)) * 4000
    assert await ask(channel, "echo", body) == body


async def test_the_handler_sees_what_the_caller_said(site):
    channel = await site.dial(environment(node="b2", callers=("shop/1.0.0", "accounts/2.1.0")))
    more = {"metadata": pack({"traceparent": "00-1"}), "entity": "u1", "idempotency_key": "k1", "attempt": 3}
    await ask(channel, "echo", b"", caller="accounts/2.1.0", seconds=5.0, **more)
    [seen] = site.lab.calls
    assert (seen.caller, seen.entity, seen.idempotency_key, seen.attempt) == ("accounts/2.1.0", "u1", "k1", 3)
    assert unpack(seen.metadata) == {"traceparent": "00-1"}
    assert (seen.codec, seen.peer.node_id, seen.peer.secure) == ("msgpack", "b2", False)
    remaining = seen.deadline - asyncio.get_running_loop().time()
    assert 3.0 < remaining <= 5.0


async def test_a_caller_that_came_after_the_hello_is_still_known(site):
    channel = await site.dial(environment(node="b2", callers=("shop/1.0.0",)))
    await ask(channel, "echo", caller="late/1.0.0")
    assert site.lab.calls[0].caller == "late/1.0.0"


async def test_a_generation_is_told():
    site = await serve(environment(generation=Generation(epoch=77, counter=3)))
    channel = await site.dial()
    assert channel.generation == Generation(epoch=77, counter=3)
    await site.aclose()


async def test_answers_may_overtake_each_other(site):
    channel = await site.dial()
    running = [start(channel, "wait", str(number).encode()) for number in range(5)]
    await until(lambda: len(site.lab.running) == 5)
    for task in reversed(site.lab.running):
        task.sink.respond(task.call, task.call.body)
    assert [await answer.future for _, answer in running] == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_cancel_reaches_the_handler_and_the_sink_hears_once(site):
    channel = await site.dial()
    running, answer = start(channel, "wait")
    task = await site.lab.task()
    fault = Fault(code="CANCELLED", message="enough", executed="unknown")
    running.cancel(fault)
    running.cancel(fault)
    assert await answer.future == fault
    await task.changed.wait()
    assert task.cancelled
    await until(lambda: channel._counters.late_answers == 1)
    assert answer.outcomes == 1
    assert await ask(channel, "echo", b"in step") == b"in step"


async def test_a_cancel_of_what_is_answered_does_nothing(site):
    channel = await site.dial()
    running, answer = start(channel, "echo", b"x")
    assert await answer.future == b"x"
    running.cancel(Fault(code="CANCELLED", message="enough", executed="unknown"))
    assert answer.outcomes == 1


async def test_no_time_left_is_not_sent(site):
    fault = await ask(await site.dial(), "echo", seconds=0)
    assert (fault.code, fault.executed) == ("DEADLINE_EXCEEDED", "not_sent")
    assert site.lab.calls == []


async def test_a_deadline_beyond_all_numbers_is_the_longest_there_is(site):
    assert await ask(await site.dial(), "echo", b"x", seconds=float("inf")) == b"x"


async def test_an_unknown_method_names_what_exists(site):
    channel = await site.dial()
    with pytest.raises(NotFound, match="lab has count, echo, fail"):
        channel.endpoint(endpoint("nope"))
    with pytest.raises(NotFound, match=r"it has lab\.echo in version 1\.0\.0"):
        channel.endpoint(endpoint("echo", version="2.0.0"))
    with pytest.raises(NotFound, match="it has the services lab"):
        channel.endpoint(endpoint("echo", service="other"))


async def test_an_index_that_is_not_there_is_not_found_without_being_sent(site):
    channel = await site.dial()
    gone = call(channel, "echo")
    gone.endpoint = 999
    answer = Answer()
    assert channel.dispatch(gone, answer) is None
    assert ((await answer.future).code, (await answer.future).executed) == ("NOT_FOUND", "not_sent")


async def test_what_is_too_large_fails_where_it_is_made():
    site = await serve(environment(limits=LimitsTable(message=2000)))
    channel = await site.dial(environment(node="b2", limits=LimitsTable(message=1000)))
    request = await ask(channel, "echo", b"x" * 2001)
    assert (request.code, request.executed) == ("TOO_LARGE", "not_sent")
    result = await ask(channel, "echo", b"x" * 1500)
    assert (result.code, result.executed) == ("TOO_LARGE", "executed")
    metadata = await ask(channel, "echo", b"", metadata=pack({"x": "y" * 70000}))
    assert (metadata.code, metadata.executed) == ("TOO_LARGE", "not_sent")
    assert await ask(channel, "echo", b"x" * 1000) == b"x" * 1000
    await site.aclose()


async def test_a_new_surface_is_told_and_an_index_that_went_is_refused(site):
    channel = await site.dial()
    stale = call(channel, "echo")
    endpoints = (None, *site.lab.surface.endpoints[1:], endpoint("echo", version="1.1.0"))
    site.listener.expose(Surface(revision=2, endpoints=endpoints))
    raced = Answer()
    channel.dispatch(stale, raced)  # the news is still under way
    fault = await raced.future
    assert (fault.code, fault.executed) == ("NOT_FOUND", "not_executed")
    assert "lab.echo" in fault.message
    await until(lambda: channel.surface.revision == 2)
    assert channel.endpoint(endpoint("echo")) == len(endpoints) - 1


async def test_the_loss_of_a_connection_tells_unknown_from_not_sent(site):
    channel = await site.dial()
    _, sent = start(channel, "wait")
    task = await site.lab.task()
    _, kept = start(channel, "wait")  # collected in this loop turn, never written
    channel.abort()
    assert [(await each.future).executed for each in (sent, kept)] == ["unknown", "not_sent"]
    assert (await channel.retired).code == "UNAVAILABLE"
    await task.changed.wait()
    assert task.cancelled
    after = await ask_refused(channel)
    assert (after.code, after.executed) == ("UNAVAILABLE", "not_sent")


async def ask_refused(channel):
    answer = Answer()
    again = call(channel, "echo")
    assert channel.dispatch(again, answer) is None
    return await answer.future


async def test_closing_a_channel_fails_what_runs_and_is_idempotent(site):
    channel = await site.dial()
    _, answer = start(channel, "wait")
    await site.lab.task()
    await channel.aclose()
    await channel.aclose()
    assert (await answer.future).executed == "unknown"
    assert await channel.retired is None
    await until(lambda: site.listener.connections == 0)


async def test_calls_beyond_the_cap_of_a_far_connection_are_refused_at_once(site, monkeypatch):
    monkeypatch.setattr("vyked_host.builtin.tcp.server.is_near", lambda host: False)
    channel = await site.dial()
    for _ in range(100):
        start(channel, "wait")
    refused = await ask(channel, "wait")
    assert (refused.code, refused.executed) == ("RESOURCE_EXHAUSTED", "not_executed")
    assert refused.retry_after_s > 0
    assert await ask(channel, "status", b"ok") == b"ok"
