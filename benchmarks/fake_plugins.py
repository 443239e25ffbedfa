"""Installed plugins that nothing names: distributions with metadata and one module each, which leaves a trace when it is
imported. The host has to list them without importing one.
"""

from __future__ import annotations

from pathlib import Path

MODULE = """\
from pathlib import Path

Path(__file__).with_suffix(".imported").touch()
"""
METADATA = """\
Metadata-Version: 2.1
Name: fake-plugin-{number}
Version: 1.0.{number}
Requires-Dist: vyked-host
"""
ENTRY_POINTS = """\
[vyked_host.plugins]
balancer.fake_{number} = fake_plugin_{number}
"""


def install(folder: Path, count: int) -> None:
    """Lay down `count` distributions in `folder`, as pip would; on ``PYTHONPATH`` they are installed."""
    for number in range(count):
        (folder / f"fake_plugin_{number}.py").write_text(MODULE)
        info = folder / f"fake_plugin_{number}-1.0.{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA.format(number=number))
        (info / "entry_points.txt").write_text(ENTRY_POINTS.format(number=number))


def imported(folder: Path) -> list[str]:
    """The fake plugins that something has imported."""
    return sorted(trace.stem for trace in folder.glob("*.imported"))
