"""Entry point of `registry.static`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from ...contracts import Environment, Provider, Registry, hookimpl

Uri = Annotated[
    str,
    Meta(
        pattern=r"^([a-z][a-z0-9_-]*://[^\s/]+:[0-9]{1,5}/?|unix:(//[^\s/?]*)?/\S+)$",
        description='an address such as "tcp://10.0.0.7:4502"',
    ),
]


class StaticOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[registry.static]``."""

    nodes: Annotated[
        tuple[Uri, ...],
        Meta(description='where the other hosts listen, such as "tcp://10.0.0.7:4502"; what they serve is asked there'),
    ] = ()


@hookimpl
def vyked_registries() -> Iterable[Provider[Registry]]:
    """The registry of addresses that are written down."""
    summary = "a fixed list of hosts; they are asked what they serve"
    return [Provider(name="static", summary=summary, options=StaticOptions, build=_build)]


def _build(options: StaticOptions, env: Environment) -> Registry:
    from .registry import StaticRegistry

    return StaticRegistry(options, env)
