"""Whatever the host can use, a distribution that it has never heard of can offer."""

from __future__ import annotations

import sys

import pytest

from vyked_host.errors import PluginError
from vyked_host.loading import load
from vyked_host.loading.entry import OFFERS

from .shelf import Shelf

HOOKS = {
    "transport": "vyked_transports",
    "pubsub": "vyked_pubsub_backends",
    "registry": "vyked_registries",
    "results": "vyked_result_stores",
    "serializer": "vyked_serializers",
    "balancer": "vyked_balancers",
    "middleware": "vyked_middlewares",
    "authenticator": "vyked_authenticators",
}
SOURCE = """
    import msgspec
    from vyked_host.contracts import Provider, hookimpl

    class Options(msgspec.Struct):
        colour: str = "grey"

    @hookimpl
    def {hook}():
        build = lambda options, env: (options.colour, env)
        return [Provider(name="pigeon", summary="slow", options=Options, build=build)]
"""


def test_all_kinds_are_tried_here() -> None:
    assert HOOKS == OFFERS


@pytest.mark.parametrize(("kind", "hook"), HOOKS.items())
def test_a_stranger_offers_one(shelf: Shelf, kind: str, hook: str) -> None:
    shelf.add(
        "acme-pigeon", plugins={f"{kind}.pigeon": "acme_pigeon"}, modules={"acme_pigeon": SOURCE.format(hook=hook)}
    )
    catalogue = load(environ={})
    assert "pigeon" in catalogue.names(kind)
    assert "acme_pigeon" not in sys.modules
    provider = catalogue.provider(kind, "pigeon")
    assert provider.build(provider.options(), "here") == ("grey", "here")  # type: ignore[arg-type,comparison-overlap]


@pytest.mark.parametrize("kind", HOOKS)
def test_a_claim_that_the_module_does_not_keep_is_refused(shelf: Shelf, kind: str) -> None:
    other = next(hook for one, hook in HOOKS.items() if one != kind)
    shelf.add(
        "acme-pigeon", plugins={f"{kind}.pigeon": "acme_pigeon"}, modules={"acme_pigeon": SOURCE.format(hook=other)}
    )
    with pytest.raises(PluginError, match=r"acme-pigeon 1\.0"):
        load(environ={}).provider(kind, "pigeon")
