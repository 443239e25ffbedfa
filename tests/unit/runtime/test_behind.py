"""How far groups are behind, for counters: the bus is asked when somebody looks, and never more often than it makes sense."""

import asyncio
import logging

from vyked_host.contracts import GroupLag
from vyked_host.errors import Unavailable
from vyked_host.runtime.behind import FRESH_S, OLD_S, Behind
from vyked_host.runtime.tasks import TaskScope

LOG = logging.getLogger("test")
LAG = GroupLag(
    service="shop", major=1, name="sold", group="books@1", members=1, waiting=2, in_flight=1, oldest_s=3.0, dead=4
)
PLAIN = {
    "topic": "shop.sold@1", "group": "books@1", "members": 1, "waiting": 2, "in_flight": 1, "oldest_s": 3.0, "dead": 4,
}  # fmt: skip


class Bus:
    """Knows of one group, unless it is away."""

    def __init__(self):
        self.asked = []
        self.is_away = False

    async def lag(self, groups=None):
        self.asked.append(groups)
        if self.is_away:
            raise Unavailable("away", executed="not_sent")
        return [LAG]


class Clock:
    def __init__(self):
        self.time = 1000.0

    def now(self):
        return self.time


async def looked(behind, tasks):
    found = behind.latest()
    await tasks.idle()
    return found


async def test_what_one_look_asks_for_the_next_one_sees():
    bus, clock, tasks = Bus(), Clock(), TaskScope(LOG)
    behind = Behind(bus, ["books@1"], tasks, clock, LOG)
    assert await looked(behind, tasks) == []
    assert await looked(behind, tasks) == [PLAIN]
    assert bus.asked == [frozenset({"books@1"})]
    clock.time += FRESH_S + 0.1
    assert await looked(behind, tasks) == [PLAIN]
    assert len(bus.asked) == 2


async def test_what_a_bus_that_is_away_said_long_ago_is_not_shown():
    bus, clock, tasks = Bus(), Clock(), TaskScope(LOG)
    behind = Behind(bus, ["books@1"], tasks, clock, LOG)
    await looked(behind, tasks)
    bus.is_away = True
    clock.time += OLD_S - 1
    assert await looked(behind, tasks) == [PLAIN]
    clock.time += 2
    assert await looked(behind, tasks) == []


async def test_without_groups_or_without_a_bus_that_knows_nobody_is_asked():
    clock, tasks = Clock(), TaskScope(LOG)
    for bus, groups in ((Bus(), []), (object(), ["books@1"])):
        behind = Behind(bus, groups, tasks, clock, LOG)
        assert await looked(behind, tasks) == []
        await asyncio.sleep(0)
        assert await looked(behind, tasks) == []
