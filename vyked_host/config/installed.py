"""What a file can name: the plugins and services that are installed. `loading.Catalogue` is one; tests bring their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ..contracts import Provider

KINDS = ("transport", "registry", "pubsub", "results", "serializer", "balancer", "middleware", "authenticator")


class Installed(Protocol):
    """Everything that names in a file may refer to. Nothing is imported by asking for names."""

    @property
    def unmatched(self) -> tuple[str, ...]:
        """What ``[plugins] disable`` names and is not installed."""
        ...

    def restrict(self, disable: Iterable[str], autoload: bool = True) -> None:
        """Apply ``[plugins]``, before anything is loaded."""
        ...

    def names(self, kind: str) -> tuple[str, ...]:
        """Names of the usable plugins of a kind (`KINDS`)."""
        ...

    def provider(self, kind: str, name: str) -> Provider[Any]:
        """The provider of that name; `name` may be ``distribution:name``. Imports it. Raises errors.StartError."""
        ...

    def service_names(self) -> tuple[str, ...]:
        """Names of the services that installed packages bring."""
        ...

    def service(self, name: str) -> Any:
        """The class of an installed service. Raises errors.VykedError."""
        ...

    def reference(self, text: str, folder: str) -> Any:
        """What ``module:Class`` names; `folder` is importable meanwhile. Raises errors.VykedError, whose text says whether
        the module, a module inside it, or the attribute is missing."""
        ...

    def offer_services(self, settings: Mapping[str, Any]) -> None:
        """Ask plugins for services beside entry points; afterwards `service_names` has them."""
        ...

    def check_settings(self, settings: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
        """What plugins find wrong: (dotted path, fault, remedy)."""
        ...
