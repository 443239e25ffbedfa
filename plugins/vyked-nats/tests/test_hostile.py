"""What a server, or somebody who publishes, does that they should not: it ends a connection at most, with a reason, and never the host."""

import asyncio
import json
import ssl
from contextlib import asynccontextmanager

import nats
import pytest
from server import NatsServer
from vyked_nats.connection import Watch
from vyked_nats.options import BusOptions
from vyked_nats.server import Servers, Unreachable, hang_up

from vyked_host import Overloaded, TooLarge, Unavailable
from vyked_host.contracts import Ledger, pack
from vyked_host.testing import eventually
from vyked_host.testing.conformance.pubsub import Inbox, event, to

INFO = {"server_id": "X", "version": "2.15.1", "headers": True, "max_payload": 1 << 20, "proto": 1}


@asynccontextmanager
async def pretender(after_login=b"", info=None, line=b"", closes=False):
    """A server of our own: logs everybody in, then says `after_login`. `line` comes right behind INFO."""
    writers = []

    async def serve(reader, writer):
        writers.append(writer)
        writer.write(b"INFO " + json.dumps(INFO | (info or {})).encode() + b"\r\n" + line)
        while found := await reader.readline():
            if found == b"PING\r\n":
                writer.write(b"PONG\r\n" + after_login)
                if closes:
                    writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for each in writers:
            each.close()


async def dialled(env, url, watch=None):
    return await Servers(BusOptions(url=url), env, "pubsub.nats").dial(2.0, watch or Watch())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"\x00\xff\x16\x03\x01\r\n", "no NATS server sends"),
        (b"MSG a 1 -1\r\n", "no NATS server sends"),
        (b"x" * 70_000, "no NATS server sends"),
        (b"MSG a 1 999999999\r\n", "no NATS server sends"),
        (b"PONG\r\nPONG\r\n", "a PING that it was not sent"),
        (b"INFO [1]\r\n", "no JSON object"),
        (b"INFO {\r\n", "no JSON object"),
        (b"INFO " + b"[" * 60_000 + b"\r\n", "no JSON object"),
        (b'INFO {"max_payload": "much"}\r\n', "what can't be: Expected `int`"),
        (b"-ERR 'Parser Error'\r\n", "Parser Error"),
    ],
)
async def test_a_server_that_speaks_otherwise_is_left_with_the_reason(said, why, env):
    async with pretender(said) as url:
        connection = await dialled(env, url)
        await asyncio.wait_for(asyncio.shield(connection.over), 5)
        assert why in Servers(BusOptions(url=url), env, "pubsub.nats").words(connection.last_error)
        await hang_up(connection)


@pytest.mark.parametrize("info", [{"max_payload": "much"}, {"max_payload": None}, {"server_id": 5}])
async def test_one_that_tells_nonsense_of_itself_is_not_used(info, env):
    async with pretender(info=info) as url:
        with pytest.raises(Unreachable, match="what can't be"):
            await dialled(env, url)


async def test_one_that_never_ends_its_first_line_is_not_waited_for(env):
    async def serve(reader, writer):
        writer.write(b"INFO " + b"x" * 100_000)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        with pytest.raises(Unreachable, match="more than 65536 bytes"):
            await dialled(env, f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}")


async def test_what_comes_in_the_clear_where_tls_begins_is_not_taken_for_protected(env, monkeypatch):
    context = ssl.create_default_context()
    monkeypatch.setattr("vyked_nats.server._tls", lambda *_: context)
    async with pretender(info={"tls_required": True}, line=b"PONG\r\n") as url:
        with pytest.raises(Unreachable, match="in the clear where TLS begins"):
            await dialled(env, url.replace("nats:", "tls:"))


async def test_one_that_hangs_up_in_the_middle_of_the_login_is_told_of_as_such(env):
    async def serve(reader, writer):
        writer.write(b"INFO " + json.dumps(INFO).encode() + b"\r\n")
        await reader.readline()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        with pytest.raises(Unreachable, match="perhaps it does not let us in"):
            await dialled(env, f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}")


async def test_what_came_with_the_end_of_the_login_is_taken(env):
    class Noting(Watch):
        def __init__(self):
            self.errors, self.over = [], asyncio.Event()

        def told(self, error):
            self.errors.append(str(error))

        def ended(self):
            self.over.set()

    watch = Noting()
    async with pretender(b"-ERR 'Permissions Violation for Publish to \"a\"'\r\n", closes=True) as url:
        connection = await dialled(env, url, watch)
        await asyncio.wait_for(watch.over.wait(), 5)
        assert watch.errors == ['nats: Permissions Violation for Publish to "a"']
        assert "EOF" in str(connection.last_error)


async def test_a_bus_goes_on_dialling_where_a_server_speaks_otherwise(env, open_bus, caplog):
    async with pretender(b"junk\r\n") as url:
        with pytest.raises(Unavailable, match="no NATS server sends"):
            await open_bus(url).publish(event(), deadline=env.clock.now() + 0.5)


