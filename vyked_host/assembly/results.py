"""Where results of calls with an idempotency key are kept: made only where some method of this host is ``@api(keyed=True)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.keys import Keys
from .environment import bounds, mesh_name
from .trust import own_identity

if TYPE_CHECKING:
    from .build import Composition

LARGEST = 16 << 20
"""Bytes of a result that is kept where ``[limits] message`` is "none"."""


def keys(composition: Composition) -> Keys | None:
    """The keys of a host; None: nothing here keeps results."""
    planned, workshop = composition.planned, composition.workshop
    if not any(endpoint.keyed for each in planned for endpoint in each.description.endpoints):
        return None
    chosen, timing = composition.settings.results, workshop.environment("results").timing
    return Keys(
        workshop.build("results", chosen.use, chosen.options), codecs=composition.codecs, clock=workshop.clock,
        tasks=workshop.tasks, log=composition.log, lease_s=timing.key_lease, scale=composition.settings.timing.scale,
        own=own_identity(workshop.settings.security, mesh_name(workshop.settings), workshop.certificates), most=bounds(composition.settings.limits, "message") or LARGEST,
    )  # fmt: skip
