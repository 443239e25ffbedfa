"""Fixtures for tests of what a whole vyked.toml runs. A conftest.py asks for them: ``pytest_plugins = ["vyked_host.testing.fixtures"]``.

They are no plugin that pytest loads by itself: who does not ask for them pays nothing, and coverage sees every import.
"""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ..assembly import Host
from ..errors import UsageError

NAME = "vyked.toml"
_LISTENING = ("tcp", "http")
"""Transports that listen at a port of their own where the file says none."""


@pytest.fixture
def vyked_toml(request: pytest.FixtureRequest) -> Path:
    """The file to run: ``vyked.toml`` beside the test, else in the nearest folder above. Write a fixture of this name for another
    one. Raises UsageError when there is none."""
    for folder in request.path.parents:
        if (folder / NAME).is_file():
            return folder / NAME
    raise UsageError(
        f"no {NAME} beside {request.path} or above it: write a fixture vyked_toml that returns the path of yours"
    )


@pytest.fixture
def vyked_overrides(vyked_toml: Path) -> tuple[str, ...]:
    """What differs from the file, as ``--set`` has it: a mesh of its own and free ports. Write a fixture of this name for more."""
    return (f'host.mesh="test-{secrets.token_hex(4)}"', *free_ports(vyked_toml))


@pytest_asyncio.fixture
async def vyked_host(vyked_toml: Path, vyked_overrides: tuple[str, ...]) -> AsyncIterator[Host]:
    """The file's host, started, its services active; drained after the test. ``vyked_host.client(Service)`` calls, ``.addresses`` tell
    where it listens, ``.publish`` publishes."""
    async with Host(vyked_toml, overrides=vyked_overrides) as host:
        yield host


def free_ports(file: Path) -> tuple[str, ...]:
    """``transports.NAME.port=0`` for each transport of `file` that listens at a port."""
    tables: Any = tomllib.loads(file.read_text(encoding="utf-8")).get("transports", {})
    found = tables if isinstance(tables, dict) and tables else {name: {} for name in _LISTENING}
    return tuple(f"transports.{name}.port=0" for name, table in found.items() if _listens(name, table))


def _listens(name: str, table: Any) -> bool:
    return isinstance(table, dict) and ("port" in table or table.get("use", name) in _LISTENING)
