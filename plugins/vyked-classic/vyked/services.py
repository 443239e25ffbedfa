"""`vyked.services`: the classes that services and clients derive from."""

from __future__ import annotations

import vyked_host
from vyked_host import HTTPServiceClient, Request, Response, TCPService, TCPServiceClient, get

from .utils.stats import Aggregator

__all__ = ["HTTPService", "HTTPServiceClient", "TCPService", "TCPServiceClient"]


class HTTPService(vyked_host.HTTPService):
    """As vyked-host has it, and with figures in the shape of Vyked 2.x."""

    @get(path="/_stats")
    def stats(self, _request: Request) -> Response:
        """What the calls of this process took and how they ended, where the middleware ``classic`` counts them."""
        return Response(text=Aggregator.dump_stats(), content_type="application/json")
