"""Row T1 for real: the wall clock of whole processes jumps, by libfaketime."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.fleet import Worker
from tests.faults.history import breaches_of_calls, breaches_of_emptiness
from tests.faults.load import Calls, Watching
from tests.faults.mesh import T, meets
from tests.faults.test_registry import Census
from vyked_host.errors import DeadlineExceeded
from vyked_host.testing.waiting import eventually

HOUR = 3600


def library():
    """libfaketime, wherever the system keeps it."""
    found = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), *Path("/usr/lib").glob("faketime/libfaketime.so.1")]
    assert found, "make chaos needs libfaketime (Debian: faketime)"
    return str(found[0])


async def passes(seconds):
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() > until, seconds + 10)


async def test_T1_a_wall_clock_that_jumps_in_every_process_changes_nothing(mesh, timeline):
    clock = mesh.folder / "clock"
    clock.write_text("+0")
    mesh.environ = {
        "LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    nodes = [await mesh.start(f"w{each}", "worker") for each in range(4)]
    driver = await mesh.driver()
    await meets(driver, "worker", 4)
    watcher, census = Watching(driver, "driver"), Census(driver, "worker")
    mesh.defer(watcher.aclose)
    mesh.defer(census.aclose)
    await eventually(lambda: watcher.told)
    errors = []
    async with Calls(driver, tasks=20, rate=200) as load:
        for jump in (HOUR, -HOUR, 2 * HOUR, -2 * HOUR, 0):
            clock.write_text(f"{jump:+d}")
            timeline.note(f"the clock says {jump:+d} s")
            slack = mesh.slack()
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await driver.client(Worker).work.using(timeout=0.3)(f"slow{jump}", 2.0)
            errors.append(time.monotonic() - began - 0.3 - (slack() - 0.25))
            await passes(2 * T)
    late = await mesh.start("late", "worker")  # its log begins with the clock as it is now
    timeline.note("T1", deadlines_off_by=errors, failures=load.failures(), gone=watcher.gone, late=late.is_ready)
    times = {line["time"][:13] for each in nodes for line in each.said}
    runs = [each for each in mesh.executions() if not each.id.startswith("slow")]
    assert breaches_of_calls(load.made, runs) + watcher.breaches() + breaches_of_emptiness(census.counts, least=4) == []
    assert times
    assert load.failed == []
    assert watcher.gone == {}
    assert max(errors) <= 0.1
