"""Examples that hypothesis makes up have no time limit: how long one takes says how busy the machine is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from .sources import ROOT


def test_here_they_have_none() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def _folders() -> list[Path]:
    return [ROOT / "tests", *(each for pattern in ("plugins/*/tests", "*/tests") for each in ROOT.glob(pattern))]


@pytest.mark.parametrize("folder", _folders(), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_each_suite_that_uses_hypothesis_loads_the_profile_that_says_so(folder: Path) -> None:
    if any("from hypothesis import" in file.read_text() for file in folder.rglob("test_*.py")):
        text = (folder / "conftest.py").read_text()
        assert "deadline=None" in text
        assert "settings.load_profile" in text
