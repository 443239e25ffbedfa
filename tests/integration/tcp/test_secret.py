"""A mesh with a secret: who does not know it is not let in, and is told nothing."""

from __future__ import annotations

import asyncio
import json

import pytest

from vyked_host.builtin.tcp.options import Options
from vyked_host.builtin.tcp.transport import TcpTransport
from vyked_host.contracts import Address, TimingTable, Trust
from vyked_host.errors import Unauthenticated
from vyked_host.wire import packets
from vyked_host.wire.proof import SERVER, Seal, framed

from .hosts import ask, environment, serve
from .proxy import Proxy
from .raw import RawClient, connected, hello, hostile_host, packet, welcome
from .tiny_client import Refused, TinyClient

SECRET = "correct horse battery staple"
OLD = "the horse that was there before"


def sealed(node: str = "b2", secrets: tuple[str, ...] = (SECRET,), **more):
    return environment(node=node, trust=Trust("demo", seal=Seal(secrets)), **more)


@pytest.fixture
async def secured():
    made = await serve(sealed("a1"))
    yield made
    await made.aclose()
    assert made.listener.connections == 0


async def test_who_knows_the_secret_is_let_in_and_is_a_member_of_the_mesh(secured):
    channel = await secured.dial(sealed())
    assert await ask(channel, "echo", b'"hi"') == b'"hi"'
    peer = secured.lab.calls[0].peer
    assert (peer.identity, peer.node_id, peer.secure) == ("mesh:demo", "b2", False)


@pytest.mark.parametrize(
    ("env", "text"),
    [
        (lambda: sealed(secrets=("another secret, another one",)), "mesh secret is another one"),
        (lambda: environment(node="b2"), "this mesh has a secret, and the client has none"),
    ],
    ids=["another secret", "no secret"],
)
async def test_who_does_not_is_refused_with_the_remedy_and_told_of_no_endpoint(secured, env, text):
    with pytest.raises(Unauthenticated, match=text) as caught:
        await secured.dial(env())
    assert caught.value.executed == "not_sent"
    assert "[security] secret" in str(caught.value)
    assert "lab" not in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_a_host_without_a_secret_refuses_who_has_one(site):
    with pytest.raises(Unauthenticated, match="this host has none"):
        await site.dial(sealed())


async def test_the_secret_can_be_changed_without_a_moment_in_which_nobody_gets_in():
    old, both, new = (OLD,), (SECRET, OLD), (SECRET,)
    for host, dialler in ((both, old), (both, new), ((OLD, SECRET), new), ((OLD, SECRET), both)):
        made = await serve(sealed("a1", host))
        channel = await made.dial(sealed(secrets=dialler))
        assert await ask(channel, "echo", b"1") == b"1"
        await made.aclose()


async def test_the_tiny_client_proves_itself_from_the_document(secured):
    client = await asyncio.to_thread(TinyClient, *secured.address, "demo", secret=SECRET)
    assert await asyncio.to_thread(client.call, "lab", "echo", "hi") == "hi"
    client.close()
    with pytest.raises(Refused) as caught:
        await asyncio.to_thread(TinyClient, *secured.address, "demo", secret="wrong")
    assert caught.value.reject["reason"] == "secret"


# ---- recorded, reflected, skipped ------------------------------------------------------------------------------------
NONCE = "ab" * 32


async def challenged(peer: RawClient) -> tuple[bytes, bytes]:
    """The payloads of our HELLO and of the CHALLENGE that answers it."""
    said = hello(nonce=NONCE)
    peer.say(said)
    kind, _, payload = await peer.hear()
    assert kind == packets.CHALLENGE
    return said[20:], payload


async def rejected(peer: RawClient) -> dict[str, str]:
    kind, _, payload = await peer.hear()
    assert kind == packets.REJECT
    assert await peer.closed() == b""
    return json.loads(payload)


async def test_a_recorded_answer_is_worth_nothing_on_another_connection(secured):
    recorded: list[bytes] = []

    def tap(data: bytes):
        recorded.append(data)
        return [data]

    async with Proxy(secured.address, to_host=tap) as proxy:
        port = int(proxy.address.uri.rpartition(":")[2])
        client = await asyncio.to_thread(TinyClient, "127.0.0.1", port, "demo", secret=SECRET)
        client.close()
    said = b"".join(recorded)
    first = 20 + int.from_bytes(said[:4], "little")
    async with connected(secured.address) as peer:
        peer.say(said[:first])  # the same HELLO again, nonce and all
        assert (await peer.hear())[0] == packets.CHALLENGE
        peer.say(said[first:])
        assert (await rejected(peer))["reason"] == "secret"


