"""Takes out of the stream what every group has handled and is old, now and then."""

from __future__ import annotations

import asyncio

from vyked_host import CallError, StartError
from vyked_host.contracts import Environment

from .api import Api, Refused
from .groups import Groups
from .names import Names
from .past import Past
from .store import Store
from .trimming import Floor, Looks, floors, handled

EVERY_S = 10.0


class Trimmer:
    """One host's. `keep_s`: seconds for which handled events stay."""

    def __init__(
        self, api: Api, store: Store, past: Past, names: Names, groups: Groups, env: Environment, keep_s: float
    ) -> None:
        self._api, self._store, self._names, self._env, self._keep_s = api, store, names, env, keep_s
        self._past, self._groups, self._looks, self._losses = past, groups, Looks(), 0

    async def run(self) -> None:
        """Until it is cancelled."""
        every = min(EVERY_S, max(1.0, self._keep_s))
        while True:
            try:
                await self.trim()
            except (Refused, CallError, StartError) as error:
                self._env.log.warning("stream %s was not trimmed: %s", self._names.events, error)
            await asyncio.sleep(every * (0.5 + self._env.rng.random()))

    async def trim(self) -> None:
        """Once. Raises what Api raises."""
        await self._store.make()
        found = await self._api.ask(f"STREAM.INFO.{self._names.events}", {"subjects_filter": ">"})
        state, now = found["state"], self._env.clock.now()
        if self._losses != len(self._past.losses):  # places that were old belong to events that are not
            self._losses, self._looks = len(self._past.losses), Looks()
        self._looks.note(now, int(state["last_seq"]))
        old = self._looks.old(now, self._keep_s)
        if not state.get("messages") or int(state["first_seq"]) > old:
            return
        among = floors(await self._groups.consumers())
        for subject in state.get("subjects") or ():
            await self._purge(subject, among, old)

    async def _purge(self, subject: str, among: list[Floor], old: int) -> None:
        sequence = handled(subject, among, old, is_queue=self._names.is_queue(subject))
        if sequence > 0:
            body = {"filter": subject, "seq": sequence + 1}
            await self._api.ask(f"STREAM.PURGE.{self._names.events}", body)
