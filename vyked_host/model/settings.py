"""The settings of a host: one Struct a table of vyked.toml, with every default in it. docs/configuration.md and the
JSON Schema are generated from here. Times in seconds, sizes in bytes. Numbers: RELIABILITY notes, see docs/semantics.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from .tables import BreakerTable, BulkheadTable, Name, Positive, RateTable, RetryTable, Table


class HostTable(Table):
    """Who this host is."""

    name: Annotated[str, Meta(description="shown in ps, logs and process title; default: this folder's name")] = ""
    mesh: Annotated[
        str,
        Meta(
            description="only hosts of the same mesh talk to each other; default: this folder's name and a digest of its path"
        ),
    ] = ""
    labels: Annotated[dict[str, str], Meta(description="seen by balancers and by ps")] = {}
    drain_timeout: Annotated[float, Meta(ge=0, description="seconds that running handlers get after SIGTERM")] = 30.0
    state_dir: Annotated[str, Meta(description="where files of this host go, relative to vyked.toml")] = ".vyked"
    loop: Annotated[
        Literal["auto", "uvloop", "asyncio"], Meta(description="event loop; auto: uvloop when installed")
    ] = "auto"
    runner: Annotated[
        Literal["auto", "task", "turn", "eager"],
        Meta(
            description="how handlers run; task: in a task each; turn: those of one turn of the loop share one until they suspend; eager: begun at once; auto: the best of this Python"
        ),
    ] = "auto"
    debug: Annotated[bool, Meta(description="asyncio's debug mode")] = False


class PluginsTable(Table):
    """Which plugins may load."""

    autoload: Annotated[bool, Meta(description="false: import only what this file names")] = True
    disable: Annotated[list[str], Meta(description='plugin, distribution or "kind.name"')] = []
    options: Annotated[
        dict[str, dict[str, Any]], Meta(description="[plugins.options.NAME]: of plugins that are not chosen by name")
    ] = {}


class LoggingTable(Table):
    """What is logged, and how."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="of every logger")] = "info"
    levels: Annotated[dict[str, Literal["debug", "info", "warning", "error"]], Meta(description="per logger")] = {}
    format: Annotated[
        Literal["auto", "pretty", "json"], Meta(description="auto: pretty on a terminal, JSON lines off it")
    ] = "auto"
    access: Annotated[
        bool | Literal["all"], Meta(description='one line per call that failed or was slow; "all": for every call')
    ] = True
    slow_ms: Annotated[float, Meta(ge=0, description="milliseconds from which a call counts as slow")] = 500.0


class Choice(Table):
    """A plugin chosen by name, and its options (already of the provider's Struct)."""

    use: str
    options: Any = None


class TransportTable(Table):
    """One ``[transports.NAME]``."""

    use: str
    options: Any = None


class ServiceTable(Table):
    """One ``[services.NAME]``."""

    use: Annotated[str | None, Meta(description='"module:Class"; absent: the entry point of this name')] = None
    name: Annotated[Name | None, Meta(description="serve the class under this name")] = None
    transports: Annotated[list[str] | None, Meta(description="default: each one that the class has endpoints for")] = (
        None
    )
    options: Annotated[dict[str, Any], Meta(description="the service's own Struct")] = {}
    arguments: Annotated[
        list[Any] | dict[str, Any], Meta(description="constructor arguments of a Vyked 2.x class")
    ] = []
    allow: Annotated[
        list[str] | dict[str, list[str]] | None,
        Meta(
            description='identities of the peers that may call it: ["spiffe://shop/*"], or by method '
            '{ create = ["..."], "*" = ["..."] }; what no key holds for, nobody may call; absent: everybody may'
        ),
    ] = None
    weight: Annotated[float, Meta(ge=0, description="share of calls, where the balancer goes by it; 0: a spare")] = 1.0
    http_prefix: Annotated[
        str, Meta(pattern=r"^(/[^/].*[^/]|/[^/]|)$", description='put before every route, such as "/v1"')
    ] = ""


