"""What all suites share: the provider under test, its options, and an object of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from ...contracts import Environment, Guarantees, Provider
from ..leftovers import leaks
from ..surroundings import environment


class Suite:
    """Fixtures of every suite. `known_failures`: test name -> reason; such a test has to fail, or it fails."""

    known_failures: ClassVar[dict[str, str]] = {}

    @pytest.fixture
    def provider(self) -> Provider[Any]:
        """The provider under test: to be written by who inherits."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `provider` that returns the Provider to test")

    @pytest.fixture
    def options(self, provider: Provider[Any]) -> msgspec.Struct:
        """Its options; the defaults unless overridden."""
        return provider.options()

    @pytest.fixture
    def guarantees(self, provider: Provider[Any], options: msgspec.Struct) -> Guarantees:
        """What it says it gives under these options: tests of what it does not give are skipped."""
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
