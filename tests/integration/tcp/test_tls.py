"""Mutual TLS: who has no certificate of the mesh's authority does not get in, at either end, and is told why."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl

import pytest
import uvloop

from tests.certificates import authority, issue
from vyked_host.assembly.certificates import Certificates
from vyked_host.assembly.trust import trust
from vyked_host.config.certificates import Unusable
from vyked_host.contracts import Address, TimingTable, Trust
from vyked_host.errors import NotSupported, PermissionDenied, Unauthenticated, Unavailable
from vyked_host.model.settings import SecurityTable, TlsTable
from vyked_host.runtime.net import AsyncioNet

from .hosts import ask, environment, serve
from .tiny_client import TinyClient

LOG = logging.getLogger("test.tls")
SECRET = "correct horse battery staple"


class Pki:
    """The mesh's authority, a folder of certificates, and environments that use them."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = authority(folder)

    def table(self, name, *, ca=None, peers=(), **more):
        return TlsTable(**issue(ca or self.ca, self.folder, name, **more), peers=list(peers))

    def env(self, name, *, secret=None, timing=None, **more):
        table = self.table(name, **more)
        made = Certificates(table, str(self.folder), LOG)
        security = SecurityTable(tls=table, secret=secret)
        net = AsyncioNet((timing or TimingTable()).hello)
        return environment(node=name, tls=made, trust=trust(security, "demo", None), timing=timing, net=net)


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path)


@pytest.fixture
async def site(pki):
    made = await serve(pki.env("host", uris=["spiffe://shop/host"]))
    yield made
    await made.aclose()
    assert made.listener.connections == 0


def stranger(pki, tmp_path, name="stranger", **more):
    """The environment of somebody whose certificate another authority has signed, who believes ours."""
    other = tmp_path / "other"
    other.mkdir()
    ca = authority(other)
    table = TlsTable(**issue(ca, other, name, **more))
    made = Certificates(table, str(other), LOG)
    made._client.load_verify_locations(str(tmp_path / "ca.pem"))
    return environment(node=name, tls=made, trust=Trust("demo", encrypted=True))


# ---- who belongs here ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("names", "identity"),
    [
        ({"uris": ["spiffe://shop/accounts"], "common_name": "other"}, "spiffe://shop/accounts"),
        ({"hosts": ["accounts.internal"], "common_name": "other"}, "accounts.internal"),
        ({"hosts": [], "common_name": "accounts"}, "accounts"),
    ],
)
async def test_a_peer_is_who_its_certificate_says(site, pki, names, identity):
    channel = await site.dial(pki.env("b2", **names))
    assert await ask(channel, "echo", b"1") == b"1"
    peer = site.lab.calls[0].peer
    assert (peer.identity, peer.secure, peer.node_id) == (identity, True, "b2")


async def test_streams_and_large_bodies_pass(site, pki):
    channel = await site.dial(pki.env("b2"))
    body = os.urandom(900_000)
    assert await ask(channel, "echo", body) == body


async def test_a_secret_holds_beside_certificates_and_is_bound_to_the_session(pki):
    made = await serve(pki.env("host", secret=SECRET, uris=["spiffe://shop/host"]))
    channel = await made.dial(pki.env("b2", secret=SECRET, uris=["spiffe://shop/b2"]))
    assert await ask(channel, "echo", b"1") == b"1"
    assert made.lab.calls[0].peer.identity == "spiffe://shop/b2"
    with pytest.raises(Unauthenticated, match="mesh secret"):
        await made.dial(pki.env("b3", secret="another secret, another one"))
    tiny = await asyncio.to_thread(tiny_client, pki, made.address)
    assert await asyncio.to_thread(tiny.call, "lab", "echo", "hi") == "hi"
    tiny.close()
    await made.aclose()


def tiny_client(pki, address):
    context = ssl.create_default_context(cafile=str(pki.folder / "ca.pem"))
    context.load_cert_chain(str(pki.folder / "b2.crt"), str(pki.folder / "b2.key"))
    return TinyClient(
        *address, "demo", secret=SECRET, wrap=lambda plain: context.wrap_socket(plain, server_hostname="127.0.0.1")
    )


