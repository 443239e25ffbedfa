"""Row P10: name servers that hang or fail, and addresses that swallow everything, cost a dial a moment."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest

from vyked_host.runtime.net import AsyncioNet
from vyked_host.runtime.resolving import HEAD_START_S, Resolver, connected, in_turn
from vyked_host.testing.waiting import eventually

V4, V6 = socket.AF_INET, socket.AF_INET6


class Names:
    """A name server under the test's thumb: it answers, fails, or hangs until let go."""

    def __init__(self, *found: tuple[str, int]) -> None:
        self.found, self.asked, self.fails = list(found), 0, False
        self.go = threading.Event()
        self.go.set()

    def __call__(self, host: str, port: int, **_: Any) -> Sequence[Any]:
        self.asked += 1
        assert self.go.wait(20)
        if self.fails:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return [(V4, socket.SOCK_STREAM, 6, "", each) for each in self.found]


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.go.set()


@pytest.fixture
async def here() -> AsyncIterator[int]:
    """A port of this machine at which somebody listens."""
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def hole() -> Iterator[tuple[str, int]]:
    """An address that takes no connection and refuses none: the kernel drops what comes to a queue that is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        yield address
        for each in fillers:
            each.close()


class Hears(asyncio.Protocol):
    """Told of its connection."""

    def __init__(self) -> None:
        self.made = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.made.set_result(transport)


async def reaches(net: AsyncioNet, uri: str) -> bool:
    """Does a dial get through?"""
    link = Hears()
    async with asyncio.timeout(10):
        await net.connect(uri, lambda: link, None)
        (await link.made).abort()
    return True


async def test_P10_a_name_server_that_hangs_is_waited_for_no_longer_than_a_moment(names: Names) -> None:
    names.go.clear()
    resolver = Resolver(names, within_s=0.1)
    for _ in range(5):
        with pytest.raises(OSError, match=r"no name server said within 0\.1 s where shop\.internal is"):
            await resolver.addresses("shop.internal", 1)
    assert names.asked == 1, "one look-up at a time: threads that hang don't pile up"
    names.found = [("127.0.0.1", 1)]
    names.go.set()
    await eventually(lambda: not resolver._running)
    assert [each[4] for each in await resolver.addresses("shop.internal", 1)] == [("127.0.0.1", 1)]


@pytest.mark.parametrize("how", ["hangs", "fails"])
async def test_P10_what_a_name_meant_last_is_used_while_it_can_t_be_looked_up(
    names: Names, here: int, how: str, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    names.found = [("127.0.0.1", here)]
    net = AsyncioNet(resolver=Resolver(names, within_s=0.1))
    assert await reaches(net, f"tcp://shop.internal:{here}")
    names.fails = how == "fails"
    if how == "hangs":
        names.go.clear()
    assert await reaches(net, f"tcp://shop.internal:{here}")
    assert "shop.internal can't be looked up" in caplog.text
    assert names.asked == 2


async def test_P10_an_address_that_swallows_everything_costs_a_head_start(hole: Any, here: int) -> None:
    loop = asyncio.get_running_loop()
    net, began = AsyncioNet(resolver=Resolver(Names(hole, ("127.0.0.1", here)))), loop.time()
    assert await reaches(net, f"tcp://shop.internal:{here}")
    assert loop.time() - began >= HEAD_START_S, "the first was tried, and did not answer"


async def test_an_address_that_refuses_costs_nothing(here: int, unused: Callable[[], int]) -> None:
    found = [(V4, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (unused(), here)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    made = await connected(found)
    assert (made.getpeername()[1], loop.time() - began < HEAD_START_S) == (here, True)
    made.close()


async def test_where_all_refuse_it_is_told_of_the_first(unused: Callable[[], int]) -> None:
    found = [(V4, socket.SOCK_STREAM, 6, "", ("127.0.0.1", unused())) for _ in range(3)]
    with pytest.raises(ConnectionRefusedError):
        await connected(found)


async def test_a_name_without_an_address_and_a_name_that_is_none_are_told() -> None:
    with pytest.raises(OSError, match=r"shop\.internal has no address"):
        await Resolver(Names()).addresses("shop.internal", 1)
    with pytest.raises(OSError, match="is no name of a host"):
        await Resolver().addresses("a" * 70 + ".b", 1)


async def test_an_address_asks_nobody(names: Names) -> None:
    names.go.clear()
    resolver = Resolver()
    assert [each[4][0] for each in await resolver.addresses("127.0.0.1", 80)] == ["127.0.0.1"]
    assert [each[0] for each in await resolver.addresses("::1", 80)] == [V6]


def test_families_take_turns() -> None:
    found = [(V6, 1), (V6, 2), (V6, 3), (V4, 4)]
    assert in_turn(found) == [(V6, 1), (V4, 4), (V6, 2), (V6, 3)]


@pytest.fixture
def unused() -> Callable[[], int]:
    """Ports at which nobody listens."""

    def one() -> int:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            return int(held.getsockname()[1])

    return one
