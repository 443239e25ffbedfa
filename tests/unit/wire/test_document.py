"""docs/wire-protocol.md says what the code does: its example is played, its tables are compared."""

from __future__ import annotations

import re
from pathlib import Path

from vyked_host.wire import packets
from vyked_host.wire.packets import HEADER_BYTES, SENDS, PacketKind, Role, State
from vyked_host.wire.proof import CLIENT, SERVER, Seal, framed

from .ends import HELLO, client, server

TEXT = (Path(__file__).parents[3] / "docs" / "wire-protocol.md").read_text()
HEX = re.compile(r"[0-9a-f ]+")


def example() -> list[tuple[str, str, bytes]]:
    """(direction, name, bytes) of each packet of section 9."""
    found: list[tuple[str, str, bytes]] = []
    for line in TEXT.partition("## 9. Example")[2].partition("## 10.")[0].splitlines():
        said = line.strip()
        if not line.startswith("    ") or not said:
            continue
        if said[0] in "<>":
            found.append((said[0], re.findall(r"\w+", said)[0], b""))
        else:
            direction, name, data = found[-1]
            more = bytes.fromhex(said) if HEX.fullmatch(said) else said.encode()
            found[-1] = (direction, name, data + more)
    return found


def test_the_example_is_what_both_ends_say_and_understand():
    ends = {"<": client(), ">": server()}
    ends["<"].hello(HELLO)
    heard = []
    for direction, name, data in example():
        found = ends[direction].receive(data)
        assert [PacketKind(packet[0]).name for packet in found] == [name], (name, found)
        assert not ends[direction].incomplete
        heard += found
        if name == "HELLO":
            ends[">"].receive(b"")
            ends[">"].state = State.GREETED
            ends[">"]._enter(State.OPEN)
    assert [packet[0] for packet in heard] == [1, 2, 3, 4, 3, 5, 3, 7, 9, 4, 10, 11, 12]
    hello, welcome, request, _, with_meta, fault, *_ = heard
    assert (hello[7].mesh, hello[7].callers, hello[7].limits.message) == ("demo", ("shop/1.0.0",), 65536)
    assert welcome[7].generation == (81985529216486895, 4)
    assert request[1:] == (1, 0, 1, 1, 5000, None, b'"hi"')
    assert b"traceparent" in with_meta[6].headers
    assert with_meta[7] == b'"hi"'
    assert (fault[7].code, fault[7].executed, fault[7].retry_after_s) == ("RESOURCE_EXHAUSTED", "not_executed", 0.1)
    assert heard[-1][1] == 3


def test_the_example_is_byte_for_byte_what_the_code_writes():
    said = {name: data for _, name, data in example() if name in ("CREDIT", "PING", "PONG")}
    one, other = client(), server()
    one._enter(State.OPEN)
    other._enter(State.OPEN)
    assert said == {"CREDIT": one.credit(3, 1), "PING": other.ping(7), "PONG": one.pong(7)}
    assert one.request(1, 0, 1, 1, 5000, b'"hi"') in [data for _, _, data in example()]


def test_the_proofs_of_the_example_are_those_of_the_code():
    seal = Seal(("correct horse battery staple",))
    signed = (framed(b'{"nonce":"00"}', b'{"nonce":"ff"}'), b"")
    said = dict(re.findall(r"^    (client|server) ([0-9a-f]{64})$", TEXT, re.M))
    assert said == {"client": seal.prove(CLIENT, *signed).hex(), "server": seal.prove(SERVER, *signed).hex()}


def test_the_header_is_as_long_as_its_table():
    rows = re.findall(
        r"^\| (\d+) \| (\d+) \| (?:length|call id|endpoint|caller|kind|flags|attempt|reserved|value) ", TEXT, re.M
    )
    assert len(rows) == 9
    assert sum(int(size) for _, size in rows) == HEADER_BYTES
    assert [int(offset) for offset, _ in rows] == [sum(int(size) for _, size in rows[:n]) for n in range(9)]


def test_every_kind_stands_in_the_table_with_its_number_and_sender():
    rows = re.findall(r"^\| (\d+) \| ([A-Z]+) \| (client|server|both) ", TEXT, re.M)
    assert {name: int(number) for number, name, _ in rows} == {kind.name: kind.value for kind in PacketKind}
    for number, _, sender in rows:
        says = {role.value for role in Role if any(int(number) in SENDS[role, state] for state in State)}
        assert says == ({"client", "server"} if sender == "both" else {sender})


def test_the_states_are_those_of_the_code():
    for state in State:
        _, line, _ = re.split(rf"^(\| {state.value} \|.*)$", TEXT, maxsplit=1, flags=re.M)
        _, _, from_client, from_server = (cell.strip() for cell in line.strip("|").split("|"))
        for role, cell in ((Role.CLIENT, from_client), (Role.SERVER, from_server)):
            named = set() if cell == "nothing" else {packets.PacketKind[name].value for name in cell.split(", ")}
            assert named == SENDS[role, state]
