"""Entry point of `serializer.json` and `serializer.msgpack`."""

from __future__ import annotations

from collections.abc import Iterable

from ...contracts import Environment, NoOptions, Provider, Serializer, hookimpl


@hookimpl
def vyked_serializers() -> Iterable[Provider[Serializer]]:
    """The two serializers of the host itself."""
    return [
        Provider(name="json", summary="RFC 8259 JSON: readable, understood by everybody", build=_json),
        Provider(name="msgpack", summary="msgpack: smaller and faster than JSON", build=_msgpack),
    ]


def _json(_options: NoOptions, env: Environment) -> Serializer:
    from .codecs import Json

    return Json(env.limits)


def _msgpack(_options: NoOptions, env: Environment) -> Serializer:
    from .codecs import Msgpack

    return Msgpack(env.limits)