async def test_a_proof_can_not_be_passed_on_through_another_tls_session(pki, tmp_path):
    """Somebody in between who has a certificate of the mesh, but not its secret, ends the TLS on both sides."""
    made = await serve(pki.env("host", secret=SECRET))
    inner, outer = pki.env("middle", secret=SECRET), pki.env("b2", secret=SECRET)
    host, port = made.address

    async def accepted(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(host, port, ssl=inner.tls("client"))
        await asyncio.gather(passed(reader, far_writer), passed(far_reader, writer), return_exceptions=True)

    async def passed(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    between = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=inner.tls("server"))
    uri = f"tcp://127.0.0.1:{between.sockets[0].getsockname()[1]}"
    with pytest.raises(Unauthenticated, match="mesh secret"):
        await made.dialler(outer).dial(Address(transport="tcp", uri=uri), deadline=outer.clock.now() + 5)
    between.close()
    await made.aclose()


# ---- who does not ----------------------------------------------------------------------------------------------------
async def test_a_certificate_of_another_authority_is_refused_and_the_dialler_hears_so(site, pki, tmp_path):
    with pytest.raises((Unauthenticated, Unavailable), match="certificate refused") as caught:
        await site.dial(stranger(pki, tmp_path))
    assert caught.value.executed == "not_sent"


async def test_no_certificate_is_refused_and_the_dialler_hears_so(site, pki):
    bare = ssl.create_default_context(cafile=str(pki.folder / "ca.pem"))
    with pytest.raises((Unauthenticated, Unavailable), match="certificate refused"):
        await site.dial(environment(node="b2", tls=lambda side, **_: bare))


async def test_a_host_of_another_authority_is_not_believed(pki, tmp_path):
    made = await serve(stranger(pki, tmp_path))
    with pytest.raises(Unauthenticated, match=r"is not accepted: self-signed|is not accepted: unable"):
        await made.dial(pki.env("b2"))
    await made.aclose()


async def test_a_host_under_another_name_is_not_believed(pki):
    made = await serve(pki.env("host", hosts=["shop.internal"]))
    with pytest.raises(Unauthenticated, match=r"not accepted: IP address mismatch"):
        await made.dial(pki.env("b2"))
    await made.aclose()


async def test_an_expired_host_is_not_believed(pki, tmp_path):
    table = issue(pki.ca, tmp_path, "old", days=-1)
    old = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    old.load_cert_chain(str(tmp_path / table["cert"]), str(tmp_path / table["key"]))
    made = await serve(environment(tls=lambda side, **_: old))
    with pytest.raises(Unauthenticated, match=r"not accepted: certificate has expired"):
        await made.dial(pki.env("b2"))
    await made.aclose()


async def test_an_expired_peer_is_refused(site, pki, tmp_path):
    table = issue(pki.ca, tmp_path, "old", days=-1)
    old = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    old.load_cert_chain(str(tmp_path / table["cert"]), str(tmp_path / table["key"]))
    with pytest.raises((Unauthenticated, Unavailable), match="certificate refused"):
        await site.dial(environment(node="b2", tls=lambda side, **_: old))


def test_an_expired_certificate_is_refused_before_anything_is_bound(pki):
    with pytest.raises(Unusable, match="certificate has expired; renew it"):
        pki.env("old", days=-1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_an_older_tls_is_refused(site, pki, version):
    table = pki.table("b2")
    context = ssl.create_default_context(cafile=str(pki.folder / "ca.pem"))
    context.load_cert_chain(str(pki.folder / table.cert), str(pki.folder / table.key))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    env = environment(node="b2", tls=lambda side, **_: context, trust=Trust("demo", encrypted=True))
    with pytest.raises((Unauthenticated, Unavailable), match="no version of TLS in common"):
        await site.dial(env)


async def test_who_speaks_no_tls_is_told_and_so_is_who_does_where_none_is_spoken(site, pki):
    with pytest.raises((Unauthenticated, Unavailable), match="TLS") as caught:
        await site.dial(environment(node="b2"))
    assert "set [security.tls]" in str(caught.value)
    plain = await serve()
    with pytest.raises(NotSupported, match=r"does not speak TLS: set \[security.tls\]"):
        await plain.dial(pki.env("b2"))
    await plain.aclose()


# ---- identities instead of names -------------------------------------------------------------------------------------
async def test_with_peers_the_identity_counts_and_not_the_name(pki):
    made = await serve(pki.env("host", uris=["spiffe://shop/host"], hosts=[]))
    channel = await made.dial(pki.env("b2", peers=["spiffe://shop/*"]))
    assert await ask(channel, "echo", b"1") == b"1"
    with pytest.raises(PermissionDenied, match=r"spiffe://shop/host, which is none of \[security.tls\] peers"):
        await made.dial(pki.env("b3", peers=["spiffe://bank/*"]))
    await made.aclose()


async def test_a_host_with_peers_refuses_the_others_of_its_authority(pki):
    made = await serve(pki.env("host", peers=["spiffe://shop/*"]))
    with pytest.raises(PermissionDenied, match="spiffe://bank/b2, which is none of"):
        await made.dial(pki.env("b2", uris=["spiffe://bank/b2"]))
    await made.aclose()


# ---- time ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silence", "half a greeting"])
async def test_a_handshake_that_does_not_end_is_cut_in_time(pki, said):
    made = await serve(pki.env("host", timing=TimingTable(hello=0.3)))
    reader, writer = await asyncio.open_connection(*made.address)
    writer.write(said)
    async with asyncio.timeout(3):
        assert await reader.read() == b""
    writer.close()
    await made.aclose()


async def test_a_host_that_accepts_and_says_nothing_is_given_up_in_time(pki):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        env = pki.env("b2", timing=TimingTable(dial=0.3))
        made = await serve(pki.env("host"))
        uri = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(Unavailable, match="no hello in time"):
            await made.dialler(env).dial(Address(transport="tcp", uri=uri), deadline=env.clock.now() + 5)
        await made.aclose()


# ---- new files -------------------------------------------------------------------------------------------------------
async def serial(site, pki):
    context = ssl.create_default_context(cafile=str(pki.folder / "ca.pem"))
    context.load_cert_chain(str(pki.folder / "b2.crt"), str(pki.folder / "b2.key"))
    _, writer = await asyncio.open_connection(*site.address, ssl=context)
    found = writer.get_extra_info("peercert")["serialNumber"]
    writer.transport.abort()
    return found


async def test_new_connections_get_the_new_certificate_and_open_ones_stay(site, pki):
    pki.table("b2")
    channel = await site.dial(pki.env("b2"))
    before = await serial(site, pki)
    issue(pki.ca, pki.folder, "host", uris=["spiffe://shop/host"])
    site.env.tls.look()
    assert await serial(site, pki) != before
    assert await ask(channel, "echo", b"1") == b"1"


async def test_the_secret_is_bound_to_the_certificate_that_is_shown_now(pki):
    made = await serve(pki.env("host", secret=SECRET))
    issue(pki.ca, pki.folder, "host")
    made.env.tls.look()
    channel = await made.dial(pki.env("b2", secret=SECRET))
    assert await ask(channel, "echo", b"1") == b"1"
    await made.aclose()


async def test_a_new_authority_is_asked_for_at_once(site, pki, tmp_path):
    pki.table("b2")
    old = pki.env("b2")
    fresh = authority(tmp_path)
    issue(fresh, tmp_path, "host")
    site.env.tls.look()
    with pytest.raises(Unauthenticated):
        await site.dial(old)
    pki.ca = fresh
    assert await ask(await site.dial(pki.env("b3")), "echo", b"1") == b"1"


async def test_files_that_can_not_be_used_change_nothing_and_are_logged_once(site, pki, caplog):
    pki.table("b2")
    before = await serial(site, pki)
    (pki.folder / "host.key").write_text("half of")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            site.env.tls.look()
    assert await serial(site, pki) == before
    [line] = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert "the old ones stay" in line
    issue(pki.ca, pki.folder, "host")
    site.env.tls.look()
    assert await serial(site, pki) != before


async def test_a_certificate_that_ends_soon_is_warned_of_and_an_ended_one_is_ill(pki, caplog):
    now = [0.0]
    with caplog.at_level(logging.WARNING):
        table = pki.table("host", days=8)
        made = Certificates(table, str(pki.folder), LOG, unix=lambda: now[0])
    now[0] = made.current.expires - 6.5 * 86400
    with caplog.at_level(logging.WARNING):
        made.look()
        made.look()
    assert [each.getMessage() for each in caplog.records] == [
        "the certificate of this host expires in 6.5 days: renew it"
    ]
    assert (made.note(), await made.health()) == ("it expires in 6.5 days", None)
    now[0] = made.current.expires + 1
    assert "has expired" in (await made.health() or "")


# ---- the other loop --------------------------------------------------------------------------------------------------
def test_uvloop_says_the_same(pki, tmp_path):
    async def main():
        made = await serve(pki.env("host", secret=SECRET, uris=["spiffe://shop/host"]))
        try:
            await claims(made)
        finally:
            await made.aclose()

    async def claims(made):
        channel = await made.dial(pki.env("b2", secret=SECRET, uris=["spiffe://shop/b2"]))
        assert await ask(channel, "echo", b"1") == b"1"
        assert made.lab.calls[0].peer.identity == "spiffe://shop/b2"
        with pytest.raises((Unauthenticated, Unavailable), match="certificate refused"):
            await made.dial(stranger(pki, tmp_path))
        issue(pki.ca, pki.folder, "host")
        made.env.tls.look()
        assert await ask(await made.dial(pki.env("b3", secret=SECRET)), "echo", b"1") == b"1"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