async def test_a_challenge_sent_back_proves_nothing(secured):
    async with connected(secured.address) as peer:
        _, challenge = await challenged(peer)
        peer.say(packet(packets.PROOF, json.dumps({"proof": json.loads(challenge)["nonce"]}).encode()))
        assert (await rejected(peer))["reason"] == "secret"


async def test_no_two_challenges_are_alike(secured):
    found = set()
    for _ in range(3):
        async with connected(secured.address) as peer:
            found.add((await challenged(peer))[1])
    assert len(found) == 3


async def test_nothing_is_said_of_the_host_before_the_proof(secured):
    async with connected(secured.address) as peer:
        _, challenge = await challenged(peer)
        assert set(json.loads(challenge)) == {"node", "nonce"}
        peer.say(packet(packets.REQUEST, b"{}", call=1, value=1000))
        kind, _, payload = await peer.hear()
        assert (kind, b"REQUEST is not legal" in payload, b"lab" in payload) == (packets.GOAWAY, True, False)


async def test_a_proof_that_does_not_come_is_cut_in_time():
    made = await serve(sealed("a1", timing=TimingTable(hello=0.2)))
    async with connected(made.address) as peer:
        await challenged(peer)
        async with asyncio.timeout(2):
            assert await peer.closed() == b""
    await made.aclose()


# ---- hosts that are none ---------------------------------------------------------------------------------------------
async def dial(uri: str):
    env = sealed(timing=TimingTable(dial=2.0))
    return await TcpTransport(Options(), env).dial(Address(transport="tcp", uri=uri), deadline=env.clock.now() + 5)


def host(*answers):
    async def script(peer: RawClient) -> None:
        said = (await peer.hear())[2]
        for answer in answers:
            data = answer(said) if callable(answer) else answer
            peer.say(data)
            if data[12] == packets.CHALLENGE:
                assert (await peer.hear())[0] == packets.PROOF

    return script


CHALLENGE = packet(packets.CHALLENGE, json.dumps({"node": "evil", "nonce": "cd" * 32}).encode())


def guessed(said: bytes) -> bytes:
    proof = Seal(("another secret, another one",)).prove(SERVER, framed(said, CHALLENGE[20:]), b"")
    return welcome(proof=proof.hex())


@pytest.mark.parametrize(
    "answers",
    [(welcome(),), (CHALLENGE, welcome()), (CHALLENGE, welcome(proof="00" * 32)), (CHALLENGE, guessed)],
    ids=["no challenge: downgrade", "no proof", "an empty proof", "of another secret"],
)
async def test_a_host_that_does_not_prove_itself_is_not_believed(answers):
    async with hostile_host(host(*answers)) as uri:
        with pytest.raises(Unauthenticated, match=r"does not know the secret of this mesh: set \[security\] secret"):
            await dial(uri)


async def test_what_a_host_that_is_none_of_the_mesh_hears_of_a_client_is_names_and_claims_and_no_secret():
    """As docs/security.md says: the client's claims, and its proof, leave before the other end has proven itself."""
    heard = []

    async def listen(peer: RawClient) -> None:
        heard.append((await peer.hear())[2])
        peer.say(CHALLENGE)
        heard.append((await peer.hear())[2])
        peer.say(welcome(proof="00" * 32))

    trust = Trust("demo", seal=Seal((SECRET,)), claims={"team": "post"})
    env = environment(node="b2", trust=trust, callers=("orders/1.2.0",), timing=TimingTable(dial=2.0))
    async with hostile_host(listen) as uri:
        with pytest.raises(Unauthenticated):
            await TcpTransport(Options(), env).dial(Address(transport="tcp", uri=uri), deadline=env.clock.now() + 5)
    said, proven = map(json.loads, heard)
    assert set(said) == {
        "versions", "mesh", "node", "serializers", "limits", "callers", "identity", "generation", "nonce"
    }  # fmt: skip
    assert (said["mesh"], said["node"], said["callers"], said["identity"]) == (
        "demo", "b2", ["orders/1.2.0"], {"team": "post"},
    )  # fmt: skip
    assert set(proven) == {"proof"}
    assert SECRET not in str(heard)
