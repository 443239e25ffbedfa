"""An answered call is gone at once: nothing of it waits for the garbage collector."""

import gc

import pytest

from vyked_host import Service, api
from vyked_host.runtime.answers import Answer
from vyked_host.testing import running


class Echo(Service, name="echo", version="1.0.0"):
    @api
    async def echo(self, text: str) -> str:
        return text


@pytest.mark.parametrize("over", ["local", "tcp", "http"])
async def test_answered_calls_leave_no_circles_behind(over: str) -> None:
    async with running(Echo, over=over) as mesh:
        echo = mesh.client(Echo).echo
        await echo("first")
        gc.collect()
        gc.disable()
        try:
            for _ in range(200):
                await echo("again")
            left = sum(isinstance(each, Answer) for each in gc.get_objects())
        finally:
            gc.enable()
    assert left < 5
