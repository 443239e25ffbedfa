"""Rows S4 and S7 for real: control groups that kill, and that give a tenth of a processor."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.faults.fleet import Worker
from tests.faults.history import breaches_of_calls, percentile
from tests.faults.load import Calls, Watching
from tests.faults.mesh import UNSCALED, H, S, T, meets
from vyked_host.errors import CallError
from vyked_host.testing.waiting import eventually

ROOT = Path("/sys/fs/cgroup")


class Group:
    """A control group of the first version, for one resource."""

    def __init__(self, kind: str, **settings: object) -> None:
        self._path = ROOT / kind / f"vyked-{random.SystemRandom().randrange(1 << 32):08x}"
        if not (ROOT / kind).is_dir():
            pytest.skip(f"this machine has no control groups for {kind}")
        self._path.mkdir()
        for name, value in settings.items():
            (self._path / f"{kind}.{name}").write_text(str(value))

    def take(self, pid: int) -> None:
        (self._path / "cgroup.procs").write_text(str(pid))

    def close(self) -> None:
        self._path.rmdir()


@pytest.fixture
def group():
    made = []

    def make(kind, **settings):
        made.append(Group(kind, **settings))
        return made[-1]

    yield make
    for each in made:
        until = time.monotonic() + 5
        while True:
            try:
                each.close()
                break
            except OSError:  # who is being killed is still in it
                assert time.monotonic() < until


async def passes(seconds):
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() > until, seconds + 10)


async def fleet(mesh, group):
    nodes = [mesh.spawn("hub", "gauge"), *(mesh.spawn(f"w{each}", "worker", options="delay=0.02") for each in range(3))]
    for each in nodes:
        await each.ready()
    driver = await mesh.driver()
    await meets(driver, "worker", 3)
    watcher = Watching(driver, "driver")
    mesh.defer(watcher.aclose)
    await eventually(lambda: watcher.told)
    return nodes[1:], driver, watcher


async def test_S7_the_kernel_kills_who_takes_too_much_memory_and_it_dies_alone(group, mesh, timeline):
    workers, driver, watcher = await fleet(mesh, group)
    victim = workers[0]
    limit = group("memory", limit_in_bytes=192 << 20)
    limit.take(victim.pid)
    async with Calls(driver) as load:
        worker = driver.client(Worker)

        async def hoard():
            for _ in range(8):
                await worker.hoard.using(instance=victim.node_id, timeout=5)(64 << 20)

        with pytest.raises(CallError) as caught:
            await hoard()
        code = await victim.ended()
        died = timeline.note("killed by the kernel")
        await eventually(lambda: victim.node_id in watcher.gone, 10)
        await passes(T)
    timeline.note("S7", code=code, removed=watcher.gone[victim.node_id] - died, failures=load.failures())
    assert code == -9
    assert caught.value.executed in ("unknown", "not_sent")
    assert breaches_of_calls(load.made, mesh.executions()) + watcher.breaches() == []
    assert [each for each in load.failed if each.idempotent] == []
    assert {each.outcome for each in load.failed} <= {"unknown"}
    assert watcher.gone[victim.node_id] - died <= T + S + mesh.slack()()
    assert set(watcher.gone) == {victim.node_id}
    await mesh.start("again", "worker")
    await meets(driver, "worker", 3)


async def test_S4_a_tenth_of_a_processor_is_slow_and_not_dead(group, new_mesh, timeline):
    mesh = new_mesh(UNSCALED)
    workers, driver, watcher = await fleet(mesh, group)
    async with Calls(driver, tasks=60, rate=150, timeout=10) as load:
        await passes(3)
        before = load.took(0.99)
        group("cpu", cfs_quota_us=10_000, cfs_period_us=100_000).take(workers[0].pid)
        since = time.monotonic()
        await passes(8)
    others = [each.ended - each.began for each in load.made if each.began > since]
    timeline.note(
        "S4", p99_before=before, p50_after=percentile(others, 0.5), gone=watcher.gone, failures=load.failures()
    )
    assert breaches_of_calls(load.made, mesh.executions()) + watcher.breaches() == []
    assert watcher.gone == {}
    assert load.failed == []
    assert percentile(others, 0.5) < 1.25 * before + 0.25
    assert H
