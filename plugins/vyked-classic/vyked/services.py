"""`vyked.services`: the classes that services and clients derive from."""

from vyked_host import HTTPService, HTTPServiceClient, TCPService, TCPServiceClient

__all__ = ["HTTPService", "HTTPServiceClient", "TCPService", "TCPServiceClient"]
