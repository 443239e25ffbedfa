"""A warning at each start for what is bound beyond loopback because the file says that it is meant."""

from __future__ import annotations

import logging

from ..config.addresses import binds, is_loopback
from ..config.paths import dotted
from ..model.settings import Settings


def warn_of_exposure(settings: Settings, log: logging.Logger) -> None:
    """Log each address that other machines reach; without ``[security] insecure`` there is none: the file was refused."""
    for bind in binds(settings):
        if not is_loopback(bind.host):
            text = '%s: "%s" can be reached from other machines, without identity or encryption ([security] insecure = true)'
            log.warning(text, dotted(bind.host_path), bind.host)
