"""The suite for packaging: what a distribution claims in its entry points it has, light to import, described, and sound."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import Any, ClassVar

import importlib_metadata
import msgspec
import pytest

from ...contracts import SPI_VERSION, Provider

GROUP = "vyked_host.plugins"
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
_IMPORTED = """
import sys, vyked_host.contracts
before = set(sys.modules)
import {module}
print(*sorted(set(sys.modules) - before))
"""


class PluginConformance:
    """Inherit, and write the fixture `distribution`: its name, such as ``vyked-zone``. `heavy`: packages that importing
    the plugin's modules may not import, because only building it needs them."""

    heavy: ClassVar[frozenset[str]] = frozenset(
        {
            "aiohttp",
            "redis",
            "nats",
            "prometheus_client",
            "grpc",
            "jsonschema",
            "rich",
            "tree_sitter",
            "sqlite3",
            "cbor2",
        }
    )

    @pytest.fixture
    def distribution(self) -> str:
        """The name of the distribution under test: to be written by who inherits."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `distribution` that returns its name")

    @pytest.fixture
    def claims(self, distribution: str) -> list[tuple[str, str, str]]:
        """(kind, name, module) of each entry point; a hooks-only module has no kind."""
        points = importlib_metadata.distribution(distribution).entry_points.select(group=GROUP)
        found = [(*_claim(point.name), point.value) for point in points]
        assert found, f"{distribution} has no entry point in the group {GROUP}"
        return found

    def test_each_entry_point_resolves_and_gives_what_its_name_claims(self, claims: list[tuple[str, str, str]]) -> None:
        for kind, name, module in claims:
            found = _load(module)
            if kind:
                assert kind in HOOKS, f"{kind}.{name}: there is no such kind; kinds: {', '.join(HOOKS)}"
                names = [provider.name for provider in _providers(found, kind)]
                assert names.count(name) == 1, f"{module} gives {names} for {kind}, not {name!r} once"

    def test_every_provider_is_described_and_its_options_have_a_schema(
        self, claims: list[tuple[str, str, str]]
    ) -> None:
        for provider in _claimed(claims):
            assert provider.summary, f"{provider.name} has no summary"
            assert issubclass(provider.options, msgspec.Struct)
            schema = msgspec.json.schema(provider.options)
            (own,) = (each for name, each in schema["$defs"].items() if schema["$ref"].endswith(f"/{name}"))
            assert own.get("additionalProperties") is False, f"{provider.name}: options need forbid_unknown_fields=True"

    def test_the_defaults_of_options_are_complete_or_missing_ones_are_named(
        self, claims: list[tuple[str, str, str]]
    ) -> None:
        for provider in _claimed(claims):
            required = [field.name for field in msgspec.structs.fields(provider.options) if field.required]
            if not required:
                assert provider.guarantees(provider.options()) == provider.guarantees(provider.options())

    def test_looking_twice_gives_the_same(self, claims: list[tuple[str, str, str]]) -> None:
        first, second = _claimed(claims), _claimed(claims)
        assert [provider.name for provider in first] == [provider.name for provider in second]

    def test_what_it_was_written_for_is_this_interface(self, claims: list[tuple[str, str, str]]) -> None:
        for _, _, module in claims:
            text = getattr(_load(module), "VYKED_SPI", "1.0")
            major, minor = (int(part) for part in text.split("."))
            assert (major, minor) <= SPI_VERSION
            assert major == SPI_VERSION[0]

    def test_importing_it_imports_nothing_heavy(self, claims: list[tuple[str, str, str]]) -> None:
        for module in sorted({module for _, _, module in claims}):
            program = _IMPORTED.format(module=module.partition(":")[0])
            told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
            assert told.returncode == 0, told.stderr
            found = {name.partition(".")[0] for name in told.stdout.split()} & self.heavy
            assert not found, f"importing {module} imports {', '.join(sorted(found))}: import it in build()"

    def test_it_says_which_vyked_host_it_needs(self, distribution: str) -> None:
        if distribution.replace("_", "-") == "vyked-host":
            pytest.skip("it is the host itself")
        requires = importlib_metadata.distribution(distribution).requires or []
        assert any(line.replace("_", "-").startswith("vyked-host") for line in requires), (
            "add vyked-host to install_requires"
        )


def _claim(name: str) -> tuple[str, str]:
    kind, dot, rest = name.partition(".")
    return (kind, rest) if dot else ("", name)


def _load(module: str) -> Any:
    """A module, or an object of a class, as the host's loader makes it."""
    found = importlib_metadata.EntryPoint("x", module, GROUP).load()
    return found() if isinstance(found, type) else found


def _providers(module: Any, kind: str) -> Iterable[Provider[Any]]:
    hook = getattr(module() if isinstance(module, type) else module, HOOKS[kind], None)
    return list(hook()) if hook is not None else []


def _claimed(claims: list[tuple[str, str, str]]) -> list[Provider[Any]]:
    return [
        provider
        for kind, name, module in claims
        if kind in HOOKS
        for provider in _providers(_load(module), kind)
        if provider.name == name
    ]
