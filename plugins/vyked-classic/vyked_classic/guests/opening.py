"""The lifespan of the reception: opened before the host serves anything, closed after."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vyked_host import StartError
from vyked_host.contracts import Environment, HostView

from ..options import TransportOptions
from .bridge import Bridge
from .reception import Reception


@asynccontextmanager
async def receiving(options: TransportOptions, env: Environment, host: HostView) -> AsyncIterator[None]:
    """Old processes are received while this is entered. Raises StartError."""
    where, _, port = (options.registry or "").rpartition(":")
    if not port.isdigit():
        raise StartError(
            f"[transports.{env.name}] registry = {options.registry!r}: write HOST:PORT, such as 127.0.0.1:4500"
        )
    reception = Reception(options, env, host.registry)
    bridge = Bridge(options.redis, env, host.pubsub, reception) if options.redis is not None else None
    shown = certificate(options, env)
    try:
        await reception.open(where.strip("[]"), int(port), shown)
    except StartError as error:
        raise StartError(f"[transports.{env.name}] registry: {error}{HINT if taken(error) else ''}") from error
    try:
        yield
    finally:
        if bridge is not None:
            await bridge.aclose()
        await reception.aclose()


def taken(error: StartError) -> bool:
    """Does somebody else listen there?"""
    return bool(getattr(error, "in_use", False))


HINT = '. Where the hosts of this mesh meet there: [registry.embedded] address = "127.0.0.1:4499", the same in each of them'


def certificate(options: TransportOptions, env: Environment) -> ssl.SSLContext | None:
    """What old processes are shown. Raises StartError."""
    if options.registry_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key = Path(env.folder, options.registry_key) if options.registry_key is not None else None
    try:
        context.load_cert_chain(Path(env.folder, options.registry_cert), key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"[transports.{env.name}] registry_cert, registry_key: can't be used: {error}") from error
    return context
