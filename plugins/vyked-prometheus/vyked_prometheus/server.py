"""A small HTTP server of its own for metrics, so that scraping and the host's own traffic never meet."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from vyked_host import StartError
from vyked_host.contracts import HostView

from .collector import HostCollector
from .options import DEFAULT_PORT, Options

log = logging.getLogger("vyked.prometheus")


@asynccontextmanager
async def serving(host: HostView, options: Options) -> AsyncIterator[str]:
    """The metrics of `host` at the URL given, until left. Raises StartError when the port is taken."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HostCollector(host.statistics))
    application = web.Application(client_max_size=0)
    application.router.add_get(options.path, _exposition(registry))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        yield await _listen(runner, options)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, options: Options) -> str:
    wanted = DEFAULT_PORT if options.port is None else options.port
    try:
        await web.TCPSite(runner, options.host, wanted).start()
    except OSError as error:
        if options.port is not None or error.errno != errno.EADDRINUSE:
            what = f"metrics can't be served on {options.host}:{wanted}: {error.strerror}"
            raise StartError(f"{what}; choose another [plugins.options.prometheus] port") from error
        await web.TCPSite(runner, options.host, 0).start()
    address, port = runner.addresses[0][:2]
    url = f"http://[{address}]:{port}{options.path}" if ":" in address else f"http://{address}:{port}{options.path}"
    log.info("metrics on %s", url)
    return url


def _exposition(registry: CollectorRegistry) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    return metrics
