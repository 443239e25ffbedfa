"""`vyked.wrappers`: requests and responses of HTTP services."""

from vyked_host import Request, Response

__all__ = ["Request", "Response"]
