"""What the fuzzer throws bytes at, and what has to hold whatever they are. Each target takes one input; an exception is a finding.

`test_wire` uses the same checks with bytes that hypothesis makes, `test_corpus` with what a fuzzer has found before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.unit.wire.ends import HELLO, client, opened, server
from vyked_host.model import unix
from vyked_host.wire import packets
from vyked_host.wire.connection import Connection
from vyked_host.wire.envelope import MalformedEnvelope, pack, unpack
from vyked_host.wire.metadata import unpack as metadata
from vyked_host.wire.packets import PacketKind, Role
from vyked_host.wire.pieces import MOST_PARTED

FOLDER = Path(__file__).parent / "corpus"


def hears(end: Connection, data: bytes, step: int) -> list[packets.Packet]:
    """What `end` makes of `data` that comes in pieces of `step` bytes."""
    found: list[packets.Packet] = []
    for at in range(0, len(data), step):
        found += end.receive(data[at : at + step])
    return found


def _plain(found: list[packets.Packet]) -> list[object]:
    """Packets as they can be compared: errors by their text."""
    return [(*each[:7], str(each[7])) for each in found]


def _hearer(speaker: Role) -> Connection:
    return opened()[1 if speaker is Role.CLIENT else 0]


def check_open(speaker: Role, data: bytes, step: int) -> None:
    """An end that is open reads what it hears or breaks the connection off, keeps no more than it got, and sees the same however the
    bytes are cut."""
    hearer = _hearer(speaker)
    found = hears(hearer, data, step)
    assert all(each[0] == packets.BROKEN or each[0] in set(PacketKind) for each in found)
    assert [each[0] for each in found[:-1]].count(packets.BROKEN) == 0
    assert hearer.closed == (bool(found) and found[-1][0] in (packets.BROKEN, packets.REJECT))
    assert len(hearer._left) + sum(len(kept) for kept, _ in hearer._assembly._parts.values()) <= len(data)
    assert len(hearer._assembly) <= MOST_PARTED
    assert _plain(found) == _plain(_hearer(speaker).receive(data))


def check_first_words(role: Role, data: bytes) -> None:
    """An end that nobody has spoken to takes no harm from what it hears first."""
    end = client() if role is Role.CLIENT else server()
    if role is Role.CLIENT:
        end.hello(HELLO)
    found = end.receive(data)
    assert [each[0] for each in found[:-1]].count(packets.BROKEN) == 0
    assert len(end._left) <= len(data)


def _open(data: bytes) -> None:
    if len(data) > 2:
        check_open(Role.CLIENT if data[0] & 1 else Role.SERVER, data[2:], 1 + data[1])


def _hello(data: bytes) -> None:
    if data:
        check_first_words(Role.CLIENT if data[0] & 1 else Role.SERVER, data[1:])


def _envelope(data: bytes) -> None:
    """What is no event is refused in one way; what is one says the same when it is packed again."""
    try:
        event = unpack(data)
    except MalformedEnvelope:
        return
    assert unpack(pack(event)) == event


def _metadata(data: bytes) -> None:
    """Pairs of texts, or a ValueError."""
    try:
        found = metadata(data)
    except ValueError:
        return
    assert all(isinstance(each, str) for pair in found.items() for each in pair)


def _unix(data: bytes) -> None:
    """An address is None, or says the same when it is written again. What is no URI at all is a ValueError."""
    try:
        found = unix.of(data.decode(errors="replace"))
    except ValueError:
        return
    assert found is None or unix.of(found.uri) == found


TARGETS: dict[str, Callable[[bytes], None]] = {
    "open": _open, "hello": _hello, "envelope": _envelope, "metadata": _metadata, "unix": _unix,
}  # fmt: skip


@cache
def corpus(name: str) -> tuple[bytes, ...]:
    """The inputs of one target that are worth to be kept: one a line, in hexadecimal."""
    return tuple(bytes.fromhex(line) for line in (FOLDER / f"{name}.txt").read_text().splitlines())


def keep(name: str, inputs: set[bytes]) -> None:
    """Write the corpus of one target anew."""
    FOLDER.mkdir(exist_ok=True)
    lines = sorted((each.hex() for each in inputs), key=lambda line: (len(line), line))
    (FOLDER / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
