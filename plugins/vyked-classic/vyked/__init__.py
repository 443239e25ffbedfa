"""The names of Vyked 2.x, on vyked-host: what old code imports (docs/moving-from-vyked.md).

Both those of release 2.1.91 and of the last development version. Importing it restores `asyncio.coroutine`, which Python no
longer has: old code wrote its coroutines with it.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING
from typing import Any as _Any

from vyked_classic import shim as _shim

_shim.install()

from vyked_host import (  # noqa: E402 - old code may be imported by what follows
    Request,
    RequestException,
    Response,
    VykedServiceError,
    VykedServiceException,
)

from .decorators.http import delete, get, head, options, patch, post, put, trace, websocket  # noqa: E402
from .decorators.tcp import api, apideprecated, publish, request, subscribe, xsubscribe  # noqa: E402
from .host import Host  # noqa: E402
from .services import HTTPService, HTTPServiceClient, TCPService, TCPServiceClient  # noqa: E402
from .utils import log  # noqa: E402
from .utils.log import setup_logging  # noqa: E402

if TYPE_CHECKING:
    from .registry import Registry


def __getattr__(name: str) -> _Any:
    """The registry, when it is asked for: `python -m vyked.registry` runs that module, which must not have been imported before."""
    if name not in ("Registry", "registry"):
        raise AttributeError(f"module 'vyked' has no attribute {name!r}")
    module = _import_module("vyked.registry")
    return module if name == "registry" else module.Registry


__version__ = "2.1.91"
"""The release whose names these are; that of the code is the one of vyked-classic."""
deprecated = apideprecated
"""What release 2.1.91 called it."""

__all__ = [
    "HTTPService", "HTTPServiceClient", "Host", "Registry", "Request", "RequestException", "Response", "TCPService",
    "TCPServiceClient", "VykedServiceError", "VykedServiceException", "api", "apideprecated", "delete", "deprecated", "get",
    "head", "log", "options", "patch", "post", "publish", "put", "request", "setup_logging", "subscribe", "trace", "websocket",
    "xsubscribe",
]  # fmt: skip
