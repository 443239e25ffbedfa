"""Write a service as one Python class; run it alone, beside others, or on many machines from one vyked.toml.

This is the public face: a table of names, each imported when it is first asked for, so that ``import vyked_host`` costs
next to nothing and a service that does not use HTTP never imports a web framework. Nothing inside imports it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import __version__ as __version__

if TYPE_CHECKING:
    from aiohttp.web import Request as Request
    from aiohttp.web import Response as Response

    from .assembly import Host as Host
    from .assembly import Registry as Registry
    from .builtin.sqlite.outbox import SqliteOutbox as SqliteOutbox
    from .errors import ApplicationError as ApplicationError
    from .errors import CallError as CallError
    from .errors import CallNotSupported as CallNotSupported
    from .errors import Cancelled as Cancelled
    from .errors import Closed as Closed
    from .errors import ConfigError as ConfigError
    from .errors import DeadlineExceeded as DeadlineExceeded
    from .errors import HeldUp as HeldUp
    from .errors import InvalidPayload as InvalidPayload
    from .errors import KeyInUse as KeyInUse
    from .errors import KeyReused as KeyReused
    from .errors import NotConnected as NotConnected
    from .errors import NotFound as NotFound
    from .errors import NotSupported as NotSupported
    from .errors import Overloaded as Overloaded
    from .errors import PermissionDenied as PermissionDenied
    from .errors import RemoteFailure as RemoteFailure
    from .errors import ServiceError as ServiceError
    from .errors import StartError as StartError
    from .errors import TooLarge as TooLarge
    from .errors import Unauthenticated as Unauthenticated
    from .errors import Unavailable as Unavailable
    from .errors import UsageError as UsageError
    from .errors import VersionMismatch as VersionMismatch
    from .errors import VykedError as VykedError
    from .model.description import EventNeeds as EventNeeds
    from .model.http import Body as Body
    from .model.http import Cookie as Cookie
    from .model.http import Header as Header
    from .model.http import Query as Query
    from .service.base import Contract as Contract
    from .service.base import Service as Service
    from .service.calls import BoundEndpoint as BoundEndpoint
    from .service.calls import BoundStream as BoundStream
    from .service.calls import Reply as Reply
    from .service.classic import log as log
    from .service.classic.clients import HTTPServiceClient as HTTPServiceClient
    from .service.classic.clients import TCPServiceClient as TCPServiceClient
    from .service.classic.clients import request as request
    from .service.classic.errors import ClientDisconnected as ClientDisconnected
    from .service.classic.errors import ClientException as ClientException
    from .service.classic.errors import ClientNotFoundError as ClientNotFoundError
    from .service.classic.errors import RequestException as RequestException
    from .service.classic.errors import RequestTimeout as RequestTimeout
    from .service.classic.errors import VykedException as VykedException
    from .service.classic.errors import VykedServiceError as VykedServiceError
    from .service.classic.errors import VykedServiceException as VykedServiceException
    from .service.classic.log import setup_logging as setup_logging
    from .service.classic.services import HTTPService as HTTPService
    from .service.classic.services import TCPService as TCPService
    from .service.clients import CallOptions as CallOptions
    from .service.clients import DynamicClient as DynamicClient
    from .service.context import Context as Context
    from .service.context import Delivery as Delivery
    from .service.context import Peer as Peer
    from .service.context import Reject as Reject
    from .service.context import Retry as Retry
    from .service.context import context as context
    from .service.decorators import api as api
    from .service.decorators import apideprecated as apideprecated
    from .service.decorators import background as background
    from .service.decorators import delete as delete
    from .service.decorators import every as every
    from .service.decorators import get as get
    from .service.decorators import head as head
    from .service.decorators import options as options
    from .service.decorators import patch as patch
    from .service.decorators import post as post
    from .service.decorators import publish as publish
    from .service.decorators import put as put
    from .service.decorators import subscribe as subscribe
    from .service.decorators import trace as trace
    from .service.decorators import xsubscribe as xsubscribe
    from .service.dependencies import client as client
    from .service.endpoints import BoundEvent as BoundEvent
    from .service.endpoints import Endpoint as Endpoint
    from .service.endpoints import Event as Event
    from .service.endpoints import Published as Published
    from .service.endpoints import StreamEndpoint as StreamEndpoint
    from .service.outbox import Outbox as Outbox
    from .service.outbox import OutboxRow as OutboxRow
    from .service.queues import BoundJob as BoundJob
    from .service.queues import Job as Job
    from .service.queues import Queue as Queue
    from .service.queues import enqueue as enqueue
    from .service.queues import work as work
    from .service.websockets import WebSocket as WebSocket
    from .service.websockets import websocket as websocket

_MODULES: dict[str, tuple[str, ...]] = {
    "aiohttp.web": ("Request", "Response"),
    "vyked_host.builtin.sqlite.outbox": ("SqliteOutbox",),
    "vyked_host.assembly": ("Host", "Registry"),
    "vyked_host.errors": (
        "ApplicationError", "CallError", "CallNotSupported", "Cancelled", "Closed", "ConfigError", "DeadlineExceeded", "HeldUp", "InvalidPayload", "KeyInUse", "KeyReused", "NotConnected", "NotFound",
        "NotSupported", "Overloaded", "PermissionDenied", "RemoteFailure", "ServiceError", "StartError", "TooLarge",
        "Unauthenticated", "Unavailable", "UsageError", "VersionMismatch", "VykedError",
    ),
    "vyked_host.model.description": ("EventNeeds",),
    "vyked_host.model.http": ("Body", "Cookie", "Header", "Query"),
    "vyked_host.service.base": ("Contract", "Service"),
    "vyked_host.service.calls": ("BoundEndpoint", "BoundStream", "Reply"),
    "vyked_host.service.classic.clients": ("HTTPServiceClient", "TCPServiceClient", "request"),
    "vyked_host.service.classic.errors": (
        "ClientDisconnected", "ClientException", "ClientNotFoundError", "RequestException", "RequestTimeout",
        "VykedException", "VykedServiceError", "VykedServiceException",
    ),
    "vyked_host.service.classic.log": ("setup_logging",),
    "vyked_host.service.classic.services": ("HTTPService", "TCPService"),
    "vyked_host.service.clients": ("CallOptions", "DynamicClient"),
    "vyked_host.service.context": ("Context", "Delivery", "Peer", "Reject", "Retry", "context"),
    "vyked_host.service.decorators": (
        "api", "apideprecated", "background", "delete", "every", "get", "head", "options", "patch", "post", "publish",
        "put", "subscribe", "trace", "xsubscribe",
    ),
    "vyked_host.service.dependencies": ("client",),
    "vyked_host.service.endpoints": ("BoundEvent", "Endpoint", "Event", "Published", "StreamEndpoint"),
    "vyked_host.service.outbox": ("Outbox", "OutboxRow"),
    "vyked_host.service.queues": ("BoundJob", "Job", "Queue", "enqueue", "work"),
    "vyked_host.service.websockets": ("WebSocket", "websocket"),
}  # fmt: skip
NAMES: dict[str, str] = {name: f"{module}:{name}" for module, names in _MODULES.items() for name in names}
"""Public name -> ``module:attribute``. `log` is a module, as the ancestor's is."""
NAMES["log"] = "vyked_host.service.classic.log:"


def __getattr__(name: str) -> Any:
    where = NAMES.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    module, _, attribute = where.partition(":")
    found = import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*NAMES, "__version__"})
