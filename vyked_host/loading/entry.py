"""What one entry point of an installed distribution says it offers, and what became of it."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass, field
from typing import Literal

State = Literal["available", "in use", "disabled", "incompatible", "conflict", "failed"]

PLUGINS, SERVICES = "vyked_host.plugins", "vyked_host.services"
HOOKS, SERVICE = "hooks", "service"
"""Kinds without providers: a module of cross-cutting hooks only, and a service class."""

OFFERS = {
    "transport": "vyked_transports",
    "pubsub": "vyked_pubsub_backends",
    "registry": "vyked_registries",
    "results": "vyked_result_stores",
    "serializer": "vyked_serializers",
    "balancer": "vyked_balancers",
    "middleware": "vyked_middlewares",
    "authenticator": "vyked_authenticators",
}
"""Kind of an entry name ``kind.name`` -> the hook that hands in its `Provider`."""


def normalized(distribution: str) -> str:
    """A distribution's name as PyPI compares it: ``Vyked.NATS`` -> ``vyked-nats``."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@dataclass(slots=True, eq=False)
class Entry:
    """One thing that an installed distribution offers. Known from metadata alone; `state` and `reason` (one line) say
    what became of it, `error` keeps the exception with its traceback. `requires` are its demands on vyked-host."""

    kind: str
    name: str
    value: str
    group: str
    dist: str
    version: str
    editable: bool = False
    location: str = ""
    requires: tuple[str, ...] = ()
    state: State = "available"
    reason: str = ""
    error: BaseException | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        """``transport.nats``; of a module of hooks only, its name."""
        return self.name if self.kind == HOOKS else f"{self.kind}.{self.name}"

    @property
    def plugin(self) -> str:
        """Distribution and version: who to name in an error."""
        return f"{self.dist} {self.version}"

    @property
    def usable(self) -> bool:
        """It may be imported."""
        return self.state in ("available", "in use")

    def answers_to(self, text: str) -> bool:
        """Is it meant by `text`: its name, ``kind.name`` or its distribution?"""
        return text in (self.name, self.path) or normalized(text) == normalized(self.dist)

    def settle(self, state: State, reason: str) -> None:
        """Its state from now on."""
        self.state, self.reason = state, reason

    def fail(self, reason: str, error: BaseException | None = None) -> None:
        """It is broken; the first failure stays, later ones follow from it."""
        if self.state != "failed":
            self.settle("failed", reason)
            self.error = error

    @property
    def trace(self) -> str:
        """The traceback of its failure, empty when there is none."""
        return "".join(traceback.format_exception(self.error)) if self.error else ""
