"""`vyked.host`: the class that hosts services."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import vyked_host

log = logging.getLogger("vyked")
ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised so that it can be warned of


class Host(vyked_host.Host):
    """Class attributes and class methods, as Vyked 2.x had them; it is never instantiated."""

    registry_client_ssl: ClassVar[Any] = None
