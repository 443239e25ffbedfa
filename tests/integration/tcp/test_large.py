"""Large payloads on a connection that others use: they arrive whole, what is small does not wait for them, and memory is bounded."""

from __future__ import annotations

import asyncio
import json

import pytest
import uvloop

from vyked_host.contracts import INITIAL_CREDIT, Fault, LimitsTable
from vyked_host.wire import packets

from .hosts import ask, environment, serve, start, until
from .raw import connected, hello, packet

MIB = 1 << 20
ROOM = LimitsTable(message=16 * MIB)
BODY = bytes(range(256)) * (4 * MIB // 256)


@pytest.fixture
async def roomy():
    made = await serve(environment(limits=ROOM))
    yield made
    async with asyncio.timeout(10):
        await made.aclose()


async def test_large_requests_and_answers_arrive_whole_among_small_ones(roomy):
    channel = await roomy.dial(environment(node="b2", limits=ROOM))
    large = [asyncio.ensure_future(ask(channel, "echo", bytes([n]) + BODY)) for n in range(4)]
    small = [await ask(channel, "echo", b"%d" % n) for n in range(50)]
    assert small == [b"%d" % n for n in range(50)]
    assert [each == bytes([n]) + BODY for n, each in enumerate(await asyncio.gather(*large))] == [True] * 4


async def test_a_small_answer_overtakes_a_large_one(roomy):
    async with connected(roomy.address) as client:
        client.say(hello(limits={"message": 16 * MIB}))
        await client.hear()
        client.say(packet(packets.REQUEST, call=1, endpoint=2, value=60000))
        client.say(packet(packets.REQUEST, call=2, endpoint=2, value=60000))
        await until(lambda: len(roomy.lab.running) == 2)
        first, second = roomy.lab.running
        first.sink.respond(first.call, BODY)
        second.sink.respond(second.call, b"small")
        heard = []
        while not heard or heard[-1] != (packets.RESPONSE, 1):
            kind, call_id, _ = await client.hear()
            heard.append((kind, call_id))
        assert heard.index((packets.RESPONSE, 2)) <= 2
        assert heard.count((packets.PIECE, 1)) == 63


async def test_an_answer_that_nobody_wants_any_more_is_not_sent_to_its_end(roomy):
    async with connected(roomy.address) as client:
        client.say(hello(limits={"message": 16 * MIB}))
        await client.hear()
        client.reader._transport.pause_reading()
        client.say(packet(packets.REQUEST, BODY[:MIB], call=1, value=60000))
        for call_id in range(2, 9):
            client.say(packet(packets.REQUEST, BODY[:MIB], call=call_id, value=60000))
        await until(lambda: len(roomy.lab.calls) == 8)
        [link] = roomy.listener._links
        await until(lambda: link._full)
        for call_id in range(1, 9):
            client.say(packet(packets.CANCEL, call=call_id))
        client.reader._transport.resume_reading()
        heard = []
        while len([each for each in heard if each[0] in (packets.FAULT, packets.RESPONSE)]) < 8:
            heard.append((await client.hear())[:2])
        assert [each for each in heard if each[0] == packets.FAULT]
        assert link._outbox.waiting == 0


async def test_a_request_that_is_given_up_half_way_frees_what_came_of_it(roomy):
    channel = await roomy.dial(environment(node="b2", limits=ROOM))
    [link] = roomy.listener._links
    running, answer = start(channel, "echo", BODY * 4)
    await until(lambda: len(link._connection._assembly) == 1)
    running.cancel(Fault(code="CANCELLED", message="no", executed="unknown"))
    assert (await answer.future).message == "no"
    assert await ask(channel, "echo", b"x") == b"x"
    assert len(link._connection._assembly) == 0
    assert [each.body for each in roomy.lab.calls] == [b"x"]


async def test_a_request_that_was_sent_in_part_was_not_sent(roomy):
    channel = await roomy.dial(environment(node="b2", limits=ROOM))
    [link] = roomy.listener._links
    link._transport.pause_reading()
    _, large = start(channel, "echo", BODY * 4)
    await until(lambda: channel._full)
    link.abort()
    assert (await large.future).executed == "not_sent"


async def test_a_reader_gets_two_large_items_at_a_time(roomy):
    channel = await roomy.dial(environment(node="b2", limits=ROOM))
    running, answer = start(channel, "hold")
    task = await roomy.lab.task()

    async def send() -> None:
        for _ in range(20):
            if not task.sink.item(task.call, BODY[:MIB]):
                task.changed.clear()
                await task.changed.wait()
        task.sink.respond(task.call, None)

    sending = asyncio.ensure_future(send())
    for number in range(2, 21, 2):
        assert not answer.future.done()
        await until(lambda wanted=number: len(answer.items) == wanted)
        assert task.sink._streams[task.call.id].credit <= 0
        running.credit(2)
    await sending
    assert await answer.future is None
    assert len(answer.items) == 20


async def test_an_upload_of_large_items_waits_for_its_handler(roomy):
    channel = await roomy.dial(environment(node="b2", limits=ROOM))
    running, answer = start(channel, "shout")
    task = await roomy.lab.task()
    assert not running.item(BODY)
    await until(lambda: len(task.items) == 1)
    assert [link._streams[task.call.id].window.left for link in roomy.listener._links] == [INITIAL_CREDIT - 64]
    assert not answer.credits
    task.sink.credit(task.call, 1)
    await until(lambda: bool(answer.credits))
    running.end()
    assert await answer.future is None


async def test_an_answer_in_the_middle_of_an_upload_ends_it(roomy):
    channel = await roomy.dial(environment(node="b2", limits=ROOM))
    [link] = roomy.listener._links
    running, answer = start(channel, "sum")
    task = await roomy.lab.task()
    running.item(BODY * 4)
    await until(lambda: len(link._connection._assembly) == 1)
    task.sink.respond(task.call, json.dumps(1).encode())
    assert await answer.future == b"1"
    assert not running.item(b"2")
    assert await ask(channel, "echo", b"x") == b"x"
    assert len(link._connection._assembly) == 0


async def test_a_host_that_closes_sends_what_it_has_answered(roomy):
    channel = await roomy.dial(environment(node="b2", limits=ROOM))
    _, answer = start(channel, "wait")
    task = await roomy.lab.task()
    task.sink.respond(task.call, BODY)
    await roomy.listener.aclose()
    assert await answer.future == BODY


@pytest.mark.parametrize("most", [1000, MIB])
async def test_a_body_that_fits_without_its_metadata_only_is_refused_and_breaks_nothing(most):
    site = await serve(environment(limits=LimitsTable(message=most)))
    channel = await site.dial(environment(node="b2", limits=ROOM))
    refused = await ask(channel, "wait", bytes(most), metadata=b'{"a":"b"}')
    assert (refused.code, refused.executed) == ("TOO_LARGE", "not_sent")
    assert await ask(channel, "echo", bytes(most)) == bytes(most)
    await site.aclose()


async def test_an_answer_of_one_packet_leaves_before_the_next_call_is_handled(roomy):
    body = BODY[: 64 << 10]
    async with connected(roomy.address, introduced=True) as client:
        client.say(packet(packets.REQUEST, call=1, endpoint=2, value=60000))
        task = await roomy.lab.task()
        [link] = roomy.listener._links
        task.sink.respond(task.call, body)
        assert not link._waits
        assert (await client.hear())[0] == packets.RESPONSE


def test_input_that_comes_at_once_gives_others_of_the_loop_their_turn():
    """On uvloop, which would read 8 MiB of one socket at a stretch."""

    async def burst() -> list[str]:
        site = await serve(environment(limits=ROOM))
        order: list[str] = []
        async with connected(site.address, introduced=True) as client:
            [link] = site.listener._links
            take = link._receive

            def receive(data):
                order.append(f"{len(data) >> 10} KiB")
                asyncio.get_running_loop().call_soon(order.append, "turn")
                return take(data)

            link._receive = receive
            for number in range(1, 65):
                client.say(packet(packets.REQUEST, BODY[: 60 << 10], call=number, value=60000))
            for _ in range(64):
                await client.hear()
        await site.aclose()
        return order

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        order = runner.run(burst())
    large = [number for number, what in enumerate(order[:-1]) if what == "250 KiB"]
    assert len(large) >= 4
    assert all(order[number + 1] == "turn" for number in large)
