"""`vyked.host`: the class that hosts services, as one process among those of Vyked 2.x: it speaks their wire with the registry,
with other services, and with Redis.
"""

from __future__ import annotations

import json
import logging
import ssl
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from vyked_classic.contexts import Contexts

import vyked_host

from .utils.log import CONFIG_FILE, setup_logging

log = logging.getLogger("vyked")
NEAR = frozenset({"127.0.0.1", "localhost", "::1"})
ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised so that something that can be dialled is used instead
SIZE = "16MiB"
"""Of a message: the original had no limit, and its arguments have no types."""
TRANSPORTS = {"tcp": "classic", "http": "http"}


class Host(vyked_host.Host):
    """Class attributes and class methods, as Vyked 2.x had them; it is never instantiated."""

    registry_client_ssl: ClassVar[ssl.SSLContext | None] = None
    """What the registry is dialled with; None: without TLS."""

    @classmethod
    def run(cls) -> None:
        """Serve what is attached until a signal. Ends the process with the exit code of ``vyked-host run`` when that is not 0."""
        try:
            super().run()
        except vyked_host.VykedError as error:
            log.error("%s", error)  # noqa: TRY400 - a person's own mistake: no traceback
            sys.exit(error.exit_code)

    @classmethod
    def check(cls, service: Any) -> None:
        """Every service is served, with its `ssl_context` where it has one."""

    @classmethod
    def tls(cls, services: Mapping[str, Any]) -> dict[str, Contexts]:
        """The contexts that were given, by what uses them; empty without any. Raises NotSupported for several of HTTP clients."""
        clients = [each for service in services.values() for each in service.clients]
        given = [(each, context) for each in clients if (context := getattr(each, "ssl_context", None)) is not None]
        pages = {each.name: context for each, context in given if isinstance(each, vyked_host.HTTPServiceClient)}
        vendors = {each.name: context for each, context in given if isinstance(each, vyked_host.TCPServiceClient)}
        served = {kind: service.ssl_context for kind, service in services.items()}
        if not given and cls.registry_client_ssl is None and not any(served.values()):
            return {}
        return {
            "transport.classic": Contexts(served.get("tcp"), vendors=vendors),
            "transport.http": Contexts(served.get("http"), client=of_all(pages)),
            "registry.classic": Contexts(client=cls.registry_client_ssl, vendors=vendors, pages=pages),
        }

    @classmethod
    def title(cls, services: Mapping[str, Any]) -> str:
        """``vyked_NAME_ID``, which scripts look for; the id is random."""
        return f"vyked_{cls.name or next(iter(services.values())).name}_{uuid.uuid4()}"

    @classmethod
    def logging_is_set_up(cls) -> bool:
        """As ``./config_log.json`` has it, where it is. Raises ConfigError when it can't be used."""
        if not Path(CONFIG_FILE).exists():
            return False
        try:
            setup_logging()
        except (OSError, ValueError) as error:
            log.disabled = False  # what of it was understood may have silenced everybody
            more = "" if error.__cause__ is None else f": {error.__cause__}"
            raise vyked_host.ConfigError(
                f"{CONFIG_FILE}: {error}{more}; it takes JSON, in the schema of logging.config.dictConfig"
            ) from error
        return True

    @classmethod
    def tables(cls, services: Mapping[str, Any]) -> str:
        """The vyked.toml for what is attached."""
        first = next(iter(services.values()))
        tables = [
            f'[host]\nname = {quoted((cls.name or first.name).lower())}\nmesh = "vyked"',
            f'[limits]\nmessage = "{SIZE}"\nuntyped_message = "{SIZE}"',
            '[middleware]\nserver = ["logging", "classic"]',
            '[clients.default]\nbalancer = "hash"\ntimeout = 600',  # calls about one entity go to one instance
            "[transports.local]",
            *(cls._transport(kind, service) for kind, service in services.items()),
            *(cls._ronin() if cls.ronin else cls._joined(services)),
        ]
        if any((service.host or "127.0.0.1") not in NEAR for service in services.values()):
            tables.append("[security]\ninsecure = true")  # an address was asked for by name, as Vyked 2.x served it
        return "\n".join(tables) + "\n"

    @classmethod
    def _transport(cls, kind: str, service: Any) -> str:
        warn_of_the_address(service)
        table = f"[transports.{TRANSPORTS[kind]}]\nhost = {quoted(service.host or '127.0.0.1')}"
        return table if service.port is None else f"{table}\nport = {int(service.port)}"

    @classmethod
    def _ronin(cls) -> Iterator[str]:
        yield '[registry]\nuse = "embedded"\n[registry.embedded]\naddress = "none"'

    @classmethod
    def _joined(cls, services: Mapping[str, Any]) -> Iterator[str]:
        known = [each for service in services.values() for each in (*service.clients, service)]
        versions = {each.name: each.version for each in known}
        kinds: dict[str, list[str]] = {}
        for kind, service in services.items():
            kinds.setdefault(service.name, []).append(kind)
        near = "127.0.0.1"
        registry = near if cls.registry_host in ANYWHERE else cls.registry_host
        redis = near if cls.pubsub_host in ANYWHERE else cls.pubsub_host
        yield '[registry]\nuse = "classic"\n[pubsub]\nuse = "classic"'
        yield f"[registry.classic]\nhost = {quoted(registry)}\nport = {cls.registry_port}"
        yield "[registry.classic.versions]\n" + "\n".join(f"{quoted(n)} = {quoted(v)}" for n, v in versions.items())
        yield "[registry.classic.kinds]\n" + "\n".join(
            f"{quoted(name)} = {json.dumps(sorted(found, reverse=True))}" for name, found in kinds.items()
        )
        yield f"[pubsub.classic]\nurl = {quoted(f'redis://{redis}:{cls.pubsub_port}')}"


def quoted(text: str) -> str:
    """`text` as a string of TOML, whose basic strings are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def of_all(pages: Mapping[str, ssl.SSLContext]) -> ssl.SSLContext | None:
    """The one context of the HTTP clients of a process. Raises NotSupported where they have several."""
    found = list({id(each): each for each in pages.values()}.values())
    if len(found) > 1:
        raise vyked_host.NotSupported(
            f"the HTTPServiceClients of {', '.join(pages)} have {len(found)} ssl_contexts: give all of them one that trusts each service"
        )
    return found[0] if found else None


def warn_of_the_address(service: Any) -> None:
    """What an address means here is not what it meant."""
    if not service.host:
        log.warning(
            "%s: without an address it listens at 127.0.0.1; Vyked 2.x listened everywhere: give 0.0.0.0 for that",
            service.name,
        )
