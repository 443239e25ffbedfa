"""A proof holds for what was signed, for one end of a connection, for who knows the secret, and for nothing else."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.model.settings import LimitsTable
from vyked_host.wire import packets
from vyked_host.wire.connection import Connection
from vyked_host.wire.hello import Challenge
from vyked_host.wire.packets import Role
from vyked_host.wire.proof import CLIENT, SERVER, Seal, framed, read_hex

from .ends import HELLO, HOST, SURFACE, client, header, server

SEAL = Seal(("correct horse battery",))
SIGNED = (framed(b"hello", b"challenge"), b"binding")


def test_what_was_proven_is_accepted_by_who_knows_the_secret():
    assert SEAL.accepts(SEAL.prove(CLIENT, *SIGNED), CLIENT, *SIGNED) is not None


@pytest.mark.parametrize(
    "other",
    [
        (SERVER, *SIGNED),
        (CLIENT, framed(b"hello", b"another challenge"), b"binding"),
        (CLIENT, framed(b"hellochallenge"), b"binding"),
        (CLIENT, SIGNED[0], b"another session"),
        (CLIENT, SIGNED[0] + b"binding", b""),
    ],
    ids=["reflected", "replayed", "shifted", "passed on", "joined"],
)
def test_a_proof_is_worth_nothing_elsewhere(other):
    assert SEAL.accepts(SEAL.prove(CLIENT, *SIGNED), *other) is None


def test_another_secret_is_refused():
    assert SEAL.accepts(Seal(("another horse battery",)).prove(CLIENT, *SIGNED), CLIENT, *SIGNED) is None


@pytest.mark.parametrize("proof", [b"", bytes(32), bytes(31)])
def test_no_proof_is_none(proof):
    assert SEAL.accepts(proof, CLIENT, *SIGNED) is None


def test_while_secrets_change_both_hold_and_the_answer_is_in_the_one_that_was_used():
    old, new = Seal(("the old secret, old",)), Seal(("the new secret, new", "the old secret, old"))
    known = new.accepts(old.prove(CLIENT, *SIGNED), CLIENT, *SIGNED)
    assert known is not None
    assert old.accepts(known.prove(SERVER, *SIGNED), SERVER, *SIGNED) is not None
    assert new.prove(SERVER, *SIGNED) != known.prove(SERVER, *SIGNED)


def test_a_seal_does_not_show_its_secret():
    assert "horse" not in repr(SEAL) + str(SEAL) + repr([SEAL])


@given(st.lists(st.binary(max_size=6)), st.lists(st.binary(max_size=6)))
def test_different_parts_never_become_the_same_bytes(one, other):
    assert (framed(*one) == framed(*other)) == (one == other)


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31, "00" * 33, " 0" * 32, "é" * 64])
def test_what_is_no_hexadecimal_of_that_size_is_empty(text):
    assert read_hex(text, 32) == b""


# ---- in the hello ----------------------------------------------------------------------------------------------------
SEALED = msgspec.structs.replace(HOST, sealed=True)
LIMITS = LimitsTable()
PROVING = msgspec.structs.replace(HELLO, nonce="ab" * 32)


def test_both_ends_sign_the_same():
    one, other = client(), server()
    other.receive(one.hello(PROVING))
    one.receive(other.challenge(Challenge(node="a1", nonce="cd" * 32)))
    assert one.transcript == other.transcript != b""
    proof = SEAL.prove(CLIENT, one.transcript, b"")
    ((*_, received),) = other.receive(one.proof(proof))
    assert SEAL.accepts(bytes.fromhex(received.proof), CLIENT, other.transcript, b"") is not None
    one.receive(other.welcome(SEALED.welcome("json", SURFACE, b"\x01")))
    assert one.state is packets.State.OPEN


@pytest.mark.parametrize(
    ("host", "hello", "text"),
    [
        (SEALED, HELLO, "this mesh has a secret, and the client has none"),
        (HOST, PROVING, "the client has a mesh secret, and this host has none"),
        (SEALED, msgspec.structs.replace(HELLO, nonce="ab"), "32 bytes"),
    ],
)
def test_who_has_no_secret_where_one_is_wanted_or_the_reverse_is_told_what_to_set(host, hello, text):
    reject = host.judge(hello)
    assert (reject.reason, text in reject.message) == ("secret", True)
    assert text == "32 bytes" or "[security] secret" in reject.message


@pytest.mark.parametrize("kind", [packets.HELLO, packets.CHALLENGE, packets.PROOF])
def test_a_stranger_says_no_more_than_the_limit_of_a_hello(kind):
    end = Connection(Role.CLIENT if kind == packets.CHALLENGE else Role.SERVER, LIMITS)
    if kind == packets.CHALLENGE:
        end.hello(PROVING)
    if kind == packets.PROOF:
        end.receive(client().hello(PROVING))
        end.challenge(Challenge(node="a1", nonce="cd" * 32))
    ((found, *_, error),) = end.receive(header(kind, 8193))
    assert found == packets.BROKEN
    assert "at most 8192 are taken" in str(error)