async def test_an_event_that_is_too_large_for_the_server_is_refused_and_the_connection_stays(env, open_bus):
    server = NatsServer("max_payload: 100KB").start()
    try:
        bus, large = open_bus(server.url), event(body=b"x" * 200_000)
        outcomes = await asyncio.gather(  # there is no connection yet, so nobody knows how much the server takes
            *(bus.publish(each, deadline=env.clock.now() + 5) for each in (event(), large, event())),
            return_exceptions=True,
        )
        assert [type(each) for each in outcomes] == [type(None), TooLarge, type(None)]
        assert outcomes[1].executed == "not_sent"
        line = bus._publishing.line
        with pytest.raises(TooLarge):
            await bus.publish(large, deadline=env.clock.now() + 5)
        await bus.publish(event(), deadline=env.clock.now() + 5)
        assert bus._publishing.line is line
        assert bus._outbox._used == 0
    finally:
        server.close()


async def test_envelopes_are_refused_as_events_are(env, open_bus):
    server = NatsServer("max_payload: 100KB").start()
    try:
        bus, told = open_bus(server.url, outbox=1 << 20), Told()
        take = bus.envelopes("identity", "1.0.0", "changed")

        def given(size, within=5.0):
            packed = pack(event(body=b"x" * size))
            return take(packed, size, env.clock.now() + within, told, size)

        outcomes = await asyncio.gather(*map(given, (10, 200_000, 2 << 20, 20)), return_exceptions=True)
        assert [type(each) for each in outcomes] == [int, TooLarge, TooLarge, int]
        with pytest.raises(TooLarge, match=r"server \d+ in all"):  # the server has said how much it takes
            await given(150_000)
        full = await asyncio.gather(*(given(90_000) for _ in range(20)), return_exceptions=True)
        assert {type(each) for each in full} == {int, Overloaded}
        server.kill()
        await eventually(lambda: bus._publishing.line is None)
        with pytest.raises(Unavailable, match=r"identity\.changed is not published"):
            await given(30, within=0.3)
        await bus.aclose()
        with pytest.raises(Unavailable, match="the bus is closed"):
            await given(40)
        failed = [200_000, 2 << 20, 150_000, *[90_000] * sum(isinstance(each, Overloaded) for each in full), 30, 40]
        assert sorted(told.failed) == sorted(failed)
        assert bus._outbox._used == 0
    finally:
        server.close()


class Told(Ledger):
    """The entries of what was not accepted."""

    def __init__(self):
        self.failed = []

    def not_accepted(self, receipt, error):
        assert receipt.error is error
        self.failed.append(receipt.entry)

    def said(self, receipt):
        return receipt.entry


async def test_events_with_headers_that_are_none_are_taken_all_the_same(shared, env, open_bus):
    bus, inbox = open_bus(shared.url), Inbox()
    await bus.subscribe(to(None, "m"), inbox)
    stranger = await nats.connect(shared.url)
    for head in (b"\xff\x00:\r\n\r\n", b"NATS/1.0 503\r\n\r\n", b"NATS/9\r\nno colon\r\n\r\n"):
        packed = pack(event())
        subject = f"vyked.{env.namespace}.event.shop.1.paid".encode()
        await stranger._send_command(
            b"HPUB %b %d %d\r\n%b%b\r\n" % (subject, len(head), len(head) + len(packed), head, packed)
        )
    await stranger.flush()
    await stranger.close()
    await eventually(lambda: len(inbox.ids) == 3)


async def test_who_raises_on_a_message_is_told_of_and_the_next_one_comes(shared, env):
    raised, came = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: raised.append(context["exception"]))

    def heard(message):
        came.append(message.data)
        raise ValueError(message.subject)

    connection = await dialled(env, shared.url)
    connection.subscribe("a.b", heard)
    for _ in range(2):
        connection.publish("a.b", b"x")
    await eventually(lambda: len(came) == 2)
    assert [str(each) for each in raised] == ["a.b", "a.b"]
    await hang_up(connection)


async def test_what_one_sends_in_a_turn_goes_out_in_one_write_and_in_order(shared, env):
    connection = await dialled(env, shared.url)
    written, write, came = [], connection.transport.write, []

    class Noted:
        def __getattr__(self, name):
            return getattr(write.__self__, name)

        def write(self, data):
            written.append(data)
            write(data)

    connection.transport = Noted()
    connection.subscribe(
        "x.*", lambda message: came.append((message.subject, message.reply, message.data, message.headers))
    )
    connection.publish("x.1", b"one", "back.1")
    connection.publish("x.2", b"", headers={"A": "b"})
    returned = asyncio.get_running_loop().create_future()
    connection.ping(returned.set_result)
    assert await asyncio.wait_for(returned, 5) is None
    assert came == [("x.1", "back.1", b"one", {}), ("x.2", "", b"", {"A": "b"})]
    assert len(written) == 1
    await hang_up(connection)
