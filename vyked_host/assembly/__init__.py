"""The composition root: files, plugins and services become a running host. Only this layer knows how they meet."""

from __future__ import annotations

from .classic import Registry
from .host import Host
from .prepare import Prepared, prepare
from .run import run

__all__ = ["Host", "Prepared", "Registry", "prepare", "run"]
