"""Scenarios that need root, the kernel's own faults or a long time: `make chaos`."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.faults.conftest import mesh, new_mesh, timeline

from .network import Network

__all__ = ["mesh", "new_mesh", "timeline"]
LONG_S = 900


def pytest_addoption(parser):
    parser.addoption("--minutes", type=float, default=2.0, help="how long the random run takes")
    parser.addoption(
        "--events", type=int, default=100_000, help="how many events outlive their consumers and the broker"
    )


def pytest_collection_modifyitems(items):
    for each in items:
        if "tests/chaos/" in each.path.as_posix():
            each.add_marker(pytest.mark.timeout(LONG_S))


def pytest_sessionstart():
    lacking = [each for each in ("ip", "iptables") if shutil.which(each) is None]
    if os.geteuid() != 0 or lacking:
        pytest.exit(f"make chaos needs root{''.join(f', {each}' for each in lacking)}", 3)


@pytest.fixture
def network():
    """A network of namespaces. Ask for it before the mesh: then it is taken down after all that runs in it."""
    made = Network()
    yield made
    made.close()
