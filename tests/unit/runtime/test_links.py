"""Ways to a node: one dial shared by all who wait for it, each with its own deadline; nothing left when the node goes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from vyked_host.errors import DeadlineExceeded, Unavailable
from vyked_host.model.description import EndpointDescription, Kind, Surface
from vyked_host.model.message import Fault
from vyked_host.model.topology import Address, Generation, NodeRecord, is_earlier
from vyked_host.runtime.links import Link, Way, by_preference

TCP = Address(transport="tcp", uri="tcp://10.0.0.1:4502")
HTTP = Address(transport="http", uri="http://10.0.0.1:4501")
UNIX = Address(transport="tcp", uri="unix:/run/a.sock")
HOME = Address(transport="local", uri="local:")
NATS = Address(transport="nats", uri="nats:node.a")
DIAL_S = 5.0


class Dialled:
    """A channel, as far as links look at it."""

    codec = "msgpack"

    def __init__(self, node_id: str = "a") -> None:
        self.node_id = node_id
        self.generation: Generation | None = None
        self.retired: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1


class Dialling:
    """Counts dials; each waits until `answer` or `fail`."""

    def __init__(self) -> None:
        self.dials: list[asyncio.Future[Any]] = []
        self.limits: list[float] = []

    async def __call__(self, _address: Address, limit: float) -> Any:
        self.dials.append(asyncio.get_running_loop().create_future())
        self.limits.append(limit)
        return await self.dials[-1]


def way_to(dial: Callable[..., Any], *addresses: Address) -> Way:
    record = NodeRecord(node_id="a", namespace="test", addresses=addresses or (TCP,), instances=())
    return Link(record, dial, DIAL_S).best


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_the_nearest_address_comes_first_and_order_is_kept_among_equals() -> None:
    assert by_preference((NATS, HTTP, TCP, UNIX, HOME), None) == [HOME, UNIX, TCP, NATS, HTTP]


def test_one_transport_may_be_insisted_on() -> None:
    assert by_preference((NATS, HTTP, TCP, UNIX, HOME), "tcp") == [UNIX, TCP]
    assert by_preference((TCP,), "http") == []


async def test_callers_share_one_dial() -> None:
    dial = Dialling()
    way = way_to(dial)
    first, second = (asyncio.ensure_future(way.open(soon(5))) for _ in range(2))
    await turns()
    dial.dials[0].set_result(channel := Dialled())
    assert [await first, await second, await way.open(soon(5))] == [channel] * 3
    assert len(dial.dials) == 1


async def test_each_caller_waits_for_the_dial_no_longer_than_its_own_deadline() -> None:
    dial = Dialling()
    way = way_to(dial)
    patient, hasty = asyncio.ensure_future(way.open(soon(5))), asyncio.ensure_future(way.open(soon(0.01)))
    with pytest.raises(DeadlineExceeded, match="node a") as late:
        await asyncio.wait_for(hasty, 1)
    assert late.value.executed == "not_sent"
    dial.dials[0].set_result(channel := Dialled())
    assert await patient is channel


async def test_a_hasty_first_caller_does_not_shorten_the_dial_for_the_others() -> None:
    dial = Dialling()
    way = way_to(dial)
    hasty, patient = asyncio.ensure_future(way.open(soon(0.01))), asyncio.ensure_future(way.open(soon(5)))
    with pytest.raises(DeadlineExceeded):
        await hasty
    assert dial.limits[0] > soon(DIAL_S - 1)
    dial.dials[0].set_result(channel := Dialled())
    assert await patient is channel


async def test_a_cancelled_caller_leaves_the_dial_to_the_others() -> None:
    dial = Dialling()
    way = way_to(dial)
    first, second = (asyncio.ensure_future(way.open(soon(5))) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    assert first.cancelled()
    dial.dials[0].set_result(channel := Dialled())
    assert await second is channel


async def test_who_waits_for_a_node_that_goes_away_hears_that_nothing_was_sent() -> None:
    way = way_to(Dialling())
    call = asyncio.ensure_future(way.open(soon(5)))
    await turns()
    await way.aclose()
    with pytest.raises(Unavailable, match=r"node a .*closed") as gone:
        await call
    assert gone.value.executed == "not_sent"


async def test_a_dial_that_succeeds_while_the_way_closes_leaves_no_connection() -> None:
    dial = Dialling()
    way = way_to(dial)
    call = asyncio.ensure_future(way.open(soon(5)))
    await turns()
    dial.dials[0].set_result(channel := Dialled())
    await asyncio.sleep(0)  # the dial is over, nobody has heard of it yet
    await way.aclose()
    with pytest.raises(Unavailable):
        await call
    assert (way.channel, channel.closed) == (None, 1)


async def test_a_closed_way_is_not_dialled_again() -> None:
    dial = Dialling()
    way = way_to(dial)
    await way.aclose()
    with pytest.raises(Unavailable, match="closed"):
        await way.open(soon(5))
    assert dial.dials == []


async def test_the_failure_names_each_address_and_its_cause() -> None:
    causes = {TCP: ConnectionRefusedError("refused"), UNIX: TimeoutError()}

    async def dial(address: Address, _limit: float) -> Any:
        raise causes[address]

    with pytest.raises(
        Unavailable, match=r"unix:/run/a\.sock: TimeoutError; tcp://10\.0\.0\.1:4502: refused"
    ) as failed:
        await way_to(dial, TCP, UNIX).open(soon(5))
    assert failed.value.executed == "not_sent"


async def test_the_next_address_is_tried_when_one_fails() -> None:
    channel = Dialled()

    async def dial(address: Address, _limit: float) -> Any:
        if address is UNIX:
            raise FileNotFoundError("no such socket")
        return channel

    assert await way_to(dial, TCP, UNIX).open(soon(5)) is channel


async def test_a_retired_channel_is_dialled_again_and_closed_with_the_way() -> None:
    made: list[Dialled] = []

    async def dial(_address: Address, _limit: float) -> Any:
        made.append(Dialled())
        return made[-1]

    way = way_to(dial)
    await way.open(soon(5))
    made[0].retired.set_result(None)
    await turns()
    assert way.channel is None
    assert await way.open(soon(5)) is made[1]
    await way.aclose()
    assert [each.closed for each in made] == [1, 1]


async def test_a_link_whose_node_goes_while_it_is_dialled_lets_the_dial_end() -> None:
    dial = Dialling()
    link = Link(NodeRecord(node_id="a", namespace="test", addresses=(TCP,), instances=()), dial, DIAL_S)
    call = asyncio.ensure_future(link.best.open(soon(5)))
    await turns()
    leaving = asyncio.ensure_future(link.leave())
    await turns()
    dial.dials[0].set_result(channel := Dialled())
    assert await call is channel  # it may still serve: a node that drains answers what it has begun
    leaving.cancel()
    await asyncio.wait({leaving})
    assert channel.closed == 1


def described(name: str) -> EndpointDescription:
    return EndpointDescription(
        service="s", version="1.0.0", name=name, kind=Kind.UNARY, arguments=None, result=None
    )  # fmt: skip


async def test_what_was_agreed_for_one_endpoint_is_never_taken_for_another_that_is_made_later() -> None:
    class Known(Dialled):
        surface = Surface(revision=1, endpoints=())

        def endpoint(self, wanted: EndpointDescription) -> int:
            return int(wanted.name[1:])

    way, channel = way_to(Dialling()), Known()
    for n in range(200):  # each made for one call: its memory would be used again
        assert way.agreed(channel, described(f"e{n}")) == (n, "msgpack")  # type: ignore[arg-type]


async def test_S9_an_address_that_another_node_has_by_now_is_not_called() -> None:
    stranger = Dialled("b")

    async def dial(_address: Address, _deadline: float) -> Dialled:
        return stranger

    link = Link(NodeRecord(node_id="a", namespace="test", addresses=(TCP,), instances=()), dial, DIAL_S)
    with pytest.raises(Unavailable, match="node b answers there now"):
        await link.best.open(soon(5))
    assert stranger.closed == 1


class Busy(Dialled):
    """A channel that tells how many calls wait on it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def in_flight(self) -> int:
        return self.calls


