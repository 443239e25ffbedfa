"""HTTP of a secured mesh: calls and the host's own paths are for its members, probes for everybody, routes for whom their services
let in. Nothing that was recorded counts twice."""

from __future__ import annotations

import json
import logging
import ssl

import aiohttp
import msgspec
import pytest

from tests.certificates import authority, issue
from vyked_host.assembly.certificates import Certificates
from vyked_host.assembly.trust import trust
from vyked_host.builtin.http.guard import Nonces
from vyked_host.builtin.http.refusal import Refused
from vyked_host.builtin.http.signature import Signer
from vyked_host.contracts import TimingTable, Trust
from vyked_host.errors import PermissionDenied, Unauthenticated, Unavailable
from vyked_host.model.settings import SecurityTable, TlsTable
from vyked_host.wire.proof import Seal

from .services import endpoint
from .small_calls import environment
from .test_client import dial, outcome  # noqa: F401 - dial is a fixture

SECRET = "correct horse battery staple"
OTHER = "another secret, another one"
PROBES = ("/ping", "/-/live", "/-/ready")
MEMBERS_ONLY = (("GET", "/"), ("GET", "/-/surface"), ("GET", "/_stats"), ("POST", "/-/call/identity/hello"))
HELLO = b'{"user_name":"ada"}'


class Authenticator:
    """Knows tokens; refuses the one that is stolen."""

    def identify(self, hello, peer):
        if hello.get("token") == "stolen":
            raise Unauthenticated("this token was stolen")
        known = {"t-ada": "ada", "Bearer t-bob": "bob"}
        return known.get(hello.get("token") or hello.get("authorization", ""), peer.identity)


def sealed(*secrets, node_id="node-a", claims=None, identify=None, **more):
    made = Trust("shop", seal=Seal(secrets or (SECRET,)), claims=claims, identify=identify)
    return environment(node_id=node_id, trust=made, **more)


async def asked(port, method, path, **more):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}{path}", **more) as answer,
    ):
        return answer.status, await answer.text()


# ---- by secret -------------------------------------------------------------------------------------------------------
async def test_a_member_calls_and_is_known_as_one(serve, dial):  # noqa: F811
    identity, _, port = await serve(env=sealed())
    channel = await dial(port, env=sealed(node_id="node-b"))
    assert await outcome(channel, "hello", HELLO) == b'{"text":"Hello ada"}'
    assert identity.calls.calls[-1].peer.identity.startswith("mesh:")


async def test_streams_pass_both_ways(serve, dial):  # noqa: F811
    _, _, port = await serve(env=sealed())
    channel = await dial(port, env=sealed(node_id="node-b"))
    assert await outcome(channel, "count", b'{"to":3}') is None


@pytest.mark.parametrize("path", PROBES)
async def test_probes_are_answered_for_everybody(serve, path):
    _, _, port = await serve(env=sealed())
    assert (await asked(port, "GET", path))[0] == 200


@pytest.mark.parametrize(("method", "path"), MEMBERS_ONLY)
async def test_what_is_for_members_is_told_to_nobody_else(serve, method, path):
    identity, _, port = await serve(env=sealed())
    status, body = await asked(port, method, path, data=HELLO if method == "POST" else None)
    assert (status, json.loads(body)["code"]) == (401, "UNAUTHENTICATED")
    assert "the mesh secret ([security])" in body
    assert "hello" not in body.replace(path, "")
    assert identity.calls.calls == []


async def test_figures_that_a_service_tells_itself_are_for_members_too(serve):
    identity, listener, port = await serve(env=sealed())
    route = endpoint("mine", result=str, http=[{"method": "GET", "path": "/_stats"}])
    identity.calls.serve(route, identity.traced)
    listener.expose(identity.calls.surface)
    assert (await asked(port, "GET", "/_stats"))[0] == 401
    assert identity.calls.calls == []


