"""What listens at the address and is no Redis: told apart at start, and harmless later."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from redis.utils import HIREDIS_AVAILABLE

from tests.valkey import Valkey
from vyked_host.errors import ConfigError, StartError, Unavailable
from vyked_host.testing import eventually
from vyked_host.testing.conformance.pubsub import Inbox, event, to

HTTP = 'Protocol error, got "H"' if HIREDIS_AVAILABLE else ".*HTTP/1.1 400"
"""What the parser says of an answer over HTTP: that of hiredis quotes less."""
Answers = Callable[[bytes], bytes]


@asynccontextmanager
async def stranger(answers: Answers, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that says `answers(what came)`; its address."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while asked := await reader.read(1 << 16):
                writer.write(answers(asked))
                await writer.drain()
        except OSError:
            pass  # it was hung up on
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()


def says(answer: bytes) -> Answers:
    return lambda asked: answer * asked.count(b"*")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", f"is no Redis or Valkey: {HTTP}"),
        (b"220 mail ESMTP\r\n", "is no Redis or Valkey"),
        (b"+OK\r\n", "is no Redis or Valkey"),
        (b"$-5\r\n", "redis://127.0.0.1"),
        (b"*1\r\n" * 3000, "redis://127.0.0.1"),
        (b"$abc\r\n", "redis://127.0.0.1"),
        (b"x" * 200_000, "redis://127.0.0.1"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "loading the dataset"),
        (b"", "did not answer within 1.5 s"),
    ],
)
async def test_what_is_no_redis_is_refused_at_start_in_time(open_bus: Any, answer: bytes, told: str) -> None:
    async with stranger(says(answer)) as address:
        with pytest.raises(StartError, match=told):
            await open_bus(f"redis://{address}").verify()


async def test_a_server_without_tls_that_is_asked_over_tls_is_told_as_what_it_may_be(open_bus: Any) -> None:
    """Such a server waits for the end of a line, which a handshake need not have."""
    async with stranger(says(b"")) as address:
        with pytest.raises(
            StartError, match=r"within 1.5 s; rediss:// is TLS, to which a server without it says nothing"
        ):
            await open_bus(f"rediss://{address}").verify()


async def test_garbage_in_the_middle_of_a_conversation_breaks_the_connection_and_not_the_bus(
    open_bus: Any, env: Any
) -> None:
    tries = 0

    def answers(asked: bytes) -> bytes:
        nonlocal tries
        tries += asked.count(b"PUBLISH")
        return says(b"$abc\r\n" if b"PUBLISH" in asked and tries < 4 else b"+OK\r\n")(asked)

    async with stranger(answers) as address:
        bus = open_bus(f"redis://{address}")
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                await bus.publish(event(), deadline=env.clock.now() + 5)
            assert caught.value.executed == "unknown"
        await bus.publish(event(), deadline=env.clock.now() + 5)


async def test_a_server_that_drops_every_connection_is_not_tried_in_a_tight_loop(open_bus: Any, env: Any) -> None:
    tries = 0

    def answers(asked: bytes) -> bytes:
        nonlocal tries
        tries += b"SUBSCRIBE" in asked
        return says(b"-LOADING Redis is loading the dataset in memory\r\n" if b"SUBSCRIBE" in asked else b"+OK\r\n")(
            asked
        )

    async with stranger(answers) as address:
        bus = open_bus(f"redis://{address}")
        began = env.clock.now()
        with pytest.raises(Unavailable, match="loading the dataset"):
            await bus.subscribe(to(None, "m"), Inbox())
        assert 0 < tries <= 3 + 10 * (env.clock.now() - began)


async def test_tls_is_verified_against_the_given_authority(open_bus: Any, tmp_path: Any) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    info = b"$21\r\nredis_version:8.0.0\r\n\r\n"

    def answers(asked: bytes) -> bytes:
        return info if b"$4\r\nINFO" in asked else says(b"+OK\r\n")(asked)

    async with stranger(answers, context) as address:
        await open_bus(f"rediss://{address}?ssl_ca_certs={tmp_path}/ca.pem").verify()
        for url in (f"rediss://{address}?ssl_ca_certs={tmp_path}/other.pem", f"rediss://{address}"):
            with pytest.raises(StartError, match="certificate verify failed"):
                await open_bus(url).verify()
    elsewhere = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("db.example").configure_cert(elsewhere)
    async with stranger(answers, elsewhere) as address:
        with pytest.raises(StartError, match="address mismatch"):
            await open_bus(f"rediss://{address}?ssl_ca_certs={tmp_path}/ca.pem").verify()


@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_certfile"])
@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_file_of_tls_that_can_not_be_used_is_named(
    open_bus: Any, tmp_path: Any, name: str, content: str | None
) -> None:
    file = tmp_path / "one.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=rf"\[pubsub\.redis\] url: of {name}={file} one can't be used: \S"):
        open_bus(f"rediss://127.0.0.1:1?{name}={file}")


async def test_tls_with_a_server_that_has_none_is_told(open_bus: Any) -> None:
    async with stranger(says(b"-ERR\r\n")) as address:
        with pytest.raises(StartError, match=r"rediss://"):
            await open_bus(f"rediss://{address}").verify()


async def test_two_meshes_on_one_server_never_meet(shared: Valkey, open_bus: Any, env: Any) -> None:
    mine, theirs = open_bus(shared.url), open_bus(shared.url, prefix="theirs")
    inbox, other = Inbox(), Inbox()
    await mine.subscribe(to(None, "m"), inbox)
    await theirs.subscribe(to(None, "m"), other)
    await mine.publish(event(), deadline=env.clock.now() + 5)
    await theirs.publish(wanted := event(), deadline=env.clock.now() + 5)
    await eventually(lambda: other.ids == [wanted.id])
    assert len(inbox.ids) == 1
