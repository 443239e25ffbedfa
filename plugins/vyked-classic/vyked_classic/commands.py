"""Hooks that hold for every host: the command ``vyked-host classic``, and what old modules want before they are imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from vyked_host.contracts import hookimpl

from . import shim

shim.install()  # hooks are there before the modules of services: old ones may use asyncio.coroutine before they import vyked


@hookimpl
def vyked_commands() -> Iterable[tuple[str, str, Callable[[], Any]]]:
    """``vyked-host classic``."""
    return [("classic", "Vyked 2.x: what an old module needs before it runs", _command)]


def _command() -> Any:
    from .check.command import classic

    return classic
