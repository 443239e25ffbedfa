"""Who may say what when: every cell of the table, tried."""

from __future__ import annotations

import pytest

from vyked_host.errors import LocalProtocolError, RemoteProtocolError
from vyked_host.model.message import Fault
from vyked_host.wire import packets
from vyked_host.wire.connection import Connection
from vyked_host.wire.hello import Challenge, Reject
from vyked_host.wire.packets import NEXT, RECEIVES, SENDS, PacketKind, Role, State
from vyked_host.wire.pieces import UNCUT_BYTES

from .ends import HELLO, HOST, SURFACE, client, header, opened, server

FAULT = Fault(code="INTERNAL", message="no", executed="executed")
CHALLENGE = Challenge(node="a1", nonce="00" * 32)
SENDERS = {
    PacketKind.HELLO: lambda c: c.hello(HELLO),
    PacketKind.WELCOME: lambda c: c.welcome(HOST.welcome("json", SURFACE)),
    PacketKind.REQUEST: lambda c: c.request(1, 0, 0, 1, 1000, b""),
    PacketKind.RESPONSE: lambda c: c.response(1, b""),
    PacketKind.FAULT: lambda c: c.fault(1, FAULT),
    PacketKind.CANCEL: lambda c: c.cancel(1),
    PacketKind.ITEM: lambda c: c.item(1, b""),
    PacketKind.END: lambda c: c.end(1),
    PacketKind.CREDIT: lambda c: c.credit(1, 8),
    PacketKind.PING: lambda c: c.ping(5),
    PacketKind.PONG: lambda c: c.pong(5),
    PacketKind.GOAWAY: lambda c: c.goaway(9, "draining", "bye"),
    PacketKind.SURFACE: lambda c: c.surface(SURFACE),
    PacketKind.REJECT: lambda c: c.reject(Reject(reason="busy", message="full")),
    PacketKind.CHALLENGE: lambda c: c.challenge(CHALLENGE),
    PacketKind.PROOF: lambda c: c.proof(bytes(32)),
    PacketKind.PIECE: lambda c: b"".join(c.large((1, 0, 0, packets.ITEM, 0, 0, 0), bytes(UNCUT_BYTES + 1)).next()),
}


def brought(role: Role, state: State) -> Connection:
    """An end that is in `state`."""
    if state is State.OPEN:
        return opened()[0 if role is Role.CLIENT else 1]
    one, other = client(), server()
    if state is not State.FRESH:
        other.receive(one.hello(HELLO))
    if state in (State.CHALLENGED, State.PROVEN):
        one.receive(other.challenge(CHALLENGE))
    if state is State.PROVEN:
        other.receive(one.proof(bytes(32)))
    if state is State.CLOSED:
        one.receive(other.reject(Reject(reason="busy", message="full")))
    return one if role is Role.CLIENT else other


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", PacketKind)
def test_an_end_sends_exactly_what_the_table_allows(role, state, kind):
    end = brought(role, state)
    assert end.state is state
    if kind in SENDS[role, state]:
        assert SENDERS[kind](end)[12] == kind
        assert end.state is NEXT.get((state, kind), state)
    else:
        with pytest.raises(
            LocalProtocolError, match=rf"{kind.name} can't be sent by a {role.value} while .* {state.value}"
        ):
            SENDERS[kind](end)
        assert end.state is state


@pytest.mark.parametrize("state", [each for each in State if each is not State.CLOSED])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", PacketKind)
def test_an_end_accepts_exactly_what_the_table_allows(role, state, kind):
    other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    sayable = next(s for s in State if kind in SENDS[other, s] or kind in SENDS[role, s])
    sender = other if kind in SENDS[other, sayable] else role
    data = SENDERS[kind](brought(sender, sayable))
    end = brought(role, state)
    found = end.receive(data)
    if kind in RECEIVES[role, state]:
        assert [packet[0] for packet in found] == [kind]
        assert end.state is NEXT.get((state, kind), state)
    else:
        assert [packet[0] for packet in found] == [packets.BROKEN]
        assert end.closed


def test_the_tables_cover_every_role_and_state():
    cells = {(role, state) for role in Role for state in State}
    assert set(SENDS) == set(RECEIVES) == cells


@pytest.mark.parametrize("role", Role)
def test_what_one_end_may_send_when_open_the_other_accepts(role):
    other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    assert SENDS[role, State.OPEN] == RECEIVES[other, State.OPEN]


@pytest.mark.parametrize("role", Role)
def test_a_closed_end_hears_nothing(role):
    end = brought(role, State.CLOSED)
    assert end.receive(header(packets.PING) * 3) == []
    assert not end.incomplete


@pytest.mark.parametrize("state", State)
def test_a_farewell_can_always_be_said(state):
    end = brought(Role.SERVER, state)
    assert end.farewell(RemoteProtocolError("you broke it"))[12] == packets.GOAWAY
    assert end.closed
