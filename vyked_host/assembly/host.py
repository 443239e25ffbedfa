"""`Host`: vyked-host as an object. Several run in one process; each opens, serves and drains by itself.

::

    async with Host("vyked.toml") as host:
        print(await host.client(Identity).find("ada"))

    async with Host(Identity, Accounts, text="[transports.tcp]\\nport = 0") as host: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast, overload

import msgspec

from ..config import Loaded
from ..contracts import Address, Channel, Tls
from ..errors import Unfit, UsageError
from ..model.description import Dependency, EventDescription
from ..model.message import Event as Message
from ..model.settings import SecurityTable, ServiceTable
from ..model.topology import NodeRecord
from ..runtime.node import Node
from ..service.clients import DynamicClient, Invoker
from ..service.endpoints import Event, Published
from ..service.identity import declared
from ..service.inspect import describe
from ..service.options import refuse_no_texts
from .asking import Asker
from .build import Composition, compose
from .classic import ClassicHost
from .control import Control
from .environment import mesh_name
from .exposure import warn_of_exposure, warn_of_reach
from .prepare import Prepared, prepare
from .services import Planned, described, plan, prepared, without_waiting
from .trust import watch_certificates

S = TypeVar("S")
E = TypeVar("E")
WAIT_S = 5.0
_ALONE = "[registry]\nuse = 'embedded'\n"


class Host(ClassicHost):
    """One host. `what`: at most one file, and any number of service classes or instances served beside its own.

    `text` is the file's content instead of a file: without a folder it has nobody to meet, so it stays inside this process
    unless it says where (``[registry.embedded] address``); `overrides` are ``a.b=value`` as of ``--set``; `fakes` stand for services
    (name -> object) in clients of this host; `security` takes the place of what the text says of it. Raises ConfigError with every fault of the file, StartError when it can't start.
    """

    def __init__(
        self, *what: str | Path | type | object, text: str | None = None, overrides: Sequence[str] = (),
        environ: Mapping[str, str] | None = None, fakes: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None, security: SecurityTable | None = None,
    ) -> None:  # fmt: skip
        files = [str(each) for each in what if isinstance(each, (str, Path))]
        if len(files) + (text is not None) > 1:
            raise UsageError("give one vyked.toml, or its text")
        self._services = [each for each in what if not isinstance(each, (str, Path))]
        self._file = files[0] if files else None
        self._text = text if text is not None or files else _ALONE
        self._overrides, self._environ = overrides, environ
        self._fakes, self._options, self._security = dict(fakes or {}), dict(options or {}), security
        self._composition: Composition | None = None
        self._asker: Asker | None = None
        self._made: dict[tuple[str, str | None, Any], Any] = {}
        self._events: dict[Event[..., Any], EventDescription] = {}
        self._node: Node | None = None

    @classmethod
    def of(
        cls, ready: Prepared, services: Sequence[object] = (), *, ronin: bool = False, tls: Mapping[str, Tls] | None = None
    ) -> Host:  # fmt: skip
        """A host for a file that has been prepared already. `ronin`: no service waits for its dependencies; `tls` as of `compose`."""
        host = cls(*services)
        host._ready, host._alone, host._tls = ready, ronin, tls
        return host

    @classmethod
    def joining(cls, ready: Prepared, *, keeps: bool = False) -> Host:
        """A host that serves none of the services of its file: it joins the mesh, calls, publishes and looks. `keeps`: it
        holds the place where the others meet, when nobody does."""
        host = cls.of(ready)
        host._serves, host._keeps = False, keeps
        return host

    _ready: Prepared | None = None
    _loaded: Loaded | None = None
    _tls: Mapping[str, Tls] | None = None
    _alone, _serves, _keeps = False, True, False
    before_serving: Callable[[], None] | None = None

    # ---- life ------------------------------------------------------------------------------------------------------
    async def start(self) -> Host:
        """Compose and start. What was started is stopped again when it fails. Raises UsageError when it runs already."""
        if self._node is not None:
            raise UsageError("this host runs already: stop it first, or make another one")
        self._made.clear()
        try:
            self._composition, self._node = self._compose()
        except Unfit as error:
            raise self._placed(error) from error
        settings, log = self._composition.settings, self._composition.log
        warn_of_exposure(settings, log)
        warn_of_reach(settings, (each.description for each in self._composition.planned), log)
        watch_certificates(self._composition.workshop, self._node)
        self._node.before_serving = self.before_serving
        try:
            await self._node.start()
        except Unfit as error:
            self._node = self._composition = None
            raise self._placed(error) from error
        except BaseException:
            self._node = self._composition = None
            raise
        return self

    def _placed(self, error: Unfit) -> Unfit:
        """`error` with the place of the setting that it is about."""
        text = str(error.args[0])
        problems = () if self._loaded is None else (self._loaded.document.problem(error.key, text, error.remedy),)
        return Unfit(text, key=error.key, remedy=error.remedy, problems=problems)

    def _compose(self) -> tuple[Composition, Node]:
        ready = self._ready or prepare(self._file, text=self._text, overrides=self._overrides, environ=self._environ)
        self._loaded, settings = ready.loaded, ready.loaded.require()
        if self._security is not None:
            settings = msgspec.structs.replace(settings, security=self._security)
        served = ready.loaded.services if self._serves else ()
        planned = plan(served) + [self._planned(each) for each in self._services]
        planned = [without_waiting(each) for each in planned] if self._alone else planned
        if not self._serves or (not planned and self._ready is None and "transports" not in ready.loaded.document.data):
            settings = msgspec.structs.replace(settings, transports={})  # it only calls: nothing to listen for
        return compose(
            settings, ready.catalogue, planned, fakes=self._fakes,
            is_alone=self._ready is None and self._text is not None, may_hold=bool(planned) or self._keeps,
            tls=self._tls,
        )  # fmt: skip

    def _planned(self, service: Any) -> Planned:
        instance = service() if isinstance(service, type) else service
        name = described(instance).name
        return prepared(instance, ServiceTable(options=dict(self._options.get(name, {}))))

    async def stop(self) -> list[str]:
        """Drain and close; the answer names what did not end in time. Idempotent."""
        node, self._node = self._node, None
        if self._asker is not None:
            await self._asker.aclose()
            self._asker = None
        return await node.drain() if node is not None else []

    async def __aenter__(self) -> Host:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    # ---- use -------------------------------------------------------------------------------------------------------
    @property
    def node(self) -> Node:
        """What runs. Raises UsageError before it is started."""
        if self._node is None:
            raise UsageError("this host does not run: use `async with Host(...) as host`")
        return self._node

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, ports resolved."""
        return self.node.addresses

    @property
    def mesh(self) -> str:
        """The mesh it belongs to."""
        return mesh_name(self.node.settings)

    def instance(self, service: type[S]) -> S:
        """The instance of a service class that runs here. Raises UsageError when none does."""
        for hosted in self.node.hosted:
            if isinstance(hosted.instance, service):
                return hosted.instance
        raise UsageError(f"{service.__name__} does not run in this host")

    @overload
    def client(self, service: type[S], /, *, version: str | None = ...) -> S: ...
    @overload
    def client(self, service: str, /, *, version: str | None = ...) -> DynamicClient: ...
    def client(self, service: Any, /, *, version: str | None = None) -> Any:
        """A client of a service, by class (typed as it) or by name; the same one each time it is asked for."""
        if self._composition is None:
            raise UsageError("this host does not run: use `async with Host(...) as host`")
        name = service if isinstance(service, str) else declared(service).name
        contract = None if isinstance(service, str) else service
        key = (name, version, contract)
        if key not in self._made:
            dependency = Dependency(attribute="", service=name, version=version, required=False, contract=contract)
            self._made[key] = self._composition.clients.alone(dependency)
        return self._made[key]

    def invoker(self, service: str, /, *, version: str | None = None) -> Invoker:
        """The way calls to `service` take, for who describes its endpoints by hand: the command line does."""
        if self._composition is None:
            raise UsageError("this host does not run: use `async with Host(...) as host`")
        wanted = Dependency(attribute="", service=service, version=version, required=False, contract=_Itself())
        return cast("Invoker", self._composition.clients.alone(wanted))

    def decode(self, event: Message, /) -> Any:
        """The payload of an event as plain data. Raises ValueError when it can't be read here."""
        if self._composition is None:
            raise UsageError("this host does not run: use `async with Host(...) as host`")
        for serializer in self._composition.workshop.serializers.values():
            if serializer.content_type == event.content_type:
                return serializer.codec(Any).decode(event.body)
        raise ValueError(f"there is no serializer here for {event.content_type}")

    def ask(self, record: NodeRecord, /) -> Control:
        """The control service of a node, whether or not it serves anything."""
        if self._composition is None:
            raise UsageError("this host does not run: use `async with Host(...) as host`")
        self._asker = self._asker or Asker(self._composition)
        return self._asker.node(record)

    async def dial(self, uri: str, /, *, timeout: float) -> Channel:
        """A channel of one's own to whoever listens at `uri`, within `timeout` seconds. Raises Unavailable, NotSupported."""
        if self._composition is None:
            raise UsageError("this host does not run: use `async with Host(...) as host`")
        address = Address(transport=uri.partition(":")[0], uri=uri)
        workshop = self._composition.workshop
        return await workshop.dial(address, workshop.clock.now() + timeout)

    def publish(self, event: Event[..., E], payload: E, /, **options: Any) -> Awaitable[Published]:
        """Publish an event as its service would, with what its `using` takes."""
        if options:
            refuse_no_texts(event.name, key=options.get("key"), id=options.get("id"))
        description = self._events.get(event)
        if description is None:  # looked at once: it takes a thousand times as long as to publish
            found = describe(cast(type, event.owner))
            description = self._events[event] = next(each for each in found.events if each.name == event.name)
        return self.node.publisher.publish(description, payload, **options)


class _Itself:
    """A dependency whose proxy is the invoker."""

    def __compose__(self, invoker: Invoker) -> Invoker:
        return invoker
