"""What vyked-host finds through the entry point ``balancer.zone``: light, the work is in `balancer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vyked_host.contracts import Balancer, Environment, Provider, hookimpl

from .options import Options


class Plugin:
    """One object per host: it remembers the labels of that host."""

    def __init__(self) -> None:
        self._labels: Mapping[str, str] = {}

    @hookimpl
    def vyked_configure(self, settings: Mapping[str, Any]) -> None:
        """Remember ``[host] labels``."""
        self._labels = settings["host"]["labels"]

    @hookimpl
    def vyked_balancers(self) -> Iterable[Provider[Balancer]]:
        """The balancer `zone`."""
        return [Provider(name="zone", summary="instances of one's own zone first", options=Options, build=self._build)]

    def _build(self, options: Options, env: Environment) -> Balancer:
        from .balancer import Zone

        own = options.own or self._labels.get(options.label, "")
        if not own:
            env.log.warning("balancer zone: [host] labels has no %r, so all instances are equally near", options.label)
        return Zone(options.label, own, env.rng)
