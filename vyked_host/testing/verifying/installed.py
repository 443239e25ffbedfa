"""From an entry of the catalogue to a test class: the author's where there is one, else the suite of its kind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import importlib_metadata
import msgspec
import pytest

from ...contracts import Provider
from ...errors import PluginError, StartError, UsageError, VykedError
from ...loading import Catalogue, Entry
from ..conformance.balancers import BalancerConformance
from ..conformance.middlewares import MiddlewareConformance
from ..conformance.plugins import PluginConformance
from ..conformance.pubsub import PubSubConformance
from ..conformance.registries import RegistryConformance
from ..conformance.results import ResultStoreConformance
from ..conformance.serializers import SerializerConformance
from ..conformance.suite import Suite
from ..conformance.transports import TransportConformance
from ..surroundings import environment

GROUP = "vyked_host.conformance"
SUITES: Mapping[str, type[Suite]] = {
    "balancer": BalancerConformance,
    "middleware": MiddlewareConformance,
    "pubsub": PubSubConformance,
    "registry": RegistryConformance,
    "results": ResultStoreConformance,
    "serializer": SerializerConformance,
    "transport": TransportConformance,
}
GREETING_S = 10.0
_MADE_OF = "__kit_made_of__"
QUICK: Mapping[str, Any] = {"port": 0, "ack_wait": 1.0}
"""Options by these names get these values, unless it is said otherwise: a free port, and no half minute of waiting: but
long enough that a busy machine settles in time."""


class Told(NamedTuple):
    """The suite for an entry, and the author's module whose fixtures it may use."""

    suite: type[Suite]
    module: ModuleType | None = None


def told(entry: Entry) -> Told | None:
    """How `entry` is to be tested; None for a kind that has no suite. Raises PluginError naming what is wrong with the
    author's entry point."""
    points = importlib_metadata.distribution(entry.dist).entry_points.select(group=GROUP, name=entry.path)
    for point in points:
        return _authors(entry, point)
    suite = SUITES.get(entry.kind)
    return None if suite is None else Told(suite)


def _authors(entry: Entry, point: importlib_metadata.EntryPoint) -> Told:
    where = f"{entry.plugin}: its entry point {GROUP}: {point.name} = {point.value}"
    if not point.module.startswith("vyked_host."):
        pytest.register_assert_rewrite(point.module)
    try:
        found, module = point.load(), import_module(point.module)
    except Exception as error:
        raise PluginError(f"{where} can't be loaded: {error!r}", plugin=entry.plugin) from error
    wanted = SUITES.get(entry.kind, Suite)
    if not (isinstance(found, type) and issubclass(found, wanted)):
        raise PluginError(f"{where} names no subclass of {wanted.__name__}", plugin=entry.plugin)
    return Told(found, module)


async def greet(suite: type[Suite]) -> None:
    """Ask the server that the plugin speaks to what it gives, where the kit makes the options. Raises StartError when it does not
    answer: every case would wait for it."""
    provider, options = getattr(suite, _MADE_OF, (None, None))
    if provider is None or provider.verify is None:
        return
    async with environment() as env:
        made = provider.build(options, env)
        try:
            async with asyncio.timeout(GREETING_S):
                await provider.verify(made)
        except (OSError, TimeoutError, VykedError) as error:
            raise StartError(
                f"{provider.name} can't reach its server: {error or 'no answer'}; {_remedy(provider)}"
            ) from error
        finally:
            await made.aclose()


def _remedy(provider: Provider[Any]) -> str:
    """What to say with --set: the plugin's own way to write an address, where its option has the usual name."""
    fields = {field.encode_name: field.default for field in msgspec.structs.fields(provider.options)}
    url = fields.get("url")
    how = f"--set url={url}" if isinstance(url, str) and url else f"--set KEY=VALUE; its options: {', '.join(fields)}"
    return f"start one, and say where it is, as in {how}"


def suite_of(catalogue: Catalogue, entry: Entry, how: Told, settings: Mapping[str, Any], **more: Any) -> type[Suite]:
    """A test class for `entry`: that of `how`, with `provider` and `options` where it has none of its own, and `more` attributes.
    Raises UsageError for `settings` that can't be used."""
    provider, suite = catalogue.provider(entry.kind, entry.name), how.suite
    attributes: dict[str, Any] = {"spi": _spi(entry)} if suite.spi == Suite.spi else {}
    if not _is_written(suite, "provider"):
        attributes["provider"] = _fixture(provider)
    if not _is_written(suite, "options") and not suite.unfit:
        options = options_of(provider, {**suite.settings, **settings})
        attributes |= {"options": _fixture(options), _MADE_OF: (provider, options)}
        if hasattr(suite, "ack_wait_s"):
            attributes["ack_wait_s"] = provider.guarantees(options).ack_wait_s
    elif settings:
        raise UsageError(f"{suite.__qualname__} of {entry.plugin} makes its options itself: --set can't change them")
    return type(class_name(entry), (suite,), attributes | more)


def options_of(provider: Provider[Any], settings: Mapping[str, Any]) -> msgspec.Struct:
    """Its options under `settings`, and under QUICK where nothing is said. Raises UsageError naming what does not fit."""
    fields = {field.encode_name for field in msgspec.structs.fields(provider.options)}
    quick = {name: value for name, value in QUICK.items() if name in fields}
    try:
        return msgspec.convert({**quick, **settings}, provider.options)
    except msgspec.ValidationError as error:
        known = ", ".join(sorted(fields)) or "none at all"
        raise UsageError(
            f"the options of {provider.name!r} don't fit: {error}; --set KEY=VALUE gives one of them: {known}"
        ) from error


def packaging_of(distribution: str) -> type[PluginConformance]:
    """The packaging suite for one distribution."""
    name = "TestPackaging" + distribution.title().replace("-", "").replace("_", "")
    return type(name, (PluginConformance,), {"distribution": _fixture(distribution)})


def class_name(entry: Entry) -> str:
    """``TestPubsubRedisStreams``"""
    return "Test" + "".join(part.title() for part in (entry.kind, *entry.name.replace("-", "_").split("_")))


def _is_written(suite: type[Suite], fixture: str) -> bool:
    """Has the author a fixture of that name? Looked up by class: a fixture is another object each time it is asked for."""
    return next(each for each in suite.__mro__ if fixture in vars(each)) is not Suite


def _fixture(value: Any) -> Any:
    def given(_self: object) -> Any:
        return value

    return pytest.fixture(given)


def _spi(entry: Entry) -> str:
    module = entry.value.partition(":")[0].partition("[")[0].strip()
    return str(getattr(import_module(module), "VYKED_SPI", Suite.spi))