class ClientTable(Table):
    """One ``[clients.NAME]``: how services of this host call NAME; ``[clients.default]`` holds for the others."""

    timeout: Annotated[float, Meta(gt=0, le=600, description="seconds, for the whole chain")] = 10.0
    balancer: Annotated[Choice, Meta(description="name of a balancer, or { use = name, ... }")] = Choice(
        use="least_pending"
    )
    warm_up: Annotated[
        float, Meta(ge=0, description="seconds until an instance that is new, or back, gets its full share; 0: at once")
    ] = 10.0
    prefer_local: Annotated[bool, Meta(description="an instance in this process is taken first while ready")] = True
    transport: Annotated[str | None, Meta(description="call over this transport only")] = None
    connections: Annotated[
        int, Meta(ge=1, le=64, description="to each node; calls take the one on which the fewest wait for answers")
    ] = 1
    retry: Annotated[RetryTable, Meta(description="when a call that failed is made again")] = RetryTable()
    hedge_after: Annotated[
        Positive | None,
        Meta(
            description="seconds after which an idempotent method that has not answered is called at a second instance"
        ),
    ] = None
    breaker: Annotated[BreakerTable | None, Meta(description="when the calls of a method are not made for a while")] = (
        None
    )
    bulkhead: Annotated[BulkheadTable | None, Meta(description="how many calls may run at once")] = None
    rate: Annotated[RateTable | None, Meta(description="how many calls may begin in a second")] = None
    fallback: Annotated[
        dict[str, str],
        Meta(
            description="METHOD = what is called with the same arguments when METHOD could not be: "
            '"SERVICE.METHOD", or "METHOD" of the calling service'
        ),
    ] = {}


class MiddlewareTable(Table):
    """Middlewares, outermost first; names of installed providers, or { use = name, ... }."""

    server: Annotated[list[Choice], Meta(description="around handlers")] = field(
        default_factory=lambda: [Choice(use="logging")]
    )
    client: Annotated[list[Choice], Meta(description="around calls to others")] = []
    consumer: Annotated[list[Choice], Meta(description="around handlers of events")] = []


Limit = Annotated[int, Meta(ge=1)] | Literal["none"]
Size = Annotated[int, Meta(ge=1, extra_json_schema={"x-unit": "bytes"})] | Literal["none"]


class LimitsTable(Table):
    """What bounds this host. "none" lifts a limit; 0 is refused."""

    message: Annotated[Size, Meta(description="bytes of one request, response or event")] = 1 << 20
    untyped_message: Annotated[Size, Meta(description="the same, where a type has Any or a bare container inside")] = (
        64 << 10
    )
    hello: Annotated[Size, Meta(description="bytes of the first frame of a peer")] = 8 << 10
    in_flight: Annotated[Limit, Meta(description="calls running at once in this host")] = 1024
    adaptive: Annotated[
        bool, Meta(description="true: refuse at once calls that would only wait, found by how long calls take")
    ] = False
    in_flight_per_connection: Annotated[Limit, Meta(description="calls at once of one connection beyond loopback")] = (
        100
    )
    connections: Annotated[Limit, Meta(description="connections per listener")] = 1024
    connections_per_peer: Annotated[Limit, Meta(description="connections per peer address; loopback is exempt")] = 64
    write_buffer: Annotated[Size, Meta(description="bytes waiting for a slow reader before it is cut")] = 4 << 20
    pending: Annotated[Limit, Meta(description="calls that wait for answers, in all clients of this host")] = 4096
    blocking_threads: Annotated[Limit, Meta(description="threads for handlers with blocking=True")] = 32
    header_bytes: Annotated[Size, Meta(description="bytes of all HTTP headers of a request")] = 32 << 10
    header_count: Annotated[Limit, Meta(description="HTTP headers of a request")] = 100
    uri_bytes: Annotated[Size, Meta(description="bytes of the request line, and of one header")] = 8190


