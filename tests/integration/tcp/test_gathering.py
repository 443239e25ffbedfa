"""Several buffers are written at once; whoever writes them is told when too much waits, on each Python."""

from __future__ import annotations

import asyncio
import socket

import pytest

from vyked_host.builtin.tcp.sockets import gathering

AFFECTED = [(3, 12, 0), (3, 12, 8), (3, 13, 0), (3, 13, 1)]
WELL = [(3, 11, 7), (3, 12, 9), (3, 13, 2), (3, 14, 0)]


class Writer(asyncio.Protocol):
    """Is told when too much waits."""

    def __init__(self) -> None:
        self.is_paused = False

    def pause_writing(self) -> None:
        self.is_paused = True


@pytest.fixture
async def unread():
    """A connection of asyncio's own loop whose other end reads nothing."""
    near, far = socket.socketpair()
    near.setblocking(False)
    transport, protocol = await asyncio.get_running_loop().create_connection(Writer, sock=near)
    yield transport, protocol
    transport.abort()
    far.close()


async def test_buffers_that_nobody_reads_pause_whoever_writes_them(unread) -> None:
    transport, protocol = unread
    gather = gathering(transport)
    for _ in range(64):
        gather([b"head", memoryview(bytes(64 << 10))])
    assert transport.get_write_buffer_size() > 0
    assert protocol.is_paused


@pytest.mark.parametrize("version", AFFECTED)
async def test_where_asyncio_forgets_to_say_so_they_are_joined(unread, version) -> None:
    assert gathering(unread[0], version) != unread[0].writelines


@pytest.mark.parametrize("version", WELL)
async def test_elsewhere_none_is_copied_by_us(unread, version) -> None:
    assert gathering(unread[0], version) == unread[0].writelines
