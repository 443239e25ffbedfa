"""The ancestor's `Host`: a class that is never instantiated, on top of the real one (VYKED.md section 3).

``Host.configure(...)``, ``Host.attach_tcp_service(...)``, ``Host.attach_http_service(...)``, ``Host.run()``. One service of
each kind; signals drain, and the exit code says how it went, which the ancestor did not do.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..contracts import Tls
from ..errors import NotSupported, UsageError, VykedError
from ..service.classic.services import ClassicService, HTTPService, TCPService

log = logging.getLogger("vyked")


class ClassicHost:
    """Class attributes and class methods of Vyked 2.x's Host. The ports and addresses are those of the services."""

    registry_host: ClassVar[str] = "127.0.0.1"
    registry_port: ClassVar[int] = 4500
    pubsub_host: ClassVar[str] = "127.0.0.1"
    pubsub_port: ClassVar[int] = 6379
    name: ClassVar[str | None] = None
    ronin: ClassVar[bool] = False
    _attached: ClassVar[dict[str, ClassicService]] = {}

    @classmethod
    def configure(
        cls, name: str, registry_host: str = "127.0.0.1", registry_port: int = 4500, pubsub_host: str = "127.0.0.1",
        pubsub_port: int = 6379,
    ) -> None:  # fmt: skip
        """Set the class attributes; any time before `run`."""
        cls.name, cls.registry_host, cls.registry_port = name, registry_host, registry_port
        cls.pubsub_host, cls.pubsub_port = pubsub_host, pubsub_port

    @classmethod
    def attach_tcp_service(cls, service: TCPService) -> None:
        """Serve `service` over tcp. Raises UsageError for anything else; a second one is refused with a warning."""
        cls._attach("tcp", service, TCPService)

    @classmethod
    def attach_http_service(cls, service: HTTPService) -> None:
        """Serve `service` over http. Raises UsageError for anything else; a second one is refused with a warning."""
        cls._attach("http", service, HTTPService)

    @classmethod
    def attach_service(cls, service: ClassicService) -> None:
        """Deprecated: as attach_tcp_service or attach_http_service, by the kind of the service."""
        text = "Host.attach_service is deprecated: use attach_tcp_service or attach_http_service"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        cls._attach("http" if isinstance(service, HTTPService) else "tcp", service, ClassicService)

    @classmethod
    def _attach(cls, kind: str, service: ClassicService, wanted: type[ClassicService]) -> None:
        if not isinstance(service, wanted):
            raise UsageError(f"{service!r} is no {wanted.__name__}")
        cls.check(service)
        if kind in cls._attached:
            text = f"{cls._attached[kind].name} is attached as the {kind} service already; {service.name} is ignored"
            warnings.warn(text, RuntimeWarning, stacklevel=3)
            return
        cls._attached = {**cls._attached, kind: service}

    @classmethod
    def run(cls) -> None:
        """Serve what is attached until a signal; logs an error and returns when nothing is. Ends the process with the
        exit code of ``vyked-host run`` when that is not 0."""
        if not cls._attached:
            log.error("no services to host: attach one with Host.attach_tcp_service or Host.attach_http_service")
            return
        services, cls._attached = cls._attached, {}
        code = cls.serve(
            cls.tables(services), tuple(services.values()), title=cls.title(services), tls=cls.tls(services)
        )
        if code:
            sys.exit(code)

    # ---- for who derives from it -------------------------------------------------------------------------------------
    @classmethod
    def serve(
        cls, text: str, services: Sequence[object] = (), *, title: str | None = None, tls: Mapping[str, Tls] | None = None
    ) -> int:  # fmt: skip
        """Serve `services`, and those that `text`, the content of a vyked.toml, names, until a signal, in a process called `title`; `tls`
        as of `compose`. Returns the exit code of ``vyked-host run``; what is wrong is logged."""
        from .prepare import prepare
        from .run import run

        try:
            logs = not cls.logging_is_set_up()
            ready = prepare(None, text=text)
            return run(ready, _started, tuple(services), ronin=cls.ronin, title=title, logs=logs, tls=tls)
        except VykedError as error:
            log.error("%s", error)  # noqa: TRY400 - a person's own mistake: no traceback
            return error.exit_code

    @classmethod
    def title(cls, services: Mapping[str, ClassicService]) -> str | None:  # noqa: ARG003 - for who derives from it
        """What the process of `services` is called; None: as that of any host."""
        return None

    @classmethod
    def tls(cls, services: Mapping[str, ClassicService]) -> Mapping[str, Tls]:  # noqa: ARG003 - for who derives from it
        """TLS contexts by kind and table ("transport.http"), instead of those of ``[security.tls]``."""
        return {}

    @classmethod
    def logging_is_set_up(cls) -> bool:
        """Called before anything is logged. True: logging is set up, and stays so; False: as ``[logging]`` has it. Raises ConfigError."""
        return False

    @classmethod
    def check(cls, service: ClassicService) -> None:
        """Called for each service that is attached. Raises NotSupported for what is not served here."""
        if service.ssl_context is not None:
            raise NotSupported(
                f"{service.name}: TLS for one service is not served here; nothing is sent in clear instead"
            )

    @classmethod
    def tables(cls, services: Mapping[str, ClassicService]) -> str:
        """The vyked.toml for what is attached: "tcp" and "http" -> service, in the order of attaching."""
        registry = "none" if cls.ronin else f"{cls.registry_host}:{cls.registry_port}"
        tables = [
            f"[host]\nname = {json.dumps(cls.name or next(iter(services.values())).name)}",
            "[transports.local]",
            f'[registry]\nuse = "embedded"\n[registry.embedded]\naddress = "{registry}"',
        ]
        for kind, service in services.items():
            tables.append(f"[transports.{kind}]\nhost = {json.dumps(service.host or '127.0.0.1')}")
            if service.port is not None:
                tables.append(f"port = {service.port}")
        if any(service.host not in (None, "", "127.0.0.1", "localhost", "::1") for service in services.values()):
            tables.append("[security]\ninsecure = true")  # an address was asked for by name, as Vyked 2.x served it
        return "\n".join(tables) + "\n"


def _started(host: Any, seconds: float) -> None:
    where = ", ".join(address.uri for address in host.addresses if address.transport != "local")
    names = ", ".join(hosted.name for hosted in host.node.hosted) or "no service"
    log.info("serving %s on %s (ready in %d ms)", names, where, seconds * 1000)


class Registry:
    """The ancestor's registry process. Hosts carry their registry with them, so there is nothing to start."""

    def __init__(self, ip: str | None = None, port: int = 4500, repository: object = None) -> None:
        self.ip, self.port, self.repository = ip or "127.0.0.1", port, repository

    def start(self) -> None:
        """Raises NotSupported: the process is not needed any more."""
        raise NotSupported(
            'every vyked-host carries its registry with it ([registry] use = "embedded"): '
            "there is no registry process to start; take this one out of what you run"
        )