class TimingTable(Table):
    """Timers. `scale` multiplies every one of them: tests run the same scenarios faster."""

    scale: Annotated[float, Meta(gt=0, description="multiplies every time below")] = 1.0
    hello: Annotated[Positive, Meta(description="until a peer has introduced itself")] = 5.0
    headers: Annotated[Positive, Meta(description="until the HTTP headers of a request are complete")] = 10.0
    body: Annotated[Positive, Meta(description="until the body of a request is complete")] = 30.0
    keep_alive: Annotated[Positive, Meta(description="an idle HTTP connection is kept")] = 60.0
    ping: Annotated[Positive, Meta(description="between two pings on a quiet connection")] = 10.0
    pong: Annotated[Positive, Meta(description="until a ping is answered")] = 5.0
    write: Annotated[Positive, Meta(description="a slow reader is cut after")] = 10.0
    dial: Annotated[
        Positive,
        Meta(description="until a connection is open and its hello answered; who can't be dialled rests a third of it"),
    ] = 3.0
    heartbeat: Annotated[Positive, Meta(description="between two signs of life; two missing make a node suspect")] = 5.0
    lease: Annotated[
        Positive, Meta(description="silence after which the registry forgets a node; three heartbeats at least")
    ] = 15.0
    sweep: Annotated[Positive, Meta(description="between two looks of the registry at who is silent")] = 1.0
    gone_after: Annotated[
        Positive, Meta(description="a node whose connection to the registry was lost is forgotten after")
    ] = 5.0
    ejection: Annotated[
        Positive, Meta(description="an instance that failed five calls in a row is passed over for, the first time")
    ] = 30.0
    key_lease: Annotated[Positive, Meta(description="silence after which a keyed call may be run by somebody else")] = (
        5.0
    )
    start: Annotated[Positive, Meta(description="each on_start, and each hook of a plugin, may take")] = 30.0
    stop: Annotated[
        Positive,
        Meta(
            description="each on_stop, or hook at the end, may take; a holder of the hub seeks the next for half of it"
        ),
    ] = 10.0


class TlsTable(Table):
    """``[security.tls]``: mutual TLS for everything that this host listens on and dials. Paths start at the file's folder."""

    cert: Annotated[
        str, Meta(min_length=1, description="this host's certificate, and those between it and the ca, PEM")
    ]
    key: Annotated[str, Meta(min_length=1, description="its private key, PEM, without a pass phrase")]
    ca: Annotated[
        str, Meta(min_length=1, description="the authorities that peers' certificates have to come from, PEM")
    ]
    peers: Annotated[
        list[str],
        Meta(
            description='identities that peers of the mesh may have, such as "spiffe://shop/*"; then the names in '
            "certificates are not compared with the addresses that are dialled"
        ),
    ] = []


Identities = Annotated[
    list[str], Meta(description='identities; one that ends in "*" stands for all that begin like it')
]


class SecurityTable(Table):
    """What a host beyond loopback needs: docs/security.md."""

    secret: Annotated[
        Annotated[str, Meta(min_length=16)] | None,
        Meta(
            description='what the hosts of this mesh know and nobody else, by reference: "${file:secret}"; at least 16 characters'
        ),
    ] = None
    accept_secrets: Annotated[
        list[Annotated[str, Meta(min_length=16)]],
        Meta(description="secrets that peers may prove as well, while the secret is changed"),
    ] = []
    tls: Annotated[TlsTable | None, Meta(description="mutual TLS")] = None
    authenticator: Annotated[
        Choice | None, Meta(description="name of an authenticator, or { use = name, ... }: it says who a peer is")
    ] = None
    identity: Annotated[
        dict[str, str], Meta(description='what this host tells authenticators, such as { token = "${file:token}" }')
    ] = {}
    serve: Annotated[
        dict[str, Identities],
        Meta(
            description='who may announce a service: { payments = ["spiffe://shop/payments"] }; "*": those without a key'
        ),
    ] = {}
    insecure: Annotated[
        bool, Meta(description="bind beyond loopback without tls: what protects the calls is elsewhere, or nothing")
    ] = False

    def __repr__(self) -> str:
        """Without what it protects: reprs end in logs."""
        known = (
            name for name in ("secret", "tls", "authenticator", "identity", "serve", "insecure") if getattr(self, name)
        )
        return f"SecurityTable({', '.join(known)})"

    @property
    def proves(self) -> bool:
        """Do peers have to prove that they belong here?"""
        return self.secret is not None or self.tls is not None


class Settings(Table):
    """A whole vyked.toml, bound. `folder` is the directory of the file: relative paths start there."""

    host: HostTable = HostTable()
    plugins: PluginsTable = PluginsTable()
    logging: LoggingTable = LoggingTable()
    registry: Choice = Choice(use="embedded")
    pubsub: Choice = Choice(use="embedded")
    results: Choice = Choice(use="memory")
    transports: dict[str, TransportTable] = {}
    services: dict[str, ServiceTable] = {}
    clients: dict[str, ClientTable] = field(default_factory=lambda: {"default": ClientTable()})
    middleware: MiddlewareTable = MiddlewareTable()
    limits: LimitsTable = LimitsTable()
    timing: TimingTable = TimingTable()
    security: SecurityTable = SecurityTable()
    folder: str = "."
