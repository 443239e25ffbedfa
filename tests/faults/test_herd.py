"""Row C7: everybody lost the same connection in the same moment, and nobody is trampled when it can be had again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from vyked_host.assembly.environment import Workshop
from vyked_host.assembly.hubs import Hubs
from vyked_host.assembly.prepare import prepare
from vyked_host.routing.backoff import EACH_S, Backoff

from .mesh import UNSCALED

CLIENTS, BACK_S = 500, 15.0
BIN_S = 0.1
MOST = 2 * BIN_S / EACH_S
"""Of one tenth of a second: twice of what an even spread over the window has, which gives each `EACH_S`."""


def peak(moments):
    """The most that came within one tenth of a second."""
    return max(Counter(int(each / BIN_S) for each in moments).values())


class Noted(Backoff):
    """Remembers when each first look was to be."""

    def spread(self, attempt, chance, crowd=1):
        found = Backoff.spread(self, attempt, chance, crowd)
        if attempt == 0:
            NOTED.append(found)
        return found


NOTED: list[float] = []


async def test_C7_five_hundred_clients_of_a_restarted_holder_do_not_come_in_one_wave(new_mesh, timeline):
    NOTED.clear()
    mesh = new_mesh(UNSCALED)
    holder = await mesh.start("hub", "gauge")
    ready, threads = prepare(str(mesh.file), environ={}), ThreadPoolExecutor(1)
    workshops = [Workshop(ready.loaded.settings, ready.catalogue) for _ in range(CLIENTS)]
    hubs = [Hubs(each, threads, may_hold=False).at(mesh.address) for each in workshops]
    try:
        for each, workshop in zip(hubs, workshops, strict=True):
            workshop.crowd = lambda: CLIENTS
            each._again = Noted(first=each._again.first, most=each._again.most, factor=each._again.factor)
        first = await asyncio.gather(*(each.term() for each in hubs))
        holder.kill()
        await asyncio.gather(*(each.over for each in first))
        await mesh.start("hub2", "gauge")
        again, slack = time.monotonic(), mesh.slack()
        second = await asyncio.gather(*(each.term() for each in hubs))
        took = time.monotonic() - again
        timeline.note("C7", clients=CLIENTS, peak=peak(NOTED), back=took)
        assert {each.node_id for each in second} == {mesh.processes[-1].node_id}
        assert len(NOTED) == CLIENTS
        assert peak(NOTED) <= MOST
        assert took <= BACK_S + slack()
    finally:
        for each in hubs:
            await each.aclose()
        for each in workshops:
            await each.tasks.cancel()
            each.clock.close()
        threads.shutdown()


def test_C7_however_long_the_holder_is_away_those_who_look_stay_spread():
    chance, again = random.Random(7), Backoff(first=0.05, most=2.0, factor=1.6)
    for away in (0.0, 0.5, 3.0, 30.0):
        moments = []
        for _ in range(CLIENTS):
            now, attempt = 0.0, 0
            while True:
                now += again.spread(attempt, chance.random(), CLIENTS)
                attempt += 1
                if now >= away:
                    break
            moments.append(now)
        assert peak(moments) <= MOST, away
        assert max(moments) - away <= 2.0
