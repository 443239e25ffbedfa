"""The order of the drain as data, readiness as a function, tasks that end in time or are named."""

import asyncio
import contextlib
import logging
from typing import Any

import pytest

from vyked_host.runtime.drain import STEPS
from vyked_host.runtime.health import Health, readiness
from vyked_host.runtime.lag import LoopLag
from vyked_host.runtime.tasks import TaskScope

ORDER = [each.name for each in STEPS]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("unready", "withdraw"),  # probes first, then routing
        ("withdraw", "stop accepting"),  # others look elsewhere before the door closes
        ("stop accepting", "finish handlers"),
        ("finish handlers", "flush events"),  # handlers publish to their end
        ("flush events", "close listeners"),
        ("finish handlers", "close listeners"),  # their answers leave through them
        ("close listeners", "stop services"),
        ("stop services", "close the rest"),  # on_stop may still call and publish
    ],
)
def test_the_drain_does_one_thing_before_the_other(first: str, then: str) -> None:
    assert ORDER.index(first) < ORDER.index(then)


def test_the_drain_ends_with_the_rest_and_names_each_step_once() -> None:
    assert ORDER[-1] == "close the rest"
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize(
    ("phase", "waiting", "problems", "reasons"),
    [
        ("serving", {}, {}, {}),
        ("draining", {}, {}, {"host": "it is draining"}),
        ("serving", {"a": "waiting (b, c)"}, {}, {"a": "waiting (b, c)"}),
        (
            "starting",
            {"a": "waiting (b)"},
            {"disk": "full"},
            {"disk": "full", "host": "it is starting", "a": "waiting (b)"},
        ),
    ],
)
def test_readiness_names_every_reason(
    phase: str, waiting: dict[str, str], problems: dict[str, str], reasons: dict[str, str]
) -> None:
    ready, told = readiness(phase, waiting, problems)
    assert ready == (not reasons)
    assert told == {"ready": ready, "phase": phase, "reasons": reasons}


async def test_checks_that_fail_or_lag_are_reasons_and_keep_no_other_from_answering() -> None:
    async def fails() -> str | None:
        raise KeyError("x")

    async def well() -> str | None:
        return None

    async def bad() -> str | None:
        return "no disk"

    lag = LoopLag()
    lag.lag_s = 3.0
    health = Health([], lag)
    health.add([("fails", fails), ("well", well), ("disk", bad)])
    found = await health.problems()
    assert found == {"fails": "the check failed: KeyError('x')", "disk": "no disk", "event loop": "it lags by 3.0 s"}


async def test_cancelled_tasks_end_and_those_that_do_not_are_named(caplog: pytest.LogCaptureFixture) -> None:
    scope, gate = TaskScope(logging.getLogger("test")), asyncio.Event()

    async def clings() -> None:
        while not gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await gate.wait()

    async def starts_another() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            scope.spawn(asyncio.Event().wait(), "another")

    clinging = scope.spawn(clings(), "clinging")
    scope.spawn(starts_another(), "starts another")
    await asyncio.sleep(0)
    assert await scope.cancel(0.05) == ["clinging"]
    gate.set()
    await clinging


async def test_the_failure_of_a_task_nobody_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    scope = TaskScope(logging.getLogger("test"))

    async def fails() -> Any:
        raise ValueError("lost otherwise")

    scope(fails(), "work")
    await scope.idle()
    await asyncio.sleep(0)
    assert "task work failed" in caplog.text
    assert "lost otherwise" in caplog.text
