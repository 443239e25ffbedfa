"""A blocked loop is seen from outside and named."""

import asyncio
import logging
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
