"""Warnings at each start: of what is bound beyond loopback because the file says that it is meant, and of events that stay on this
machine where calls do not."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..config.addresses import binds, is_loopback
from ..config.paths import dotted
from ..config.reach import REMEDY, shortfall
from ..model.description import ServiceDescription
from ..model.settings import Settings


def warn_of_exposure(settings: Settings, log: logging.Logger) -> None:
    """Log each address that other machines reach without encryption; where the file does not say ``[security] insecure`` there
    is none: it was refused."""
    if settings.security.tls is not None:
        return
    lacking = "without encryption" if settings.security.secret else "without identity or encryption"
    for bind in binds(settings):
        if not is_loopback(bind.host):
            text = '%s: "%s" can be reached from other machines, %s ([security] insecure = true)'
            log.warning(text, dotted(bind.host_path), bind.host, lacking)


def warn_of_reach(settings: Settings, services: Iterable[ServiceDescription], log: logging.Logger) -> None:
    """Log that events reach less far than calls, where that is so and the file does not say that it is meant."""
    text = shortfall(settings, services)
    if text:
        log.warning("%s; %s", text, REMEDY)
