"""``identity = client(Identity)`` in a service class: what it declares. The host puts the proxy in its place."""

from __future__ import annotations

from typing import Any, Protocol, Self, TypeVar, cast, overload

from ..errors import UsageError
from ..model import names
from ..model.version import parse
from .calls import BoundEndpoint
from .identity import ATTRIBUTE

S = TypeVar("S")


class DynamicCalls(Protocol):
    """What a client by name looks like to a type checker: any method, keyword arguments, any result."""

    def __getattr__(self, method: str, /) -> BoundEndpoint[..., Any]: ...


class ClientDeclaration:
    """A declared dependency. On an instance without a host, asking for it raises UsageError."""

    def __init__(self, service: str, contract: type[object] | None, version: str | None, required: bool) -> None:
        self.service, self.contract, self.version, self.required = service, contract, version, required
        self.attribute = ""

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.attribute = name

    def __get__(self, instance: object | None, owner: type[object], /) -> Self:
        """Itself from the class. An attached instance has the proxy in its `__dict__`, which comes first."""
        if instance is None:
            return self
        raise UsageError(
            f"{owner.__qualname__}.{self.attribute} has no host to call through: run the service in one, or in a test "
            f"with vyked_host.testing.running({owner.__qualname__})"
        )


@overload
def client(service: type[S], /, *, version: str | None = ..., required: bool = ...) -> S: ...
@overload
def client(service: str, /, *, version: str | None = ..., required: bool = ...) -> DynamicCalls: ...
def client(service: Any, /, *, version: str | None = None, required: bool = True) -> Any:
    """Declare that this service calls another one: by its class (or its Contract), typed as that class; or by its name.

    `version` is the lowest compatible one; the class's own when not given. `required`: this service waits, inactive, until
    the other is there. Raises UsageError when `service` is neither.
    """
    wanted = str(parse(version)) if version is not None else None
    if isinstance(service, str):
        return ClientDeclaration(names.name(service, "service name"), None, wanted, required)
    if isinstance(service, type) and hasattr(service, ATTRIBUTE):
        return ClientDeclaration("", cast("type[object]", service), wanted, required)
    raise UsageError(f"client({service!r}): give a Service or Contract class, or the name of a service as a text")
