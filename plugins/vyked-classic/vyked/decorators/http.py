"""`vyked.decorators.http` of release 2.1.91."""

from vyked_host import delete, get, head, options, patch, post, put, trace

__all__ = ["delete", "get", "head", "options", "patch", "post", "put", "trace"]
