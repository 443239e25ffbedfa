"""What vyked-host finds through the entry point ``serializer.cbor``: light, cbor2 is imported by `codec`."""

from __future__ import annotations

from collections.abc import Iterable

from vyked_host.contracts import Environment, NoOptions, Provider, Serializer, hookimpl


@hookimpl
def vyked_serializers() -> Iterable[Provider[Serializer]]:
    """The serializer `cbor`."""
    return [Provider(name="cbor", summary="CBOR, RFC 8949", build=_build)]


def _build(_options: NoOptions, env: Environment) -> Serializer:
    from .codec import Cbor

    return Cbor(env.limits)
