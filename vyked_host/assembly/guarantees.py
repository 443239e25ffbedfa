"""Refuse, don't pretend: what services use is compared with what the chosen bus gives, before anything starts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from ..contracts import Provider, PubSub, Registry
from ..errors import ConfigError, StartError, VykedError
from ..model.message import Guarantees
from ..routing.delivery import lacks
from .services import Planned

T = TypeVar("T")


def refuse_what_the_bus_lacks(bus: str, given: Guarantees, planned: Sequence[Planned]) -> None:
    """Raises ConfigError naming every subscription that asks for more than the bus gives, and the remedy."""
    faults = [lacking for each in planned for lacking in lacks(each.description, given)]
    if faults:
        remedy = 'choose another one with [pubsub] use = "embedded" or an installed back end that can'
        raise ConfigError(f"the bus {bus!r} can't give what services use: {'; '.join(faults)}; {remedy}")


async def verify_the_bus(provider: Provider[PubSub], bus: PubSub, planned: Sequence[Planned], within: float) -> None:
    """Ask the reached server what it gives, and compare again. Raises ConfigError as above; StartError when it can't be
    reached, or not within `within` seconds, Unfit when it is not set as the file asks."""
    given = await _verified("bus", provider, bus, within)
    if given is not None:
        refuse_what_the_bus_lacks(provider.name, given, planned)


async def verify_the_registry(provider: Provider[Registry], registry: Registry, within: float) -> None:
    """Ask the reached server whether it is fit to keep a registry. Raises StartError, Away when it can't be reached, Unfit."""
    await _verified("registry", provider, registry, within)


async def _verified(what: str, provider: Provider[T], made: T, within: float) -> Guarantees | None:
    """What `provider` says of the server it reached; None: it does not ask."""
    if provider.verify is None:
        return None
    try:
        async with asyncio.timeout(within):
            return await provider.verify(made)
    except VykedError:
        raise
    except TimeoutError as error:
        raise StartError(f"the {what} {provider.name!r} did not say within {within:g} s what it gives") from error
    except Exception as error:
        raise StartError(f"the {what} {provider.name!r} could not be verified: {error!r}") from error
