"""Fixtures of the scenarios. FAULTS_SEED=n repeats a run with the chances of that one."""

from __future__ import annotations

import os
import secrets

import pytest

from .mesh import Mesh, Timeline


@pytest.fixture
def timeline(request):
    """Seed and timeline of this scenario; shown where it fails, or with -s."""
    seed = int(os.environ.get("FAULTS_SEED") or secrets.randbits(32))
    return Timeline(request.node.name, seed)


@pytest.fixture
async def new_mesh(tmp_path, timeline):
    """Makes meshes, each with a folder and an address of its own; all is killed at the end."""
    made = []

    def new(text="", **how):
        made.append(Mesh(tmp_path / f"project{len(made)}", timeline, text=text, **how))
        return made[-1]

    yield new
    for each in reversed(made):
        await each.aclose()


@pytest.fixture
async def mesh(new_mesh):
    """One mesh, nothing in it runs yet."""
    return new_mesh()


def pytest_collection_modifyitems(items):
    """Scenarios start several processes: on a machine that has other things to do that takes longer than a test may."""
    for each in items:
        if "tests/faults/" in each.path.as_posix():
            each.add_marker(pytest.mark.timeout(180))