async def test_routes_are_the_application_s_matter(serve):
    identity, _, port = await serve(env=sealed())
    assert (await asked(port, "GET", "/users/ada"))[0] == 200
    assert identity.calls.calls[-1].peer.identity is None
    assert (await asked(port, "POST", "/upload", data=b"123", headers={"Content-Type": "application/octet-stream"}))[
        0
    ] == 200
    assert identity.calls.calls[-1].peer.identity is None


@pytest.mark.parametrize("secrets", [(OTHER,), ()], ids=["another", "none"])
async def test_another_secret_or_none_is_refused_when_dialling(serve, dial, secrets):  # noqa: F811
    _, _, port = await serve(env=sealed())
    env = sealed(*secrets, node_id="node-b") if secrets else environment(node_id="node-b")
    with pytest.raises(Unauthenticated, match=r"\[security\]") as caught:
        await dial(port, env=env)
    assert caught.value.executed == "not_sent"
    assert SECRET not in str(caught.value)


async def test_a_host_that_can_not_prove_itself_gets_no_call(serve, dial):  # noqa: F811
    _, _, port = await serve()
    with pytest.raises(Unauthenticated, match="does not know the secret of this mesh"):
        await dial(port, env=sealed(node_id="node-b"))


async def test_while_the_secret_is_changed_both_hold(serve, dial):  # noqa: F811
    _, _, port = await serve(env=sealed(SECRET, OTHER))
    for secrets in ((SECRET,), (OTHER,), (OTHER, SECRET)):
        channel = await dial(port, env=sealed(*secrets, node_id="node-b"))
        assert await outcome(channel, "hello", HELLO) == b'{"text":"Hello ada"}'


# ---- signatures ------------------------------------------------------------------------------------------------------
class Signed:
    """Requests signed by hand."""

    def __init__(self, env, secret=SECRET):
        self.env, self.signer = env, Signer(Seal((secret,)), env.namespace)

    def headers(self, path="/-/call/identity/hello", *, node="node-a", body=HELLO, late=0.0, method="POST", **more):
        said = {"Content-Type": "application/json", **more}
        made = self.signer.sign(node, method, path, said, body, self.env.clock.unix() - late)
        return {**said, "Vyked-Proof": str(made), **({"Vyked-Node": node} if node else {})}


@pytest.fixture
async def signed(serve):
    env = sealed()
    _, _, port = await serve(env=env)
    made = Signed(env)
    made.port = port

    async def post(headers, body=HELLO, path="/-/call/identity/hello"):
        return await asked(port, "POST", path, data=body, headers=headers)

    made.post = post
    return made


async def test_a_signature_holds_once(signed):
    headers = signed.headers()
    assert (await signed.post(headers))[0] == 200
    status, body = await signed.post(headers)
    assert (status, "was seen before" in body) == (401, True)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"body": b'{"user_name":"eve"}'}, "another one than was signed"),
        ({"path": "/-/call/identity/echo"}, "mesh secret of who asks is another one"),
        ({"headers": {"Vyked-Caller": "bank/1.0.0"}}, "mesh secret of who asks is another one"),
        ({"headers": {"Idempotency-Key": "again"}}, "mesh secret of who asks is another one"),
        ({"headers": {"Vyked-Proof": "t=1;n=2;d=3;p=4"}}, "is not as it should be"),
        ({"headers": {"Vyked-Node": ""}}, "has to say which node is meant"),
    ],
)
async def test_what_was_signed_can_not_be_changed(signed, changed, text):
    headers = {**signed.headers(), **changed.get("headers", {})}
    path = changed.get("path", "/-/call/identity/hello")
    status, body = await signed.post(headers, changed.get("body", HELLO), path)
    assert (status, text in body) == (401, True), body


@pytest.mark.parametrize("late", [-40.0, 40.0])
async def test_a_signature_of_another_time_is_refused(signed, late):
    status, body = await signed.post(signed.headers(late=late))
    assert (status, "clocks of the hosts may differ by 30 s" in body) == (401, True)


async def test_a_request_for_another_node_is_not_taken(signed):
    status, body = await signed.post(signed.headers(node="node-z"))
    assert (status, json.loads(body)["executed"]) == (421, "not_executed")


