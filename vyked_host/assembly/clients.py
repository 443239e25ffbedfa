"""The clients of the services of a host: made, and joined with their fallbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ..model.description import Dependency
from ..model.settings import ClientTable
from ..runtime.client import ServiceClient
from ..runtime.directory import Target
from ..runtime.warm_up import WarmUp
from ..service.clients import proxy, unhedgeable
from .fallbacks import endpoints_of, fallbacks, unfit
from .services import Planned

if TYPE_CHECKING:
    from .build import Composition

DEFAULT_CLIENT = "default"

REST = 1 / 3
"""The share of ``[timing] dial`` for which an instance that could not be dialled is passed over."""


class Clients:
    """Makes those of one host."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self.made: list[ServiceClient] = []

    def alone(self, dependency: Dependency) -> Any:
        """What calls a service in nobody's name."""
        return proxy(dependency, self._invoker("", dependency, self.settings(dependency.service)))

    def of(self, planned: Planned, fakes: Mapping[str, Any]) -> dict[str, Any]:
        """Attribute -> what stands behind ``self.identity``: a client, or the fake that was given in its place. Raises Unfit
        where a table asks of a client what its service can't give."""
        description = planned.description
        caller = f"{description.name}/{description.version}"
        called = [each for each in description.dependencies if each.service not in fakes]
        tables = {each.service: self.settings(each.service) for each in called}
        invokers = {each.attribute: self._invoker(caller, each, tables[each.service]) for each in called}
        for each in called:
            self._refuse_hedging_nothing(each)
            invokers[each.attribute].fallbacks = fallbacks(planned, each, tables[each.service].fallback, invokers)
        return {
            each.attribute: fakes[each.service] if each.service in fakes else proxy(each, invokers[each.attribute])
            for each in description.dependencies
        }

    def _invoker(self, consumer: str, dependency: Dependency, settings: ClientTable) -> ServiceClient:
        made, workshop = self._composition, self._composition.workshop
        timing = workshop.environment("host").timing
        balancer = workshop.build("balancer", settings.balancer.use, settings.balancer.options)
        home = made.record.node_id
        warm_up = WarmUp(settings.warm_up, workshop.clock.now, workshop.rng.random)
        target = made.directory.follow(
            Target(dependency.service, dependency.version, settings, balancer, home, warm_up)
        )  # fmt: skip
        invoker = ServiceClient(
            target=target, codecs=made.codecs, clock=workshop.clock, pending=made.pending, chain=made.chains.client,
            tasks=workshop.tasks, caller=consumer, balancer=balancer, failures=made.failures,
            eject_s=timing.ejection, rest_s=REST * timing.dial, here=made.dispatcher if settings.prefer_local and self._is_here(dependency) else None,
        )  # fmt: skip
        self.made.append(invoker)
        return invoker

    def _is_here(self, dependency: Dependency) -> bool:
        return any(each.description.name == dependency.service for each in self._composition.planned)

    def settings(self, service: str) -> ClientTable:
        """``[clients.SERVICE]``, else ``[clients.default]``, else the defaults."""
        tables = self._composition.settings.clients
        found = tables.get(service) or tables.get(DEFAULT_CLIENT) or ClientTable()
        named = self._composition.settings.transports.get(found.transport or "")
        # other hosts know the plugin, not the name of our table
        return found if named is None else msgspec.structs.replace(found, transport=named.use)

    def _refuse_hedging_nothing(self, dependency: Dependency) -> None:
        """A table of its own that hedges a service of which no method may be hedged is a mistake."""
        tables, contract = self._composition.settings.clients, dependency.contract
        own, general = tables.get(dependency.service), tables.get(DEFAULT_CLIENT) or ClientTable()
        if own is None or own.hedge_after in (None, general.hedge_after):
            return
        endpoints = endpoints_of(contract, dependency.service)
        if endpoints and all(unhedgeable(each) for each in endpoints):
            text = f"{unhedgeable(endpoints[0])}, and so it is with all its methods"
            raise unfit(f"clients.{dependency.service}.hedge_after", text, "leave it out")
