"""`vyked.exceptions`."""

from vyked_host import (
    ClientDisconnected,
    ClientException,
    ClientNotFoundError,
    RequestException,
    VykedException,
    VykedServiceError,
    VykedServiceException,
)

__all__ = [
    "ClientDisconnected", "ClientException", "ClientNotFoundError", "RequestException", "VykedException", "VykedServiceError",
    "VykedServiceException",
]  # fmt: skip
