"""What all suites share: the provider under test, its options, and which cases are for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from ...contracts import Environment, Guarantees, Provider
from ..leftovers import leaks
from ..surroundings import environment
from . import cases


class Suite:
    """Fixtures of every suite. `known_failures`: test name -> reason; such a test has to fail, or it fails. `spi`: the version of
    the contracts that the plugin was written for; cases that came later are left out. `unfit`: why no case can run, such as
    for a transport that has no other end. `settings`: options as in vyked.toml; no `options` fixture needed then."""

    known_failures: ClassVar[dict[str, str]] = {}
    spi: ClassVar[str] = cases.FIRST
    unfit: ClassVar[str] = ""
    settings: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def provider(self) -> Provider[Any]:
        """The provider under test: to be written by who inherits."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `provider` that returns the Provider to test")

    @pytest.fixture
    def options(self, provider: Provider[Any]) -> msgspec.Struct:
        """Its options: `settings`, and defaults for the rest."""
        return msgspec.convert(self.settings, provider.options)

    @pytest.fixture
    def guarantees(self, provider: Provider[Any], options: msgspec.Struct) -> Guarantees:
        """What it says it gives under these options: cases about what it does not give are left out."""
        return provider.guarantees(options)

    @pytest_asyncio.fixture
    async def env(self) -> AsyncIterator[Environment]:
        """What the object under test is given. Nothing may be left when the test is over."""
        async with leaks(), environment() as env:
            yield env

    @pytest.fixture(autouse=True)
    def _known_failure(self, request: pytest.FixtureRequest) -> None:
        reason = self.known_failures.get(request.node.name)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    @pytest.fixture(autouse=True)
    def _is_asked(self, request: pytest.FixtureRequest) -> None:
        """Leave out what is not for this plugin, and say why."""
        case = request.function
        if self.unfit:
            pytest.skip(self.unfit)
        if version := cases.is_newer(case, self.spi):
            pytest.skip(f"{cases.TOO_NEW}it came with {version}, the plugin says it was written for {self.spi}")
        for guarantee in cases.of(case):
            if not cases.declares(request.getfixturevalue("guarantees"), guarantee):
                pytest.skip(f"{cases.NOT_DECLARED}{guarantee}")
        if (fixture := cases.asked_for(case)) and request.getfixturevalue(fixture) is None:
            pytest.skip(f"{cases.NOT_WRITTEN}{fixture!r}")
