"""Our services as NATS micro services (https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md): tools that ask who
is there ($SRV.PING), what it offers (INFO) and how it does (STATS) are answered by every host for each of its services. Calls go
over the transports of the host as ever."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from vyked_host.contracts import Environment, HostView, Instance

from .connection import Connection
from .keeper import Keeper
from .line import Line
from .message import Message
from .options import ServerOptions
from .registry.bucket import written
from .server import Servers

ROOT = "$SRV"
TYPE = "io.nats.micro.v1."
QUEUE = "q"
"""What the specification calls the queue group of an endpoint where there is no other."""
NS = 1_000_000_000


class OverNats(Protocol):
    """A bus or a registry of ours: whose servers are used."""

    options: Any
    env: Environment
    servers: Servers


@asynccontextmanager
async def answering(host: HostView, over: OverNats) -> AsyncIterator[None]:
    """Answers for as long as the block lasts."""
    micro = Micro(host, over.options, over.env, over.servers)
    micro.begin()
    try:
        yield
    finally:
        await micro.aclose()


class Micro:
    """The services of one host."""

    def __init__(self, host: HostView, options: ServerOptions, env: Environment, servers: Servers) -> None:
        self._host, self._options, self._env = host, options, env
        self._started = datetime.fromtimestamp(env.clock.unix(), UTC).isoformat().replace("+00:00", "Z")
        self._keeper = Keeper("micro services", servers, env, joined=self._joined, left=_ignore, told=self._told)
        self._verbs: dict[str, Callable[[Instance], dict[str, Any]]] = {
            "PING": lambda _instance: {}, "INFO": self._info, "STATS": self._stats,
        }  # fmt: skip

    def begin(self) -> None:
        """From now on."""
        self._keeper.begin()

    async def aclose(self) -> None:
        """No more. Idempotent."""
        await self._keeper.aclose()

    def _joined(self, line: Line) -> None:
        line.send(self._listen)

    def _listen(self, client: Connection) -> None:
        client.subscribe(f"{ROOT}.>", partial(self._asked, client))

    def _told(self, error: str) -> None:
        self._env.log.warning("NATS tools that ask for micro services get no answer: %s", error)

    def _asked(self, client: Connection, message: Message) -> None:
        _, verb, *about = message.subject.split(".")
        answer = self._verbs.get(verb)
        if answer is None or not message.reply:
            return
        for instance in self._host.node.instances:
            who = self._identity(instance)
            if about == [who["name"], who["id"]][: len(about)]:
                told = {"type": f"{TYPE}{verb.lower()}_response", **who, **answer(instance)}
                client.publish(message.reply, json.dumps(told).encode())

    def _identity(self, instance: Instance) -> dict[str, Any]:
        node = self._host.node
        about = {
            "vyked.node": node.node_id, "vyked.mesh": node.namespace, "vyked.status": instance.status,
            "vyked.addresses": " ".join(each.uri for each in node.addresses),
        }  # fmt: skip
        number = f"{written(node.node_id)}-{instance.service}"
        return {"name": instance.service, "id": number, "version": instance.version, "metadata": about}

    # ---- endpoints -------------------------------------------------------------------------------------------------------
    def _info(self, instance: Instance) -> dict[str, Any]:
        endpoints = [self._endpoint(path) for path, _ in self._calls(instance)]
        return {"description": "", "endpoints": [{**each, "metadata": {}} for each in endpoints]}

    def _stats(self, instance: Instance) -> dict[str, Any]:
        return {"started": self._started, "endpoints": [self._counted(*each) for each in self._calls(instance)]}

    def _calls(self, instance: Instance) -> list[tuple[str, dict[str, Any]]]:
        calls = self._host.statistics()["calls"]
        return [(path, found) for path, found in calls.items() if path.partition(".")[0] == instance.service]

    def _endpoint(self, path: str) -> dict[str, Any]:
        subject = f"{self._options.prefix}.{self._env.namespace}.call.{path}"
        return {"name": path.partition(".")[2], "subject": subject, "queue_group": QUEUE}

    def _counted(self, path: str, found: dict[str, Any]) -> dict[str, Any]:
        count, total = found["ok"] + found["failed"], int(found["total_s"] * NS)
        codes = ", ".join(f"{code} {times}" for code, times in found["codes"].items())
        return {
            **self._endpoint(path), "num_requests": count, "num_errors": found["failed"], "last_error": codes,
            "data": {"codes": found["codes"], "in_flight": found["in_flight"]},
            "processing_time": total, "average_processing_time": total // count if count else 0,
        }  # fmt: skip


def _ignore(_cause: str) -> None:
    """Whoever asks is not answered."""
