"""The two streams of a mesh: made by whoever comes first, checked by whoever comes later.

Nothing is thrown away by the server: a full stream refuses what is published (discard: new), and what is handled is taken out by
the hosts (`trimming`).
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from vyked_host import StartError

from ..options import MIB, JetStreamOptions
from .api import NO_STREAM, STREAM_IN_USE, Api, Refused
from .names import Names
from .past import Past

NS = 1_000_000_000
MOST_LETTERS, LETTER_BYTES = 10_000, 64 * MIB
"""Dead letters that a mesh keeps; full: what is given up on comes again until somebody has decided about some."""


class Store:
    """Once they were looked at: `window_s`, seconds in which the stream knows an event by its id, and `configs` of both by name. `past`
    is asked then whether the events are still there that this host saw."""

    def __init__(self, api: Api, names: Names, options: JetStreamOptions, past: Past | None = None) -> None:
        self._api, self._names, self._options, self._past = api, names, options, past
        # one look at a time at what was seen; who asks nothing of that waits for nobody
        self._making: AbstractAsyncContextManager[object] = asyncio.Lock() if past is not None else nullcontext()
        self._forgotten = 0
        self.window_s = options.dedupe
        self.created = ""
        self.configs: dict[str, dict[str, Any]] = {}
        self._is_made = False

    def forget(self) -> None:
        """They have to be looked at again: the connection is another one, or a stream was not there."""
        self._is_made, self._forgotten = False, self._forgotten + 1

    async def make(self) -> None:
        """Both are there. Raises StartError where one is not as it has to be, and what Api raises."""
        if self._is_made:
            return
        async with self._making:
            while not self._is_made:
                forgotten = self._forgotten
                await self._look()
                self._is_made = forgotten == self._forgotten  # else the connection is another one meanwhile

    async def _look(self) -> None:
        seen = None if self._past is None else self._past.seen
        found = await self._stream(self._events())
        self.window_s = found["config"].get("duplicate_window", 0) / NS
        before, self.created = self.created, str(found["created"])
        if self._past is not None and seen is not None:
            if before not in ("", self.created):
                self._past.forget()
                seen = self._past.seen
            await self._past.look(seen, found["state"])
        await self._stream(self._letters())

    async def _stream(self, wanted: dict[str, Any]) -> Any:
        name = wanted["name"]
        try:
            found = await self._api.ask(f"STREAM.INFO.{name}")
        except Refused as error:
            if error.number != NO_STREAM:
                raise
            found = await self._made(wanted)
        fault = unfit(found["config"], wanted)
        if fault:
            raise StartError(f"the bus 'nats-jetstream' can't be used: stream {name} {fault}; nats stream edit {name}")
        self.configs[name] = found["config"]
        return found

    async def _made(self, wanted: dict[str, Any]) -> Any:
        try:
            return await self._api.ask(f"STREAM.CREATE.{wanted['name']}", wanted)
        except Refused as error:
            if error.number != STREAM_IN_USE:
                raise
            return await self._api.ask(f"STREAM.INFO.{wanted['name']}")  # somebody else was faster

    def _events(self) -> dict[str, Any]:
        return {
            **self._kept(self._names.events, self._names.all_kept, self._names.all_again, self._names.all_later),
            "max_bytes": self._options.max_bytes,
            "duplicate_window": int(self._options.dedupe * NS),
        }

    def _letters(self) -> dict[str, Any]:
        return {
            **self._kept(self._names.letters, self._names.all_dead),
            "max_msgs": MOST_LETTERS,
            "max_bytes": min(LETTER_BYTES, self._options.max_bytes),
        }

    def _kept(self, name: str, *subjects: str) -> dict[str, Any]:
        return {
            "name": name, "subjects": list(subjects), "retention": "limits", "discard": "new", "storage": "file",
            "num_replicas": self._options.replicas, "max_age": 0,
        }  # fmt: skip


def unfit(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What of a stream that is there would lose events or take none; "": nothing. Its sizes, replicas and place are whoever's who
    made it."""
    lacking = set(wanted["subjects"]) - set(found.get("subjects") or ())
    if lacking:
        return f"does not take the subjects {', '.join(sorted(lacking))}"
    for name, remedy in (("retention", "limits"), ("discard", "new"), ("max_age", 0)):
        if found.get(name, 0) != remedy:
            return f"has {name} {found.get(name)!r}, which throws events away that are not handled: it has to be {remedy!r}"
    return ""