async def test_a_request_without_a_body_to_look_at_is_refused_before_it_is_read(signed):
    headers = {**signed.headers(), "Vyked-Proof": "t=1;n=" + "0" * 32 + ";d=" + "0" * 64 + ";p=" + "0" * 64}
    status, _ = await signed.post({**headers, "Content-Length": "1000000", "Expect": "100-continue"}, body=HELLO)
    assert status in (401, 400)


def test_nonces_are_bounded_and_forgotten_when_they_are_of_no_use():
    found = Nonces(most=2)
    assert found.use("a", until=10.0, now=0.0)
    assert found.use("b", until=10.0, now=0.0)
    assert not found.use("a", until=10.0, now=0.0)
    with pytest.raises(Refused, match="2 signed requests"):
        found.use("c", until=10.0, now=0.0)
    assert found.use("c", until=30.0, now=11.0)


# ---- authenticators --------------------------------------------------------------------------------------------------
async def test_an_authenticator_says_who_it_is_from_claims_and_from_the_header(serve, dial):  # noqa: F811
    identify = Authenticator().identify
    identity, _, port = await serve(env=sealed(identify=identify))
    channel = await dial(port, env=sealed(node_id="node-b", claims={"token": "t-ada"}))
    await outcome(channel, "hello", HELLO)
    assert identity.calls.calls[-1].peer.identity == "ada"
    await asked(port, "POST", "/upload", data=b"1", headers={"Authorization": "Bearer t-bob"})
    assert identity.calls.calls[-1].peer.identity == "bob"


async def test_who_an_authenticator_refuses_is_not_let_in_but_may_use_routes(serve, dial):  # noqa: F811
    identity, _, port = await serve(env=sealed(identify=Authenticator().identify))
    with pytest.raises(Unauthenticated, match="this token was stolen"):
        await dial(port, env=sealed(node_id="node-b", claims={"token": "stolen"}))
    headers = {"Vyked-Identity": '{"token":"stolen"}'}
    assert (await asked(port, "POST", "/upload", data=b"1", headers=headers))[0] == 200
    assert identity.calls.calls[-1].peer.identity is None


async def test_an_authenticator_that_fails_lets_nobody_in(serve, dial, caplog):  # noqa: F811
    def fails(hello, peer):
        raise RuntimeError("t-secret")

    _, _, port = await serve(env=sealed(identify=fails))
    with pytest.raises(Unauthenticated, match="the authenticator failed: RuntimeError") as caught:
        await dial(port, env=sealed(node_id="node-b"))
    assert "t-secret" not in str(caught.value)


# ---- by certificate --------------------------------------------------------------------------------------------------
class Pki:
    def __init__(self, folder):
        self.folder, self.ca = folder, authority(folder)

    def env(self, name, *, peers=(), secret=None, ca=None, folder=None, **more):
        where = folder or self.folder
        table = TlsTable(**issue(ca or self.ca, where, name, **more), peers=list(peers))
        made = Certificates(table, str(where), logging.getLogger("test"))
        security = SecurityTable(tls=table, secret=secret)
        base = environment(node_id=name)
        return msgspec.structs.replace(base, tls=made, trust=trust(security, base.namespace, None))

    def browser(self, certificate=None):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if certificate:
            context.load_cert_chain(str(self.folder / f"{certificate}.crt"), str(self.folder / f"{certificate}.key"))
        return context

    async def asked(self, port, method, path, certificate=None, **more):
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"https://127.0.0.1:{port}{path}", ssl=self.browser(certificate), **more) as answer,
        ):
            return answer.status, await answer.text()


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path)


async def test_a_certificate_lets_in_and_is_who_one_is(serve, dial, pki):  # noqa: F811
    identity, listener, port = await serve(env=pki.env("node-a"))
    assert listener.addresses[0].uri.startswith("https://")
    channel = await dial(port, env=pki.env("node-b", uris=["spiffe://shop/b"]), scheme="https")
    assert await outcome(channel, "hello", HELLO) == b'{"text":"Hello ada"}'
    peer = identity.calls.calls[-1].peer
    assert (peer.identity, peer.secure) == ("spiffe://shop/b", True)


