"""What this program runs on: versions, loop, limits. Nothing of the host is imported."""

from __future__ import annotations

import platform
import resource
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from ..errors import __version__

PACKAGES = ("aiohttp", "click", "importlib-metadata", "msgspec", "pluggy", "redis", "toml", "uvloop")
ENOUGH_FILES = 4096
"""Open files below which a host with many connections runs out (docs/semantics.md, limits)."""


def python() -> str:
    """``Python 3.11.7``."""
    return f"{platform.python_implementation().replace('CPython', 'Python')} {platform.python_version()}"


def versions() -> dict[str, str]:
    """The host and what it stands on; "" for what is not installed."""
    return {"vyked-host": __version__, **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def loop() -> str:
    """The event loop that ``[host] loop = "auto"`` means here."""
    return "uvloop" if find_spec("uvloop") else "asyncio"


def open_files() -> int:
    """How many files this process may have open; -1: as many as it likes."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return -1 if soft == resource.RLIM_INFINITY else soft
