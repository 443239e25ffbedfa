"""The file of the bus: what is written is found again, and whatever became of the bytes, it is refused or read, never believed."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from vyked_host.builtin.embedded.events.parcel import Parcel
from vyked_host.builtin.embedded.events.queue_file import QueueFile, Write
from vyked_host.errors import StartError
from vyked_host.testing.conformance.pubsub import event

QUEUE = (1, "shop", 1, "paid", "stock@1", "any")


def filled(path, count=50):
    """A file with so many events; those of an even number were given out."""
    file = QueueFile(str(path))
    file.open()
    parcels = [Parcel(event(body=bytes([n]) * 300)) for n in range(1, count + 1)]
    file.write([Write("queue", [QUEUE])])
    for number, each in enumerate(parcels, 1):
        file.write([Write("event", [(number, 1, each.packed)]), Write("seen", [(number, each.event.id, 1.5)])])
        if number % 2 == 0:
            file.write([Write("mark", [(number, number, "given", 2.5, "")])])
    file.close()
    return [each.event for each in parcels]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "events.db"
    return path, filled(path)


def read(path):
    """(events, numbers of what was left out)."""
    file = QueueFile(str(path))
    file.open()
    try:
        _, events, _, _ = file.read()
    finally:
        file.close()
    return events, file.damaged


def test_what_was_written_is_found_in_order_with_its_state(whole):
    path, events = whole
    file = QueueFile(str(path))
    file.open()
    queues, kept, seen, highest = file.read()
    file.close()
    assert queues == [QUEUE]
    assert [each.parcel.event for each in kept] == events
    assert [each.deliveries for each in kept] == [n if n % 2 == 0 else 0 for n in range(1, 51)]
    assert {each.state for each in kept} == {"waiting", "given"}
    assert seen[0] == (events[0].id, 1.5)
    assert highest == 50
    assert file.damaged == []


def test_events_are_readable_by_their_owner_only(whole):
    assert whole[0].stat().st_mode & 0o077 == 0


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    path = tmp_path / "events.db"
    filled(path, 3)
    file = QueueFile(str(path))
    file.open()
    with pytest.raises(sqlite3.IntegrityError):
        file.write([Write("event", [(4, 1, b"")]), Write("event", [(1, 1, b"")])])
    file.write([Write("forget", [(2,)])])
    file.close()
    assert [each.number for each in read(path)[0]] == [1, 3]


def test_one_at_a_time(tmp_path):
    path = tmp_path / "events.db"
    first, second = QueueFile(str(path)), QueueFile(str(path))
    first.open()
    with pytest.raises(BlockingIOError):
        second.open()
    first.close()
    second.open()
    second.close()


def test_an_event_whose_count_is_damaged_counts_as_delivered_before(tmp_path):
    path = tmp_path / "events.db"
    filled(path, 2)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE mark SET count = 7")
    db.close()
    kept, damaged = read(path)
    assert [(each.deliveries, each.state) for each in kept] == [(0, "waiting"), (1, "given")]
    assert damaged == ["mark 2"]


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda db: db.execute("PRAGMA user_version = 7"), "its form is number 7, and this release reads 1"),
        (lambda db: db.execute("PRAGMA application_id = 7"), "a database of something else"),
    ],
)
def test_the_file_of_another_release_or_program_is_refused_and_not_touched(tmp_path, spoil, cause):
    path = tmp_path / "events.db"
    filled(path, 2)
    db = sqlite3.connect(path)
    spoil(db)
    db.commit()
    db.close()
    with pytest.raises(StartError, match=cause) as refused:
        read(path)
    assert str(path) in str(refused.value)
    assert "give [pubsub.embedded] path another file" in str(refused.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "events.db"
    path.write_text("[host]\nname = 'not a database, but long enough to be looked at'\n" * 20)
    with pytest.raises(StartError, match="not a database"):
        read(path)
    assert path.read_text().startswith("[host]")


def test_a_folder_that_can_not_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"file/events\.db"):
        read(tmp_path / "file" / "events.db")


def copies(path, folder):
    """The file and its companions, copied, and nothing of an earlier one left."""
    for each in folder.iterdir():
        each.unlink()
    for each in path.parent.iterdir():
        shutil.copy(each, folder / each.name)
    return folder / path.name


BATCHES, EACH = range(10), 50
"""RELIABILITY R15: 500 mutated files, in ten tests."""


def flipped(found, chance):
    """A few bits are others. The header is spared: what it says is refused as a whole, and has tests of its own."""
    for _ in range(chance.choice((1, 3, 20))):
        found[chance.randrange(100, len(found))] ^= 1 << chance.randrange(8)
    return found


def header_flipped(found, chance):
    found[chance.randrange(100)] ^= 1 << chance.randrange(8)
    return found


def cut(found, chance):
    return found[: chance.randrange(1, len(found))]


def zeroed(found, chance):
    """A block was never written."""
    at = chance.randrange(len(found)) // 512 * 512
    return found[:at] + bytes(512) + found[at + 512 :]


def swapped(found, chance):
    """One page is where another should be."""
    one, other = (chance.randrange(len(found) // 4096) * 4096 for _ in range(2))
    found[one : one + 4096], found[other : other + 4096] = found[other : other + 4096], found[one : one + 4096]
    return found


def of_another_release(found, chance):
    """The number of its form is another (user_version: bytes 60 to 63)."""
    found[60:64] = chance.choice((0, 2, 3, 1 << 31)).to_bytes(4, "big")
    return found


MUTATIONS = (flipped, flipped, header_flipped, cut, zeroed, swapped, of_another_release)


@pytest.mark.parametrize("batch", BATCHES)
def test_R15_a_mutated_file_is_refused_or_read_in_part_and_nothing_is_read_as_something_else(whole, tmp_path, batch):
    path, events = whole
    for seed in range(batch * EACH, (batch + 1) * EACH):
        spoilt, chance = copies(path, tmp_path), random.Random(seed)
        mutated = MUTATIONS[seed % len(MUTATIONS)](bytearray(spoilt.read_bytes()), chance)
        spoilt.write_bytes(mutated)
        check(spoilt, events)


def check(spoilt: Path, events):
    before = spoilt.read_bytes()
    try:
        kept, _ = read(spoilt)
    except StartError as refused:
        told, kept = str(refused), []
    else:
        told = str(spoilt)
    assert str(spoilt) in told
    if not kept:
        assert spoilt.read_bytes() == before  # a person may still look at it
    for each in kept:
        assert each.parcel.event == events[each.number - 1]
        assert each.queue == 1
        given = (each.number, "given", 2.5) if each.number % 2 == 0 else (0, "waiting", 0.0)
        assert (each.deliveries, each.state, each.due) in {given, (1, "given", 0.0), (0, "waiting", 0.0)}
