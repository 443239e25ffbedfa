"""Streams in both directions, and the credit that bounds them."""

from __future__ import annotations

import json

import pytest

from vyked_host.contracts import INITIAL_CREDIT, Fault, LimitsTable
from vyked_host.errors import LocalProtocolError

from .hosts import environment, serve, start, until


async def test_a_streamed_answer_arrives_whole(site):
    _, answer = start(await site.dial(), "count", b"20")
    assert await answer.future is None
    assert [json.loads(item) for item in answer.items] == list(range(20))


async def test_a_stream_waits_for_credit_and_goes_on_with_it(site):
    channel = await site.dial()
    running, answer = start(channel, "count", b"100")
    task = await site.lab.task()
    await until(lambda: len(answer.items) == INITIAL_CREDIT)
    assert not answer.future.done()
    running.credit(50)
    await until(lambda: len(answer.items) == INITIAL_CREDIT + 50)
    assert task.credits == [50]
    running.credit(1000)
    assert await answer.future is None
    assert [json.loads(item) for item in answer.items] == list(range(100))


async def test_a_stream_to_the_handler_is_summed_up(site):
    running, answer = start(await site.dial(), "sum")
    for number in range(10):
        assert running.item(json.dumps(number).encode())
    running.end()
    assert await answer.future == b"45"


async def test_the_handler_grants_what_the_caller_may_send(site):
    running, answer = start(await site.dial(), "sum")
    accepted = [running.item(b"1") for _ in range(INITIAL_CREDIT)]
    assert accepted == [True] * (INITIAL_CREDIT - 1) + [False]
    with pytest.raises(LocalProtocolError, match="without credit"):
        running.item(b"1")
    await until(lambda: bool(answer.credits))
    assert running.item(b"1")
    running.end()
    assert await answer.future == str(INITIAL_CREDIT + 1).encode()


async def test_both_ways_at_once(site):
    running, answer = start(await site.dial(), "shout")
    for word in (b"a", b"b", b"c"):
        running.item(word)
    await until(lambda: answer.items == [b"A", b"B", b"C"])
    running.end()
    assert await answer.future is None


async def test_leaving_a_stream_cancels_the_handler(site):
    running, answer = start(await site.dial(), "count", b"1000")
    task = await site.lab.task()
    running.cancel(Fault(code="CANCELLED", message="left", executed="unknown"))
    await task.changed.wait()
    assert task.cancelled
    assert (await answer.future).message == "left"
    assert not task.sink.item(task.call, b"nobody listens")


async def test_items_after_the_answer_of_an_upload_are_dropped(site):
    channel = await site.dial()
    running, answer = start(channel, "sum")
    task = await site.lab.task()
    task.sink.respond(task.call, b"enough")
    running.item(b"1")  # crosses the answer
    assert await answer.future == b"enough"
    assert not running.item(b"1")


async def test_misuse_of_a_unary_call_is_our_own_error(site):
    running, _ = start(await site.dial(), "wait")
    for misuse in (lambda: running.item(b""), running.end, lambda: running.credit(1)):
        with pytest.raises(LocalProtocolError):
            misuse()


async def test_misuse_of_a_stream_is_our_own_error(site):
    channel = await site.dial()
    download, _ = start(channel, "hold")
    upload, _ = start(channel, "sum")
    upload.end()
    for misuse in (lambda: download.item(b""), download.end, lambda: upload.item(b"1"), lambda: upload.credit(1)):
        with pytest.raises(LocalProtocolError):
            misuse()
    task = (await site.lab.task(),)[0]
    while task.sink.item(task.call, b"x"):
        pass
    with pytest.raises(LocalProtocolError, match="without credit"):
        task.sink.item(task.call, b"x")


async def test_an_item_that_is_too_large_ends_the_call():
    site = await serve(environment(limits=LimitsTable(message=1000)))
    channel = await site.dial(environment(node="b2", limits=LimitsTable(message=500)))
    running, answer = start(channel, "sum")
    assert not running.item(b"1" * 1001)
    assert (await answer.future).code == "TOO_LARGE"
    _, answer = start(channel, "hold")
    await until(lambda: len(site.lab.running) == 2)
    task = site.lab.running[1]
    assert not task.sink.item(task.call, b"x" * 501)
    fault = await answer.future
    assert (fault.code, fault.executed, task.cancelled) == ("TOO_LARGE", "executed", True)
    await site.aclose()
