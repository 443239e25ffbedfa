from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from .party import Party


@pytest.fixture
async def parties(tmp_path: Path) -> AsyncIterator[Callable[..., Party]]:
    """Makes meshes."""
    made: list[Party] = []

    def make(**options: Any) -> Party:
        made.append(Party(tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


@pytest.fixture
def party(parties: Callable[..., Party]) -> Party:
    return parties()
