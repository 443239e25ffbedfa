"""What a service class boils down to: endpoints, events, subscriptions, dependencies; no behaviour, no asyncio."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from .values import Value

Lane = Literal["normal", "control"]
Strategy = Literal["any", "leader", "random", "keyed"]


class Kind(Enum):
    """The shape of an endpoint. HTTP hands the raw request to the handler, WEBSOCKET an open socket; the others are typed."""

    UNARY = 1
    SERVER_STREAM = 2
    CLIENT_STREAM = 3
    BOTH_WAYS = 4
    HTTP = 5
    WEBSOCKET = 6

    @property
    def is_raw(self) -> bool:
        """The handler gets the web framework's request, or a socket: it can't be called by other services."""
        return self in (Kind.HTTP, Kind.WEBSOCKET)

    @property
    def streams_out(self) -> bool:
        """The answer is a stream of items."""
        return self in (Kind.SERVER_STREAM, Kind.BOTH_WAYS)

    @property
    def streams_in(self) -> bool:
        """One argument is a stream of items."""
        return self in (Kind.CLIENT_STREAM, Kind.BOTH_WAYS)


class HttpBinding(Value):
    """One route: verb and path template (aiohttp's syntax, ``/users/{name}``).

    `required_params` are the ancestor's: query parameters without which the answer is 400. `origins` is the allow
    list of a WebSocket, and on other routes the pages that may read the answers ("*": all), beside the transport's own. `status` is the one of a successful answer.
    """

    method: str
    path: str
    required_params: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    status: int = 200


class DeclaredError(Value):
    """An application error an endpoint may raise: its code, HTTP status, and the class that the caller gets."""

    code: str
    status: int
    error: Any = None  # type[ServiceError]; None on what came over a wire
    details: Any = None  # a Struct type with the error's fields


class EndpointDescription(Value):
    """One callable method. `arguments` and `result` are types (Structs), for codecs.

    `result` is the type of each item where the answer is a stream; `inbound` the type of each item of the one
    argument that is a stream, whose name is `stream_parameter` and whose place among the positional ones is
    `stream_position` (-1: by keyword only). Of a WebSocket these are what it receives, what it sends (`result`), and the
    parameter that gets the socket (empty: the handler gets the request instead). `timeout_s` None: the client's default
    holds; a WebSocket then has no time limit.
    `transports` None: every transport of the service. `keyed`: what calls with an idempotency key gave is given again; `results`
    names the store where it is kept, the same for all instances that share it, and is empty where there is none.
    """

    service: str
    version: str
    name: str
    kind: Kind
    arguments: Any = None
    result: Any = None
    inbound: Any = None
    stream_parameter: str = ""
    stream_position: int = -1
    idempotent: bool = False
    keyed: bool = False
    results: str = ""
    blocking: bool = False
    timeout_s: float | None = None
    concurrency: int | None = None
    priority: Literal["high", "normal", "low"] = "normal"
    lane: Lane = "normal"
    sensitive: tuple[str, ...] = ()
    raises: tuple[DeclaredError, ...] = ()
    deprecated: bool = False
    replacement: str = ""
    http: tuple[HttpBinding, ...] = ()
    allow: tuple[str, ...] = ()
    transports: frozenset[str] | None = None
    summary: str = ""

    @property
    def path(self) -> str:
        """``service.method``: how people write it."""
        return f"{self.service}.{self.name}"


class Surface(Value):
    """What a listener exposes. An index, once agreed in a hello, is never reused; None: nothing there (any more)."""

    revision: int
    endpoints: tuple[EndpointDescription | None, ...]


class EventDescription(Value):
    """One published event: `payload` is its type; the topic is service, major version and name. `sensitive` are the fields
    of the payload that are not shown to people. Of a job: those of the service that takes it; `attribute` is the method that
    makes it, and `delays`: each is held back."""

    service: str
    version: str
    name: str
    payload: Any
    sensitive: tuple[str, ...] = ()
    attribute: str = ""
    delays: bool = False


class SubscriptionDescription(Value):
    """One handler of an event. `exclusive`: @xsubscribe, one instance of the consumer service gets each event; `may_miss`: a bus
    that loses some of them will do; `queue`: @work, it is a job for this service alone."""

    service: str
    major: int
    event: str
    handler: str
    payload: Any
    exclusive: bool = False
    strategy: Strategy = "any"
    concurrency: int = 16
    max_deliveries: int = 5
    dedupe: bool = False
    since: str | None = None
    may_miss: bool = False
    queue: bool = False


class EventNeeds(Value):
    """What a service asks of the bus beyond what its methods do: `durability` of what waits (``"process"``: it outlives the process that
    keeps it, ``"disk"``: and the machine), `ordered`: events of one publisher come in order, `largest`: bytes of one event."""

    durability: Literal["memory", "process", "disk"] = "memory"
    ordered: bool = False
    largest: int = 0


class Dependency(Value):
    """``self.identity = client(Identity, version="1")``: the attribute, the service, the wanted version."""

    attribute: str
    service: str
    version: str | None
    required: bool = True
    contract: Any = None  # the class whose signatures are used; None: string client


class Periodic(Value):
    """``@every(seconds=)``: `jitter` is a share of the interval."""

    handler: str
    seconds: float
    jitter: float = 0.0
    at_start: bool = False


class ServiceDescription(Value):
    """Everything the host needs to know of one service class."""

    name: str
    version: str
    cls: Any
    options: Any = None
    endpoints: tuple[EndpointDescription, ...] = ()
    events: tuple[EventDescription, ...] = ()
    enqueues: tuple[EventDescription, ...] = ()
    subscriptions: tuple[SubscriptionDescription, ...] = ()
    event_needs: EventNeeds = EventNeeds()
    dependencies: tuple[Dependency, ...] = ()
    periodic: tuple[Periodic, ...] = ()
    background: tuple[str, ...] = ()
    weight: float = 1.0
    module: str = ""
    summary: str = ""

    @property
    def release(self) -> str:
        """``name/version``: one host may serve several major versions of a service."""
        return f"{self.name}/{self.version}"