async def test_of_several_ways_the_least_busy_is_taken_and_none_is_dialled_before_it_is_needed() -> None:
    made: list[Busy] = []

    async def dial(_address: Address, _limit: float) -> Any:
        made.append(Busy())
        return made[-1]

    link = Link(NodeRecord(node_id="a", namespace="test", addresses=(TCP,), instances=()), dial, DIAL_S)

    async def call() -> Busy:
        channel: Any = await link.least_busy(None, 3).open(soon(5))
        channel.calls += 1
        return channel  # type: ignore[no-any-return]

    first = await call()
    assert made == [first]
    first.calls = 0
    assert await call() is first
    assert len({id(await call()) for _ in range(2)} | {id(first)}) == len(made) == 3
    made[1].calls = 0
    assert await call() is made[1]
    made[1].retired.set_result(None)
    await turns()
    assert await call() is made[3]
    await link.aclose()
    assert [each.closed for each in made] == [1, 1, 1, 1]


async def test_clients_that_ask_for_one_connection_share_the_first() -> None:
    link = Link(NodeRecord(node_id="a", namespace="test", addresses=(TCP,), instances=()), Dialling(), DIAL_S)
    assert link.least_busy(None, 1) is link.best
    assert link.least_busy("tcp", 1) is link.way("tcp")


# ---- lives of a node -------------------------------------------------------------------------------------------------
def life(counter: int, epoch: int = 1) -> Generation:
    return Generation(epoch=epoch, counter=counter)


def test_lives_are_compared_within_one_epoch_only() -> None:
    assert is_earlier(life(1), life(2))
    assert not any(
        is_earlier(one, other)
        for one, other in (
            (life(2), life(2)),
            (life(3), life(2)),
            (life(1, 1), life(2, 2)),
            (None, life(2)),
            (life(1), None),
        )
    )


@pytest.mark.parametrize(
    ("found", "fits"), [(life(4), False), (life(5), True), (life(6), True), (life(4, 2), True), (None, True)]
)
async def test_an_earlier_life_of_the_node_is_nobody_to_call(found: Generation | None, fits: bool) -> None:
    channel = Dialled()
    channel.generation = found

    async def dial(_address: Address, _limit: float) -> Any:
        return channel

    link = Link(NodeRecord(node_id="a", namespace="test", addresses=(TCP,), instances=()), dial, DIAL_S)
    link.generation = life(5)
    if fits:
        assert await link.best.open(soon(5)) is channel
        return
    with pytest.raises(Unavailable, match="an earlier life of it answers there now") as refused:
        await link.best.open(soon(5))
    assert (refused.value.executed, channel.closed) == ("not_sent", 1)
