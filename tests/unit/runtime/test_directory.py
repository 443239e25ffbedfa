"""The view of one host: who may be called, with what its node says of itself now."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from vyked_host.errors import Unavailable, VersionMismatch
from vyked_host.model.message import Call
from vyked_host.model.settings import ClientTable
from vyked_host.model.topology import Change, Doubt, Generation, Instance, NodeRecord, Status
from vyked_host.runtime.directory import Directory, Target
from vyked_host.runtime.links import Link

CALL = Call(0, 0, "", None, 0.0)
EPOCH = 1
NOW = 100.0


class First:
    """A balancer that takes the first, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: Sequence[Any] = ()

    def update(self, candidates: Sequence[Any]) -> None:
        self.given = candidates

    def choose(self, call: Call) -> Any:
        return self.given[0]


def record(
    node_id: str, *, version: str = "1.0.0", status: Status = "active", weight: float = 1.0, **labels: str
) -> NodeRecord:
    shop = Instance(service="shop", version=version, status=status, weight=weight)
    return NodeRecord(node_id=node_id, namespace="test", addresses=(), instances=(shop,), labels=labels)


def link_to(found: NodeRecord) -> Link:
    async def dial(_address: Any, _limit: float) -> Any:
        raise AssertionError("nobody dials here")

    return Link(found, dial, 1.0)


REVISIONS = itertools.count(1)


def told(
    *nodes: NodeRecord, gone: tuple[str, ...] = (), snapshot: bool = False, epoch: int = EPOCH, **doubts: Doubt
) -> Change:
    pairs = tuple((Generation(epoch=epoch, counter=1), each) for each in nodes)
    return Change(epoch=epoch, revision=next(REVISIONS), snapshot=snapshot, nodes=pairs, gone=gone, doubts=doubts)


@pytest.fixture
def directory() -> Directory:
    home = NodeRecord(node_id="home", namespace="test", addresses=(), instances=())
    made = Directory(link_to(home))
    made.dial_with(link_to)
    made.apply(told(snapshot=True), NOW)
    return made


def follow(directory: Directory, version: str | None = None) -> Target:
    return directory.follow(Target("shop", version, ClientTable(), First(), "home"))


def test_new_labels_and_weight_of_a_known_node_reach_the_balancer_and_its_load_is_kept(directory: Directory) -> None:
    target = follow(directory)
    directory.apply(told(record("a", weight=1.0, zone="east")), NOW)
    before = target.choose(CALL)
    before.in_flight = 3
    directory.apply(told(record("a", weight=0.5, zone="west")), NOW)
    after = target.choose(CALL)
    assert after is before
    assert (after.labels, after.weight, after.in_flight) == ({"zone": "west"}, 0.5, 3)


def test_a_node_that_is_gone_is_no_candidate_and_its_link_is_handed_back(directory: Directory) -> None:
    target = follow(directory)
    directory.apply(told(record("a"), record("b")), NOW)
    link = target.named("a").link
    assert directory.apply(told(gone=("a",)), NOW) == [link]
    assert [each.node_id for each in target.instances] == ["b"]
    directory.apply(told(record("a")), NOW)
    assert target.named("a").link is not link


def test_a_snapshot_replaces_all_but_home(directory: Directory) -> None:
    directory.apply(told(record("a")), NOW)
    directory.apply(told(record("b"), snapshot=True), NOW)
    assert set(directory.nodes) == {"home", "b"}


@pytest.mark.parametrize(
    ("known", "kind", "says"),
    [
        ((), Unavailable, "no instance of shop 1.0.0 is known"),
        ((record("a", version="2.0.0"),), VersionMismatch, "known: 2.0.0 at a"),
        ((record("a", status="draining"),), Unavailable, "1.0.0 at a is draining"),
    ],
)
def test_nobody_to_call_says_who_is_known(
    directory: Directory, known: tuple[NodeRecord, ...], kind: type[Exception], says: str
) -> None:
    target = follow(directory, "1")
    directory.apply(told(*known), NOW)
    with pytest.raises(kind, match=says) as absent:
        target.choose(CALL)
    assert absent.value.executed == "not_sent"  # type: ignore[attr-defined]


async def test_who_waits_for_a_change_and_is_cancelled_leaves_nothing(directory: Directory) -> None:
    waiting = asyncio.ensure_future(directory.change())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert directory._changed == []
    waiting = asyncio.ensure_future(directory.change())
    await asyncio.sleep(0)
    directory.apply(told(record("a")), NOW)
    await asyncio.wait_for(waiting, 1)


async def test_a_link_that_does_not_close_keeps_no_other_open(directory: Directory) -> None:
    closed: list[str] = []
    target = follow(directory)
    directory.apply(told(record("a"), record("b")), NOW)

    async def broken() -> None:
        raise OSError("no")

    async def well() -> None:
        closed.append("b")

    target.named("a").link.aclose = broken  # type: ignore[method-assign]
    target.named("b").link.aclose = well  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no"):
        await directory.aclose()
    assert closed == ["b"]


def test_a_link_knows_which_life_of_its_node_is_the_present_one(directory: Directory) -> None:
    target = follow(directory)
    directory.apply(told(record("a")), NOW)
    link = target.choose(CALL).link
    assert link.generation == Generation(epoch=EPOCH, counter=1)
    again = told(record("a"))
    later = Generation(epoch=EPOCH, counter=2)
    directory.apply(msgspec.structs.replace(again, nodes=((later, record("a")),)), NOW)
    assert link.generation == later
