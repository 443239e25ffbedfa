"""A blocked loop is seen from outside and named."""

import asyncio
import logging
import signal
import subprocess
import sys
import time

import pytest

from vyked_host.runtime.watchdog import Watchdog


async def test_what_blocks_the_loop_is_logged_with_its_line(caplog: pytest.LogCaptureFixture) -> None:
    watchdog = Watchdog(logging.getLogger("vyked"), blocked_s=0.3)
    watchdog.start()
    try:
        time.sleep(1.0)  # noqa: ASYNC251 - this is the blockage
    finally:
        watchdog.stop()
    assert "the event loop is blocked" in caplog.text
    assert "time.sleep(1.0)" in caplog.text


async def test_a_loop_that_turns_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    watchdog = Watchdog(logging.getLogger("vyked"), blocked_s=0.5)
    watchdog.start()
    for _ in range(20):
        await asyncio.sleep(0.01)
    watchdog.stop()
    assert not caplog.records


WATCHED = """
import asyncio, logging, time
from vyked_host.runtime.watchdog import Watchdog

async def main():
    logging.basicConfig(format="%(message)s")
    watchdog = Watchdog(logging.getLogger("vyked"))
    watchdog.start()
    print("watched", flush=True)
    began = time.monotonic()
    while time.monotonic() - began < 2.5:
        await asyncio.sleep(0.05)
    {then}
    watchdog.stop()

asyncio.run(main())
"""


@pytest.mark.parametrize("then", ["pass", "time.sleep(2.0)"])
def test_where_the_whole_process_stood_still_nothing_in_it_is_blamed(then: str) -> None:
    """SIGSTOP: the loop was late, and so was everything else. What blocks the loop afterwards is to blame as ever."""
    with subprocess.Popen(
        [sys.executable, "-c", WATCHED.format(then=then)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "watched\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.0)  # what the test is about: so long it stands still
        process.send_signal(signal.SIGCONT)
        _, told = process.communicate(timeout=30)
    assert "this process stood still for " in told
    assert ("the event loop is blocked" in told) == (then != "pass"), told