async def test_browsers_use_routes_and_probes_and_nothing_else(serve, pki):
    _, _, port = await serve(env=pki.env("node-a"))
    for path in PROBES:
        assert (await pki.asked(port, "GET", path))[0] == 200
    assert (await pki.asked(port, "POST", "/upload", data=b"1"))[0] == 200
    for method, path in MEMBERS_ONLY:
        status, body = await pki.asked(port, method, path, data=HELLO if method == "POST" else None)
        assert (status, "a certificate" in body) == (401, True)


async def test_required_certificates_keep_browsers_out(serve, dial, pki):  # noqa: F811
    _, _, port = await serve(env=pki.env("node-a"), client_certificates="required")
    with pytest.raises(aiohttp.ClientError):
        await pki.asked(port, "GET", "/-/live")
    pki.env("node-b")
    assert (await pki.asked(port, "GET", "/-/live", "node-b"))[0] == 200


async def test_without_certificates_of_clients_the_secret_proves(serve, dial, pki):  # noqa: F811
    _, _, port = await serve(env=pki.env("node-a", secret=SECRET), client_certificates="none")
    channel = await dial(port, env=pki.env("node-b", secret=SECRET), scheme="https")
    assert await outcome(channel, "hello", HELLO) == b'{"text":"Hello ada"}'


async def test_a_dialler_believes_no_other_authority_no_other_name_and_nothing_unencrypted(serve, dial, pki, tmp_path):  # noqa: F811
    strange = tmp_path / "strange"
    strange.mkdir()
    _, _, port = await serve(env=pki.env("node-a", ca=authority(strange), folder=strange))
    with pytest.raises(Unauthenticated, match="is not accepted"):
        await dial(port, env=pki.env("node-b"), scheme="https")
    _, _, port = await serve(env=pki.env("node-a", hosts=["shop.internal"]))
    with pytest.raises(Unauthenticated, match="IP address mismatch"):
        await dial(port, env=pki.env("node-b"), scheme="https")
    _, _, port = await serve()
    with pytest.raises(PermissionDenied, match="is not encrypted"):
        await dial(port, env=pki.env("node-b"))


async def test_a_stranger_s_certificate_is_refused(serve, dial, pki, tmp_path):  # noqa: F811
    strange = tmp_path / "strange"
    strange.mkdir()
    _, _, port = await serve(env=pki.env("node-a"))
    env = pki.env("node-b", ca=authority(strange), folder=strange)
    env.tls._client.load_verify_locations(str(tmp_path / "ca.pem"))
    with pytest.raises((Unauthenticated, Unavailable), match="certificate refused"):
        await dial(port, env=env, scheme="https")


async def test_with_peers_the_identity_counts(serve, dial, pki):  # noqa: F811
    _, _, port = await serve(env=pki.env("node-a", uris=["spiffe://shop/a"], hosts=[], peers=["spiffe://shop/*"]))
    friend = pki.env("node-b", uris=["spiffe://shop/b"], peers=["spiffe://shop/*"])
    assert await outcome(await dial(port, env=friend, scheme="https"), "hello", HELLO) == b'{"text":"Hello ada"}'
    with pytest.raises(PermissionDenied, match="spiffe://bank/c, which is none of"):
        await dial(port, env=pki.env("node-c", uris=["spiffe://bank/c"], peers=["spiffe://shop/*"]), scheme="https")
    with pytest.raises(Unavailable, match="spiffe://shop/a, which is none of"):
        await dial(port, env=pki.env("node-d", uris=["spiffe://shop/d"], peers=["spiffe://bank/*"]), scheme="https")


async def test_row_12_a_handshake_that_does_not_end_is_cut(serve, pki, raw):
    env = pki.env("node-a")
    env = msgspec.structs.replace(env, net=type(env.net)(0.3), timing=TimingTable(hello=0.3))
    _, _, port = await serve(env=env)
    peer = await raw(port)
    await peer.send(b"\x16\x03\x01\x02\x00\x01")
    assert await peer.everything() == b""
